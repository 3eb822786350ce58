"""The frame of the operators' commands: help, exit status, errors, output as JSON."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib import container, runtime
from chalicelib.domain.catalogue import fill
from chalicelib.services.diagnosis import Diagnosis, Finding, LockKind
from chalicelib.settings import load
from chalicelib.store import audit
from chalicelib.store.models import AuditItem
from infra.ops import enrol, words
from infra.ops.command import ops
from tests.conftest import SETTINGS, World
from tests.support.ops_runner import CHANGES, LOGIN, NEW_PHONE, Run

pytestmark = pytest.mark.usefixtures("serial_moto")

NEEDS_LOGIN = ("account", *CHANGES)


def test_every_command_has_chinese_help(run_ops: Run) -> None:
    """The group and each command explain themselves, headings and options too."""
    assert set(ops.commands) >= {"import", *NEEDS_LOGIN}
    for name in ("", *ops.commands):
        shown = run_ops(*([name] if name else []), "--help")
        assert shown.status == 0
        assert shown.out.startswith("用法：python -m infra.ops")
        assert "选项：" in shown.out
        for english in ("Usage", "Options:", "Commands:", "Show this message"):
            assert english not in shown.out
    assert "命令：" in run_ops("--help").out


def test_every_command_has_json(world: World) -> None:
    """A program can read each of them."""
    for command in ops.commands.values():
        assert "--json" in {name for option in command.params for name in option.opts}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_needs_a_reason(run_ops: Run, world: World, name: str) -> None:
    """Without one, or with an empty one, nothing is changed."""
    ran = run_ops(name, *CHANGES[name])
    assert (ran.status, ran.out) == (2, "")
    assert "缺少--reason" in ran.err
    assert run_ops(name, *CHANGES[name], "--reason", " ").status == 1
    assert AuditItem.count() == 0


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_shows_where_it_acts(run_ops: Run, world: World, name: str) -> None:
    """The AWS account, the region and the prefix of the tables, on stderr."""
    ran = run_ops(name, *CHANGES[name], "--reason", "本人来函", "--json")
    assert "AWS账号123456789012，区域cn-north-1，表前缀recovery" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["account"], "缺少LOGIN"),
        (["account", LOGIN, "--loud"], "没有选项--loud"),
        (["reset-password", LOGIN], "没有命令reset-password"),
        (["audit", LOGIN, "--count", "0"], "--count无效"),
        (["account", LOGIN, LOGIN], "命令行有误"),
    ],
)
def test_a_wrong_command_line_is_explained(run_ops: Run, arguments: list[str], says: str) -> None:
    """In Chinese, with a pointer to the help, and as JSON if requested."""
    ran = run_ops(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "--help" in ran.err
    as_json = run_ops(*arguments, "--json")
    assert as_json.status == 2
    assert as_json.json["error"] == "usage"
    assert says in as_json.json["message"]


def test_no_command_shows_the_help_and_fails(run_ops: Run) -> None:
    """The exit status is not 0, since nothing was done."""
    ran = run_ops()
    assert ran.status == 2
    assert "命令：" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["account", "99999999"], "account-not-found", "没有查询到该登录账号"),
        (["audit", "99999999"], "account-not-found", "没有查询到该登录账号"),
        (["account", "cpa"], "invalid-input", "会计师事务所编号"),
        (["phone", LOGIN, "123", "--reason", "x"], "invalid-input", "11位大陆手机号"),
        (["import", "/nowhere.csv", "--reason", "x"], "file", "/nowhere.csv"),
    ],
)
def test_a_failed_command_explains_itself(
    run_ops: Run, world: World, arguments: list[str], code: str, says: str
) -> None:
    """Status 1, the sentence on stderr; with --json the code and the sentence on stdout."""
    ran = run_ops(*arguments)
    assert (ran.status, ran.out) == (1, "")
    assert says in ran.err
    as_json = run_ops(*arguments, "--json")
    assert (as_json.status, as_json.json["error"]) == (1, code)
    # A change shows first where it acts.
    place = fill(words.PLACE, account="123456789012", region="cn-north-1", prefix="recovery")
    assert as_json.err == (f"{place}\n" if "--reason" in arguments else "")
    assert says in as_json.json["message"]


def test_a_store_that_is_down_is_named(run_ops: Run, world: World) -> None:
    """The message has AWS's own error code, which an operator can act on."""
    boto3.client("dynamodb").delete_table(TableName="recovery-logins")
    ran = run_ops("account", LOGIN)
    assert ran.status == 1
    assert "DynamoDB" in ran.err
    assert "ResourceNotFoundException" in ran.err


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (
            EndpointConnectionError(endpoint_url="https://aws.example"),
            "aws",
            "EndpointConnectionError",
        ),
        (RuntimeError("甄示例 13800001234"), "unexpected", "RuntimeError, accounts.py:"),
    ],
)
def test_an_unforeseen_error_is_one_sentence(
    run_ops: Run,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,
    error: Exception,
    code: str,
    says: str,
) -> None:
    """With the place in the code; its own text may quote a row of the directory."""
    monkeypatch.setattr(Diagnosis, "overview", Mock(side_effect=error))
    ran = run_ops("account", LOGIN, *(["--json"] if as_json else []))
    assert ran.status == 1
    assert says in (ran.json["message"] if as_json else ran.err)
    assert not as_json or ran.json["error"] == code
    for hidden in ("Traceback", "甄示例", "13800001234"):
        assert hidden not in ran.out + ran.err


def test_an_interrupted_command_reports_the_state(
    run_ops: Run, world: World, firms_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends with a sentence and the status that a shell expects."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(enrol, "load", interrupted)
    ran = run_ops("import", str(firms_file), "--reason", "x")
    assert ran.status == 130
    assert words.STOPPED in ran.err
    assert "Traceback" not in ran.err


def test_other_output_does_not_mix_with_the_json(run_ops: Run, world: World) -> None:
    """The console gateway prints its SMS to another stream."""
    runtime.install(container.Service(load(SETTINGS), clock=world.clock))
    ran = run_ops("phone", LOGIN, NEW_PHONE, "--reason", "本人来函", "--json")
    assert ran.json["changed"] is True
    assert "绑定的手机号已于" in ran.err


def test_foreign_texts_are_not_read_as_markup(run_ops: Run, world: World) -> None:
    """Square brackets in a gateway's message or a reason are shown as they are."""
    audit.entry(LOGIN, "code-sent", world.clock.time, reason="[red]x[/nope] :smile:").save()
    assert "[red]x[/nope] :smile:" in run_ops("audit", LOGIN).out
    assert "[red]x[/nope] :smile:" in run_ops("account", LOGIN).out


def test_every_code_has_a_chinese_text() -> None:
    """Findings, locks and errors are all in the table."""
    assert set(words.FINDINGS) == set(Finding)
    assert set(words.LOCKS) == set(LockKind)
    assert set(words.CHANGED) == set(words.UNCHANGED) == set(CHANGES)
