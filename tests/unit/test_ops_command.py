"""The operators' command line: what it prints, as JSON and for people, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib import wiring
from chalicelib.store import audit
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.stories.inquiry import Finding, LockKind
from infra.local.aws import REGION, LocalAws, Resources
from infra.ops import __main__ as commands
from infra.ops import enrol, session, words
from infra.ops.command import ops
from infra.tables import create_tables
from tests.conftest import PHONE, SETTINGS, MakeWorld, World
from tests.serial_moto import serial_moto  # noqa: F401

pytestmark = pytest.mark.usefixtures("serial_moto")

LOGIN = "11010148"
NEW = "13900002222"
HEADER = "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,opening_password\n"
FIRM = "32990002,江苏样例会计师事务所有限公司,32,苏财会〔2010〕0017号,甄示例,4321,13800001234,,Opening-1\n"


@dataclass
class Ran:
    """What one command did."""

    status: int
    out: str
    err: str
    json: Any = field(init=False)

    def __post_init__(self) -> None:
        try:
            self.json = json.loads(self.out)
        except ValueError:
            self.json = None


class Run:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        status = commands.main(arguments)
        out, err = self._capsys.readouterr()
        return Ran(status, out, err)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "160")
    return Run(capsys)


@pytest.fixture
def firms(tmp_path: Path) -> Path:
    path = tmp_path / "firms.csv"
    path.write_text(HEADER + FIRM, "utf-8")
    return path


NEEDS_LOGIN = ("account", "audit", "phone", "unbind", "unlock")
CHANGES = {"phone": [LOGIN, NEW], "unbind": [LOGIN], "unlock": [LOGIN]}


# The frame


def test_every_command_has_chinese_help(run: Run) -> None:
    """The group and each command explain themselves, headings and options too."""
    assert set(ops.commands) >= {"import", *NEEDS_LOGIN}
    for name in ("", *ops.commands):
        shown = run(*([name] if name else []), "--help")
        assert shown.status == 0
        assert shown.out.startswith("用法：python -m infra.ops")
        assert "选项：" in shown.out
        for english in ("Usage", "Options:", "Commands:", "Show this message"):
            assert english not in shown.out
    assert "命令：" in run("--help").out


def test_every_command_takes_json(world: World) -> None:
    """A program can read each of them."""
    for command in ops.commands.values():
        assert "--json" in {name for option in command.params for name in option.opts}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_needs_a_reason(run: Run, world: World, name: str) -> None:
    """Without one nothing is done; with an empty one neither."""
    ran = run(name, *CHANGES[name])
    assert (ran.status, ran.out) == (2, "")
    assert "缺少--reason" in ran.err
    assert run(name, *CHANGES[name], "--reason", " ").status == 1
    assert AuditItem.count() == 0


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
def test_a_wrong_command_line_is_explained(run: Run, arguments: list[str], says: str) -> None:
    """In Chinese, with where to find help, and as JSON where that was asked for."""
    ran = run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "--help" in ran.err
    as_json = run(*arguments, "--json")
    assert as_json.status == 2
    assert as_json.json["error"] == "usage"
    assert says in as_json.json["message"]


def test_no_command_shows_the_help_and_fails(run: Run) -> None:
    """Nothing asked for is nothing done."""
    ran = run()
    assert ran.status == 2
    assert "命令：" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["account", "99999999"], "account-not-found", "没有查询到该登录账号"),
        (["audit", "99999999"], "account-not-found", "没有查询到该登录账号"),
        (["account", "cpa"], "invalid-input", "会计师事务所编号"),
        (["phone", LOGIN, "123", "--reason", "x"], "invalid-input", "11位大陆手机号"),
        (["import", "/nowhere.csv"], "file", "/nowhere.csv"),
    ],
)
def test_what_cannot_be_done_says_why(
    run: Run, world: World, arguments: list[str], code: str, says: str
) -> None:
    """Status 1, the sentence on stderr; with --json the code and the sentence on stdout."""
    ran = run(*arguments)
    assert (ran.status, ran.out) == (1, "")
    assert says in ran.err
    as_json = run(*arguments, "--json")
    assert (as_json.status, as_json.json["error"], as_json.err) == (1, code, "")
    assert says in as_json.json["message"]


def test_a_store_that_is_down_is_named(run: Run, world: World) -> None:
    """With AWS's own word for it, for an operator who can do something about it."""
    boto3.client("dynamodb").delete_table(TableName="recovery-logins")
    ran = run("account", LOGIN)
    assert ran.status == 1
    assert "DynamoDB" in ran.err
    assert "ResourceNotFoundException" in ran.err


