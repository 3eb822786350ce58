"""The second pair of eyes of a change of a phone, and what an act without one leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.store.models import AuditItem
from infra.deploy.alarms import BREAK_GLASS, OWN
from infra.local.aws import LocalAws
from infra.ops import change_words, session
from tests.conftest import PHONE, World
from tests.support.ops_runner import HEADER, LOGIN, NEW_PHONE, REASON, Run

pytestmark = pytest.mark.usefixtures("serial_moto")

CHANGE = ("phone", LOGIN, NEW_PHONE, *REASON)
EYES = ("--second-pair-of-eyes", "colleague")
ACCOUNT = "123456789012"

Write = Callable[[dict[str, str]], None]


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the keys of the profile `colleague`."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(keys: dict[str, str]) -> None:
        lines = [f"{name} = {value}" for name, value in keys.items()]
        file.write_text("\n".join(["[colleague]", *lines]), "utf-8")

    return write


def keys_of(name: str) -> dict[str, str]:
    """Create an IAM user and return the keys of its profile."""
    iam = boto3.client("iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }


def events() -> list[tuple[str, str, str]]:
    """Return the login's events, with actor and reason."""
    return [(each.event, each.actor, each.reason) for each in AuditItem.query(LOGIN)]


def figures() -> float:
    """Return the sum of the metric that the alarm watches."""
    now = datetime.now(UTC)
    found = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=OWN,
        MetricName=BREAK_GLASS,
        Dimensions=[{"Name": "tables", "Value": "recovery"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7_200,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))


def test_the_approver_s_name_is_in_the_audit(run_ops: Run, world: World, profile: Write) -> None:
    """As an event of their own, and there is no alarm."""
    profile(keys_of("zhao"))
    ran = run_ops(*CHANGE, *EYES)
    colleague = "user/zhao"
    assert (ran.status, colleague in ran.out) == (0, True)
    approved, changed = events()
    assert changed == ("phone-changed", session.caller(), REASON[1])
    assert approved[0] == "phone-approved"
    assert approved[1].endswith(colleague)
    assert approved[2] == REASON[1]
    assert figures() == 0
    (act,) = run_ops("audit", "--by", approved[1], "--json").json
    assert (act["login"], act["event"]) == (LOGIN, "phone-approved")


def test_without_one_it_is_break_glass(run_ops: Run, world: World) -> None:
    """Audited as such, and counted once, for the alarm."""
    ran = run_ops(*CHANGE)
    assert (ran.status, change_words.UNAPPROVED in ran.out) == (0, True)
    actor = session.caller()
    assert events() == [
        ("break-glass", actor, REASON[1]),
        ("phone-changed", actor, REASON[1]),
    ]
    assert figures() == 1
    # Nothing is changed, so nothing is reported.
    assert run_ops(*CHANGE, "--json").json["changed"] is False
    assert figures() == 1


def test_the_operator_s_own_profile_is_refused(
    run_ops: Run, world: World, profile: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2, and nothing is changed."""
    keys = keys_of("lin")
    profile(keys)
    with monkeypatch.context() as patched:
        for name, value in keys.items():
            patched.setenv(name.upper(), value)
        patched.setattr(boto3, "DEFAULT_SESSION", None)
        assert session.caller().endswith("user/lin")
        ran = run_ops(*CHANGE, *EYES, "--json")
    assert (ran.status, ran.json["error"]) == (2, "same-identity")
    assert world.login_item().phone == PHONE
    assert events() == []


def test_an_identity_of_another_account_is_refused(
    run_ops: Run, world: World, profile: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody can open an account of their own."""
    profile(keys_of("zhao"))
    real = session._identity

    def identity(other: boto3.Session | None = None) -> tuple[str, str]:
        arn, account = real(other)
        return (arn, "999999999999") if other else (arn, account)

    monkeypatch.setattr(session, "_identity", identity)
    ran = run_ops(*CHANGE, *EYES, "--json")
    assert (ran.status, ran.json["error"]) == (2, "foreign-identity")
    assert world.login_item().phone == PHONE


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("nobody", {"aws_access_key_id": "AKIA", "aws_secret_access_key": "x"}),
        ("colleague", {"aws_access_key_id": "AKIA"}),
        ("colleague", {"region": "cn-north-1"}),
    ],
)
def test_a_profile_that_cannot_be_used(
    run_ops: Run, world: World, profile: Write, name: str, keys: dict[str, str]
) -> None:
    """It is named in a sentence; the keys of the environment do not stand in for it."""
    profile(keys)
    ran = run_ops(*CHANGE, "--second-pair-of-eyes", name, "--json")
    assert (ran.status, ran.json["error"]) == (2, "environment")
    assert world.login_item().phone == PHONE


def test_no_alarm_no_change(run_ops: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an operator without the permission to count would raise none."""
    real: Any = boto3.client

    def client(service: str, **options: Any) -> Any:
        if service == "cloudwatch":
            options["endpoint_url"] = "http://127.0.0.1:1"
        return real(service, **options)

    with monkeypatch.context() as patched:
        patched.setattr(boto3, "client", client)
        ran = run_ops(*CHANGE, "--json")
    assert (ran.status, ran.json["error"]) == (1, "alarm")
    assert world.login_item().phone == PHONE
    assert events() == []


def test_an_import_that_changes_phones_is_no_way_around(
    run_ops: Run, world: World, profile: Write, tmp_path: Path
) -> None:
    """It has the same option, and the same alarm without it."""
    file = tmp_path / "firms.csv"
    row = "11010148,北京某会计师事务所,11,京财会许可〔2012〕0084号,甄示例,123X,{},,\n"
    profile(keys_of("zhao"))
    file.write_text(HEADER + row.format(NEW_PHONE), "utf-8")
    command = ("import", str(file), "--update-phones", *REASON)
    assert run_ops(*command, *EYES).status == 0
    assert [event for event, _, _ in events()][-2] == "phone-approved"
    assert figures() == 0
    file.write_text(HEADER + row.format("13900003333"), "utf-8")
    assert run_ops(*command).status == 0
    assert [event for event, _, _ in events()][-2] == "break-glass"
    assert figures() == 1
    assert run_ops("import", str(file), *REASON).status == 0
    assert figures() == 1


def test_the_local_stack_accepts_the_figure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, as the command sends it there."""
    with LocalAws() as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", aws.url)
        session.report_break_glass()
