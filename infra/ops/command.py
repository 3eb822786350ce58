"""The frame of every command: common options, output as text or JSON, errors and exit status."""

from __future__ import annotations

import codecs
import io
import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any, TextIO

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from chalicelib.domain import origin
from chalicelib.domain.catalogue import PROBLEMS, fill
from chalicelib.domain.errors import InvalidInput, ServiceError, Unavailable
from chalicelib.domain.reasons import parse_reason
from chalicelib.telemetry import logs

from . import change_words, words
from .aws_errors import advice, described, kind
from .chinese import Command, Group, complaint


class Failed(Exception):
    """A command failed; `code` is the error code in --json, the text is Chinese.

    `status` is the exit status: 2 where nothing was attempted.
    """

    def __init__(self, code: str, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Answer:
    """The result of a command: `facts` for JSON, `show` for the terminal."""

    facts: Any
    show: Callable[[Console], None]
    success: bool = True


def terminal(*, stderr: bool = False) -> Console:
    """Return a console that prints texts without interpreting markup.

    Without a terminal, and without COLUMNS, lines are not folded: a file or a pipe has no width.
    """
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WITHOUT_TERMINAL
    return console


# Columns of a file or a pipe.
_WITHOUT_TERMINAL = 1_000


@click.group(
    cls=Group,
    help=f"{words.ABOUT}\n\n\b\n{words.ABOUT_MORE}",
    options_metavar="",
    no_args_is_help=True,
)
@click.help_option("--help", "-h", help=words.HELP)
def ops() -> None:
    """Group of the operators' commands."""


def command(
    name: str, about: str, more: str = ""
) -> Callable[[Callable[..., Answer]], click.Command]:
    """Register a function that returns an Answer as a command of `ops`, with --json and --help."""

    def register(run: Callable[..., Answer]) -> click.Command:
        def callback(as_json: bool, **options: Any) -> int:
            # Output of other code must not mix with the answer on stdout.
            with redirect_stdout(sys.stderr):
                answer = run(**options)
            if as_json:
                _print_json(answer.facts)
            else:
                answer.show(terminal())
            return 0 if answer.success else 1

        callback.__click_params__ = getattr(run, "__click_params__", [])  # type: ignore[attr-defined]
        decorated = click.option("--json", "as_json", is_flag=True, help=words.JSON)(callback)
        decorated = click.help_option("--help", "-h", help=words.HELP)(decorated)
        text = f"{about}\n\n\b\n{more}" if more else about
        added = click.command(
            name, cls=Command, help=text, short_help=about, options_metavar="[OPTIONS]"
        )(decorated)
        ops.add_command(added)
        return added

    return register


def require_reason(text: str | None) -> str:
    """Return the reason of a command whose --reason is needed only at times.

    Raises MissingParameter where there is none, and InvalidInput.
    """
    if text is None:
        context = click.get_current_context()
        option = next(each for each in context.command.params if each.name == "reason")
        raise click.MissingParameter(ctx=context, param=option)
    return parse_reason(text)


def read_at_terminal(question: str) -> str | None:
    """Return the line that is typed at the terminal in answer to a question, without its ends.

    None without a terminal; empty at its end of file. The question is printed on stderr.
    """
    if not sys.stdin.isatty():
        return None
    click.echo(question, nl=False, err=True)
    return sys.stdin.readline().strip()


login_argument = click.argument("login")
second_eyes_option = click.option(
    "--second-pair-of-eyes", "profile", metavar="PROFILE", help=change_words.SECOND_EYES
)
reason_option = click.option("--reason", required=True, metavar="TEXT", help=words.REASON)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; 0 only where the command succeeded."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        _escape_unencodable(stream)
    for name in ("botocore.credentials", "botocore.tokens"):
        # They log tracebacks of failures that are raised as well, and then named in one sentence.
        logging.getLogger(name).setLevel(logging.ERROR)
    # All audit events of one command have one id, as those of one request.
    with logs.plainly(sys.stderr, logging.WARNING), origin.begun(secrets.token_hex(8)):
        return _run(argv)


def _escape_unencodable(stream: TextIO) -> None:
    """Print characters outside the stream's encoding as escapes, so that no report is lost.

    ASCII, the encoding of the locale C, has none of the characters: UTF-8 replaces it, as in click.
    """
    if isinstance(stream, io.TextIOWrapper):
        is_ascii = codecs.lookup(stream.encoding).name == "ascii"
        encoding = "utf-8" if is_ascii else stream.encoding
        stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _print_json(facts: Any) -> None:
    # JSON has escapes of its own, which differ from Python's beyond U+FFFF.
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(facts, ensure_ascii=not is_unicode))


def _run(argv: list[str]) -> int:
    try:
        status = ops.main(argv, prog_name=words.PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else words.PROGRAM
        hint = fill(words.SEE_HELP, command=path)
        return _fail("usage", complaint(error), argv, 2, hint)
    except (click.Abort, KeyboardInterrupt):
        return _fail("stopped", words.STOPPED, argv, 130)
    except Failed as error:
        return _fail(error.code, str(error), argv, error.status)
    except ServiceError as error:
        return _fail(error.code, _sentence(error), argv)
    except (BotoCoreError, ClientError) as error:
        return _fail("aws", described(words.ERRORS["aws"], error), argv)
    except Exception as error:
        # The messages of the error and of its causes may quote a row of the directory or a key.
        what = f"{type(error).__name__}, {_place(error)}"
        return _fail("unexpected", fill(words.ERRORS["unexpected"], what=what), argv)
    return int(status or 0)


def _fail(code: str, message: str, argv: Sequence[str], status: int = 1, hint: str = "") -> int:
    if "--json" in argv:
        _print_json({"error": code, "message": message})
    else:
        click.echo(message, err=True)
        if hint:
            click.echo(hint, err=True)
    return status


def _place(error: BaseException) -> str:
    """Return file and line of the innermost frame in this project's code."""
    frames = [frame for frame in extract_tb(error.__traceback__) if _is_ours(frame.filename)]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _is_ours(path: str) -> bool:
    return bool({"chalicelib", "infra"} & set(Path(path).parts))


def _sentence(error: ServiceError) -> str:
    if isinstance(error, InvalidInput):
        return error.reason
    if isinstance(error, Unavailable):
        cause = error.__cause__
        dependency = words.DEPENDENCIES.get(error.dependency, error.dependency)
        region = os.environ.get("AWS_DEFAULT_REGION", "")
        if advice(cause):
            refused = words.ERRORS["aws-refused"]
            return described(refused, cause, dependency=dependency, region=region)
        return fill(words.ERRORS["unavailable"], what=dependency, kind=kind(cause), region=region)
    return words.ERRORS.get(error.code) or PROBLEMS[error.code][1]