def test_an_interrupted_command_says_what_holds(
    run: Run, world: World, firms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends with a sentence and the status that a shell expects."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(enrol, "load", interrupted)
    ran = run("import", str(firms))
    assert ran.status == 130
    assert words.STOPPED in ran.err
    assert "Traceback" not in ran.err


def test_what_is_printed_meanwhile_does_not_spoil_the_json(run: Run, world: World) -> None:
    """The console gateway prints its SMS, and not into the answer."""
    world.service.__dict__.pop("sms", None)
    world.service._gateways.clear()
    ran = run("phone", LOGIN, NEW, "--reason", "本人来函", "--json")
    assert ran.json["changed"] is True
    assert "绑定的手机号已于" in ran.err


def test_texts_of_others_are_no_markup(run: Run, world: World) -> None:
    """Square brackets in a gateway's words or a reason are shown as they are."""
    audit.entry(LOGIN, "code-sent", world.clock.time, reason="[red]x[/nope] :smile:").save()
    assert "[red]x[/nope] :smile:" in run("audit", LOGIN).out
    assert "[red]x[/nope] :smile:" in run("account", LOGIN).out


def test_every_word_that_can_be_shown_has_its_chinese() -> None:
    """Findings, locks and errors are all in the table of words."""
    assert set(words.FINDINGS) == set(Finding)
    assert set(words.LOCKS) == set(LockKind)
    assert set(words.CHANGED) == set(words.UNCHANGED) == set(CHANGES)


# One login


def test_account_at_a_glance(run: Run, world: World) -> None:
    """People read what it is, what is wrong and what became of the last codes."""
    world.send(world.token())
    out = run("account", LOGIN).out
    for text in (
        "11010148（年检、教育等功能账号）",
        "示例会计师事务所",
        "138****1234",
        words.FINDINGS["no-receipt"],
        words.LOCKS["destination-sends"],
        "2027年1月15日 16:01",
        "console",
        "已交网关",
    ):
        assert text in out
    assert PHONE[3:] not in out


def test_account_as_json(run: Run, world: World) -> None:
    """Programs read the same, times in epoch seconds."""
    world.send(world.token())
    seen = run("account", LOGIN, "--json").json
    assert (seen["login"], seen["phone"], seen["method"]) == (LOGIN, "138****1234", "sms")
    assert seen["locks"] == [{"kind": "destination-sends", "until": world.clock.time + 60}]
    assert seen["findings"] == ["locked", "no-receipt"]
    assert seen["sends"][0]["gateway"] == "console"
    assert seen["code_until"] == world.clock.time + 300


def test_account_of_a_login_with_everything(run: Run, world: World) -> None:
    """Binding, follower, default password, last run and last recovery are said."""
    LoginItem(f"{LOGIN}_cw").update(
        [
            LoginItem.openid.set("o-alice"),
            LoginItem.bound_at.set(1_790_000_000),
            LoginItem.recovered_at.set(1_790_000_000),
            LoginItem.reset_year.set(2027),
        ]
    )
    world.service.followers.note("o-alice", False, 1)
    out = run("account", f"{LOGIN}_cw").out
    for text in ("微信公众号", "已绑定（2026年9月21日", "须修改", "本人2026年9月21日", "2027年"):
        assert text in out
    assert words.FINDINGS["not-following"] in out
    assert "o-alice" not in out


def test_account_of_a_login_with_nothing(run: Run, world: World) -> None:
    """No phone, no WeChat, no password."""
    LoginItem(LOGIN).update([LoginItem.phone.remove(), LoginItem.password_hash.remove()])
    out = run("account", LOGIN).out
    for text in (words.NO_METHOD, words.NOT_BOUND, words.HAS_NO_PASSWORD, words.FINDINGS["no-way"]):
        assert text in out


def test_changes_name_the_caller(run: Run, world: World) -> None:
    """The audit has the caller's AWS identity and the reason, for people and as JSON."""
    ran = run("phone", LOGIN, NEW, "--reason", "本人 来函\n")
    assert ran.status == 0
    assert "手机号已变更" in ran.out
    assert "已短信通知 138****1234" in ran.out
    (event,) = run("audit", LOGIN, "--json").json
    identity = boto3.client("sts").get_caller_identity()["Arn"]
    assert (event["event"], event["actor"], event["reason"]) == (
        "phone-changed",
        identity,
        "本人 来函",
    )
    out = run("audit", LOGIN).out
    for text in ("变更手机号", "user/moto", "139****2222", "原为138****1234", "本人 来函"):
        assert text in out


def test_unbind_and_unlock(run: Run, world: World) -> None:
    """Both say what they did, and that a second time there is nothing to do."""
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice"), LoginItem.starts.set([1])])
    for name in ("unbind", "unlock"):
        ran = run(name, LOGIN, "--reason", "本人来函")
        assert ran.status == 0
        assert words.CHANGED[name].replace("$login", LOGIN) in ran.out
        again = run(name, LOGIN, "--reason", "本人来函", "--json")
        assert (again.status, again.json) == (0, {"login": LOGIN, "changed": False, "told": []})


def test_unbinding_the_last_way_says_what_to_do_first(run: Run, world: World) -> None:
    """The operator's sentence names the command, not the support line."""
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice"), LoginItem.phone.remove()])
    ran = run("unbind", LOGIN, "--reason", "x")
    assert ran.status == 1
    assert "phone 命令" in ran.err


def test_audit_shows_as_many_as_asked_for(run: Run, world: World) -> None:
    """Newest first; and says so where there is none."""
    assert words.NO_EVENTS in run("audit", LOGIN).out
    for number in range(4):
        audit.entry(LOGIN, f"event-{number}", world.clock.time + number).save()
    seen = run("audit", LOGIN, "--count", "2", "--json").json
    assert [event["event"] for event in seen] == ["event-3", "event-2"]
    assert "本人" in run("audit", LOGIN).out


# Import


def test_an_import_reports_what_it_did(run: Run, world: World, firms: Path) -> None:
    """Loaded, how long it took, how fast it hashed; the second time nothing changes."""
    ran = run("import", str(firms))
    assert ran.status == 0
    assert "导入 1 家，无变化 0 家，拒绝 0 行；用时" in ran.out
    assert "计算密码 2 个" in ran.out
    again = run("import", str(firms), "--json")
    assert again.status == 0
    assert {**again.json, "seconds": 0} == {
        "loaded": 0,
        "unchanged": 1,
        "refused": [],
        "notes": [],
        "hashes": 0,
        "seconds": 0,
        "hashes_per_second": 0.0,
        "interrupted": False,
    }
    events = list(AuditItem.query("32990002"))
    assert [event.actor for event in events] == [boto3.client("sts").get_caller_identity()["Arn"]]
    assert events[0].reason.startswith("firms.csv sha256:")


def test_refused_rows_fail_the_command_and_are_listed(run: Run, world: World, firms: Path) -> None:
    """The good rows are loaded; the status tells a script that not all is well."""
    bad = FIRM.replace("32990002", "32990003").replace("13800001234", "1")
    firms.write_text(HEADER + bad + FIRM.replace("Opening-1", ""), "utf-8")
    ran = run("import", str(firms), "--reason", "首批")
    assert ran.status == 1
    for text in ("被拒绝的行", "32990003", "phone应为11位大陆手机号", "没有开户密码", "拒绝 1 行"):
        assert text in ran.out
    assert world.login_item("32990002").phone == PHONE
    assert next(iter(AuditItem.query("32990002"))).reason == "首批"
    as_json = run("import", str(firms), "--json")
    assert as_json.status == 1
    assert as_json.json["refused"] == [
        {"row": 2, "firm_no": "32990003", "reasons": ["phone应为11位大陆手机号"]}
    ]
    assert as_json.json["notes"][0]["row"] == 3


def test_a_long_list_of_refused_rows_is_cut(run: Run, world: World, firms: Path) -> None:
    """A terminal shows the first hundred, JSON all of them."""
    firms.write_text(HEADER + "1,,,,,,,,\n" * 130, "utf-8")
    assert "另有 30 行未列出" in run("import", str(firms)).out
    assert len(run("import", str(firms), "--json").json["refused"]) == 130


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    run: Run, world: World, firms: Path
) -> None:
    """A refused row's number and an unknown column are shown without what could command it."""
    firms.write_text(HEADER + "\x1b[31m1,,,,,,,,\n", "utf-8")
    assert "\x1b[31m1" not in run("import", str(firms)).out
    firms.write_text(HEADER.replace("name,", "na\x1bme,", 1), "utf-8")
    ran = run("import", str(firms))
    assert ran.status == 1
    assert "\x1b" not in ran.err


