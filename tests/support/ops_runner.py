"""Run the operators' commands in this process, and the directory file that their tests load."""

from __future__ import annotations

import json
import os
import pty
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.ops import __main__ as commands
from tests.conftest import World

LOGIN = "11010148"
NEW_PHONE = "13900002222"
CHANGES = {
    "phone": [LOGIN, NEW_PHONE],
    "unbind": [LOGIN],
    "unlock": [LOGIN],
    "freeze": [LOGIN],
    "unfreeze": [LOGIN],
}
"""Arguments of each command that changes a login, without its reason."""
REASON = ("--reason", "名录更新")
"""A reason, as options of a command that changes something."""

HEADER = (
    "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,"
    "opening_password\n"
)
FIRM = "32990002,江苏样例会计师事务所有限公司,32,苏财会〔2010〕0017号,甄示例,4321,13800001234,,Opening-1\n"


class Ran(NamedTuple):
    """The exit status and the output of one command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The parsed standard output. Raises ValueError where it is not JSON."""
        return json.loads(self.out)


class Run:
    """A runner of commands in this process; `prefix` are arguments of each of them."""

    def __init__(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        *prefix: str,
        columns: int = 160,
    ) -> None:
        """`columns` is the width of the terminal."""
        monkeypatch.setenv("COLUMNS", str(columns))
        self._capsys = capsys
        self._prefix = prefix

    def __call__(self, *arguments: str) -> Ran:
        """Run one command."""
        self._capsys.readouterr()
        status = commands.main([*self._prefix, *arguments])
        out, err = self._capsys.readouterr()
        return Ran(status, out, err)


@pytest.fixture
def run_ops(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands on a terminal of 160 columns."""
    return Run(capsys, monkeypatch)


@pytest.fixture
def firms_file(tmp_path: Path) -> Path:
    """A directory file with one firm."""
    path = tmp_path / "firms.csv"
    path.write_text(HEADER + FIRM, "utf-8")
    return path


@pytest.fixture
def environment(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> pytest.MonkeyPatch:
    """The environment of a world's commands, without the files of this machine's user."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return monkeypatch


Type = Callable[[str], None]
"""Types a line at the terminal."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Type]:
    """Make standard input a terminal, and type a line there before a command reads it."""
    master, slave = pty.openpty()
    with os.fdopen(slave, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda line: _write(master, f"{line}\n")
    os.close(master)


def _write(descriptor: int, text: str) -> None:
    os.write(descriptor, text.encode())
