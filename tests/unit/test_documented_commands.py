"""Every command in the documents is one that exists, with arguments that it accepts.

Commands of this project are parsed by their own parsers; what they do is in their own tests. A block with
a command that reaches another system is marked, since no test can run it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from infra.deploy import first_settings, package, preflight, smoke
from infra.ops import __main__ as operators
from infra.ops.command import ops

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
HISTORY = {"CHANGELOG.md", "attacks.md"}
RUN_ELSEWHERE = {"login-page.md"}
"""Documents whose blocks another test runs: test_local_login_page.py."""

MARK = "<!-- not runnable here:"
ELSEWHERE = ("aws", "sam", "curl", "pipx", "nslookup")
"""First words of commands that reach another system."""

# Each command is registered when its module is imported.
assert set(operators.__all__) - {"main"}

MODULES = {
    "infra.deploy.package": package.main,
    "infra.deploy.preflight": preflight.main,
    "infra.deploy.first_settings": first_settings.main,
    "infra.deploy.smoke": smoke.main,
}
TARGETS = {"package": package.main, "preflight": preflight.main}

# Words that stand for a value in the documents.
_VALUES = {"settings.json": str(ROOT / "pyproject.toml"), "FILE": str(ROOT / "README.md")}
_OPTIONAL = str.maketrans("", "", "[]…")
_YEARS = re.compile(r"当年|下一年|年度|YYYY|YEAR")


def blocks(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield whether a block of code is marked, and its lines; continued lines are joined."""
    pattern = r"^(?P<before>.*)\n *```(?:sh)?\n(?P<body>.*?)^ *```$"
    for found in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        before = found["before"].rpartition("\n")[2]
        body = re.sub(r"\\\n\s*", "", found["body"])
        yield before.strip().startswith(MARK), [line.strip() for line in body.splitlines()]


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of a document's blocks and code spans, with the document's name."""
    for document in DOCUMENTS:
        if document.name in HISTORY:
            continue
        text = document.read_text("utf-8")
        lines = [line.split(" #")[0].strip() for _, body in blocks(text) for line in body]
        spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
        for command in [*lines, *spans]:
            if re.match(r"(\.venv/bin/)?python -m infra\.\w|make [a-z]|yearly-reset -", command):
                yield document.name, command


COMMANDS = list(dict.fromkeys(commands()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_block_that_reaches_another_system_is_marked(document: Path) -> None:
    """And only such a block."""
    if document.name in HISTORY | RUN_ELSEWHERE:
        return
    for marked, lines in blocks(document.read_text("utf-8")):
        # The local stack's calls are run by test_readme_story.
        words = {line.split()[0] for line in lines if line and "$SITE" not in line}
        module = any(
            re.search(r"infra\.(ops|deploy\.(first_settings|smoke))", line) for line in lines
        )
        assert marked == (bool(words & set(ELSEWHERE)) or module), lines


def test_there_are_commands_of_every_kind() -> None:
    """The patterns above find them."""
    assert len(COMMANDS) > 60
    text = "\n".join(command for _, command in COMMANDS)
    for name in [*ops.commands, *MODULES, "make package ARGS", "make preflight"]:
        if name not in {"infra.deploy.preflight", "infra.deploy.package"}:
            assert name in text


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_a_command_is_accepted(document: str, command: str) -> None:
    """By the parser that the operator's shell would reach."""
    words = shlex.split(_YEARS.sub("2027", command).translate(_OPTIONAL))
    words = [_VALUES.get(word, word) for word in words]
    if words[0] == "make":
        target, *rest = words[1:]
        assert f"\n{target}: " in (ROOT / "Makefile").read_text("utf-8")
        for argument in rest:
            name, _, value = argument.partition("=")
            assert name in ("ARGS", "PYTHON")
            if target in TARGETS:
                given = [_VALUES.get(word, word) for word in shlex.split(value)]
                parse(TARGETS[target], given)
        return
    if words[0] == "yearly-reset":
        parse(ops.commands["yearly-reset"], words[1:])
        return
    module, *arguments = words[2:]
    if module != "infra.ops":
        if arguments or module not in MODULES:
            parse(MODULES[module], arguments)
        return
    if arguments:
        name, *rest = arguments
        # A command that is named, and not shown, has no arguments.
        if rest:
            parse(ops.commands[name], rest)
        else:
            assert name in ops.commands


def parse(command: click.Command, arguments: list[str]) -> None:
    """Parse arguments. Raises UsageError where the command refuses them."""
    command.make_context(str(command.name), list(arguments))


def test_a_wrong_command_would_be_found() -> None:
    """The parsers refuse options that do not exist and arguments that are missing."""
    for arguments in (["11010148", "--reson", "x"], []):
        with pytest.raises(click.UsageError):
            parse(ops.commands["unbind"], arguments)
    with pytest.raises(AssertionError):
        test_a_command_is_accepted("x", "make pakcage")
    with pytest.raises(KeyError):
        test_a_command_is_accepted("x", "python -m infra.ops unbnd 11010148 --reason x")