def test_a_file_that_cannot_be_read_fails_the_command(run: Run, world: World, firms: Path) -> None:
    """With the reason; nothing is loaded."""
    firms.write_text("firm_no,name\n", "utf-8")
    ran = run("import", str(firms), "--json")
    assert (ran.status, ran.json["error"]) == (1, "directory-file")
    assert "缺少列province" in ran.json["message"]


def test_an_import_that_was_cut_short_fails_the_command(
    run: Run, world: World, firms: Path
) -> None:
    """The store went away midway: what is known is shown, and what to do."""
    boto3.client("dynamodb").delete_table(TableName="recovery-audit")
    ran = run("import", str(firms))
    assert ran.status == 1
    assert words.INTERRUPTED in ran.out
    assert run("import", str(firms), "--json").json["interrupted"] is True


def test_phones_change_with_the_file_only_where_that_is_asked_for(
    run: Run, world: World, firms: Path
) -> None:
    """Then each is audited under the caller's name and told to both phones."""
    run("import", str(firms))
    firms.write_text(HEADER + FIRM.replace("13800001234", NEW), "utf-8")
    kept = run("import", str(firms))
    assert kept.status == 0
    assert "已绑定其他手机号" in kept.out
    assert world.login_item("32990002").phone == PHONE
    assert world.phones.sent == []
    world.clock.time += 1
    ran = run("import", str(firms), "--update-phones", "--reason", "名录更新", "--json")
    assert ran.status == 0
    assert ran.json["notes"][0]["notes"] == ["32990002绑定的手机号已变更"]
    assert world.login_item("32990002").phone == "+8613900002222"
    assert [sms.to for sms in world.phones.sent] == [PHONE, "+8613900002222"]
    event = list(AuditItem.query("32990002"))[-1]
    assert (event.event, event.reason) == ("phone-changed", "名录更新")
    assert event.actor == boto3.client("sts").get_caller_identity()["Arn"]


def test_a_terminal_gets_a_progress_bar(
    run: Run, world: World, firms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, and not where nobody watches."""
    assert "1/1" not in run("import", str(firms)).err
    monkeypatch.setenv("FORCE_COLOR", "1")
    watched = run("import", str(firms), "--json")
    assert "1/1" in watched.err
    assert watched.json["unchanged"] == 1


# Settings and identity


@pytest.fixture
def bare(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No service built yet, and no setting in the environment."""
    make_world()
    wiring.install(None)
    for name in (*SETTINGS, "SECRETS_ID", "TABLE_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_missing_settings_are_named(run: Run, bare: pytest.MonkeyPatch) -> None:
    """All of them, in one sentence."""
    ran = run("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (1, "settings")
    assert "SITE_URL is missing" in ran.json["message"]
    assert "CODE_PEPPER is missing" in ran.json["message"]


def test_settings_come_from_the_environment(run: Run, bare: pytest.MonkeyPatch) -> None:
    """As for the service itself."""
    for name, value in SETTINGS.items():
        bare.setenv(name, value)
    assert run("account", LOGIN, "--json").json["error"] == "account-not-found"


def test_settings_come_from_the_named_secret(run: Run, bare: pytest.MonkeyPatch) -> None:
    """SECRETS_ID names it, as for the service; one that cannot be read is said."""
    bare.setenv("SECRETS_ID", "elsewhere")
    ran = run("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (1, "secret")
    assert "ResourceNotFoundException" in ran.json["message"]
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="elsewhere", SecretString=json.dumps(SETTINGS))
    assert run("account", LOGIN, "--json").json["error"] == "account-not-found"


def test_settings_come_from_the_deployment_s_secret(run: Run, bare: pytest.MonkeyPatch) -> None:
    """Where the environment has none: the one that the template declares, by its prefix."""
    template = {
        "Parameters": {"TablePrefix": {"Default": "recovery"}},
        "Resources": {
            "Settings": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {"Name": {"Fn::Sub": "${TablePrefix}/settings"}},
            }
        },
    }
    bare.setattr(session, "load_template", lambda: template)
    assert run("account", LOGIN, "--json").json["error"] == "settings"
    assert "SECRETS_ID" not in os.environ
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="recovery/settings", SecretString=json.dumps(SETTINGS))
    assert run("account", LOGIN, "--json").json["error"] == "account-not-found"


@pytest.mark.parametrize("prefix", [None, "other"])
def test_an_undeclared_secret_has_the_name_that_the_local_twin_gives_it(
    run: Run, bare: pytest.MonkeyPatch, prefix: str | None
) -> None:
    """So that credentials and an address are all that a command needs there."""
    template = {"Parameters": {"TablePrefix": {"Default": "recovery"}}, "Resources": {}}
    bare.setattr(session, "load_template", lambda: template)
    settings = dict(SETTINGS)
    if prefix:
        bare.setenv("TABLE_PREFIX", prefix)
        create_tables(boto3.client("dynamodb"), prefix)
    resources = Resources(template, prefix or "recovery", REGION)
    resources.make_secrets(boto3.client("secretsmanager"), lambda: settings)
    assert run("account", LOGIN, "--json").json["error"] == "account-not-found"


def test_no_region_is_said(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked of AWS; a local stack has its own."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    ran = run("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (1, "region")
    assert session.LOCAL_REGION == REGION


def test_without_an_identity_nothing_is_changed(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot say who they are may look, and change nothing."""

    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    for name, arguments in CHANGES.items():
        ran = run(name, *arguments, "--reason", "x", "--json")
        assert (ran.status, ran.json["error"]) == (1, "identity")
        assert "EndpointConnectionError" in ran.json["message"]
    assert world.login_item().phone == PHONE
    assert AuditItem.count() == 0


# For real


@pytest.fixture
def local_aws() -> Iterator[str]:
    """AWS behind an address of this machine, with the tables."""
    aws = LocalAws()
    aws.start()
    try:
        create_tables(boto3.client("dynamodb", endpoint_url=aws.url), "recovery")
        yield aws.url
    finally:
        aws.close()


def test_the_command_runs_against_a_local_stack(local_aws: str, firms: Path) -> None:
    """`python -m infra.ops` with credentials and AWS_ENDPOINT_URL: import, look, change, look."""
    environment = {
        **SETTINGS,
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": local_aws,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-m", "infra.ops", *arguments, "--json"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run("import", str(firms))["loaded"] == 1
    assert run("account", "32990002")["phone"] == "138****1234"
    assert run("phone", "32990002", NEW, "--reason", "本人来函")["told"][0]["outcome"] == "sent"
    events = run("audit", "32990002")
    assert {event["event"] for event in events} == {"phone-changed", "enrolled"}
    assert all(event["actor"].startswith("arn:") for event in events)
