"""The settings, the region and the operator's identity of the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib import runtime
from chalicelib.store.models import AuditItem
from infra.deploy.tables import create_tables
from infra.local.aws import REGION, LocalAws, Resources
from infra.ops import session
from tests.conftest import PHONE, SETTINGS, MakeWorld, World
from tests.support import probes
from tests.support.ops_runner import CHANGES, FIRM, HEADER, LOGIN, NEW_PHONE, Run

pytestmark = pytest.mark.usefixtures("serial_moto")


@pytest.fixture
def bare(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Install no service, and remove every setting from the environment."""
    make_world()
    runtime.install(None)
    for name in (*SETTINGS, "SECRETS_ID", "TABLE_PREFIX"):
        # Set first, so that what a command sets is removed after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_missing_settings_are_named(run_ops: Run, bare: pytest.MonkeyPatch) -> None:
    """One sentence names all of them."""
    ran = run_ops("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (1, "settings")
    assert "SITE_URL is missing" in ran.json["message"]
    assert "CODE_PEPPER is missing" in ran.json["message"]


def test_settings_come_from_the_environment(run_ops: Run, bare: pytest.MonkeyPatch) -> None:
    """As for the service itself."""
    for name, value in SETTINGS.items():
        bare.setenv(name, value)
    assert run_ops("account", LOGIN, "--json").json["error"] == "account-not-found"


def test_settings_come_from_the_named_secret(run_ops: Run, bare: pytest.MonkeyPatch) -> None:
    """SECRETS_ID names it, as for the service; an unreadable one is reported."""
    bare.setenv("SECRETS_ID", "elsewhere")
    ran = run_ops("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (1, "secret")
    assert "ResourceNotFoundException" in ran.json["message"]
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="elsewhere", SecretString="{}")
    incomplete = run_ops("account", LOGIN, "--json").json
    assert incomplete["error"] == "settings"
    assert "SITE_URL is missing" in incomplete["message"]
    secrets.put_secret_value(SecretId="elsewhere", SecretString=json.dumps(SETTINGS))
    assert run_ops("account", LOGIN, "--json").json["error"] == "account-not-found"


def test_settings_come_from_the_deployment_s_secret(run_ops: Run, bare: pytest.MonkeyPatch) -> None:
    """Without settings in the environment, the template's secret is read by its prefix."""
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
    assert run_ops("account", LOGIN, "--json").json["error"] == "settings"
    assert "SECRETS_ID" not in os.environ
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="recovery/settings", SecretString="{}")
    incomplete = run_ops("account", LOGIN, "--json").json
    assert incomplete["error"] == "settings"
    assert "SITE_URL is missing" in incomplete["message"]
    bare.delenv("SECRETS_ID")
    secrets.put_secret_value(SecretId="recovery/settings", SecretString=json.dumps(SETTINGS))
    assert run_ops("account", LOGIN, "--json").json["error"] == "account-not-found"


@pytest.mark.parametrize("prefix", [None, "other"])
def test_an_undeclared_secret_has_the_local_stack_s_name(
    run_ops: Run, bare: pytest.MonkeyPatch, prefix: str | None
) -> None:
    """So that commands need only credentials and an endpoint there."""
    template = {"Parameters": {"TablePrefix": {"Default": "recovery"}}, "Resources": {}}
    bare.setattr(session, "load_template", lambda: template)
    settings = dict(SETTINGS)
    if prefix:
        bare.setenv("TABLE_PREFIX", prefix)
        create_tables(boto3.client("dynamodb"), prefix)
    resources = Resources(template, prefix or "recovery", REGION)
    resources.make_secrets(boto3.client("secretsmanager"), lambda: settings)
    assert run_ops("account", LOGIN, "--json").json["error"] == "account-not-found"


def test_a_missing_region_is_reported(
    run_ops: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request is sent; a local stack has its own region."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    ran = run_ops("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (2, "region")
    assert session.LOCAL_REGION == REGION
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert run_ops("account", LOGIN, "--json").status == 0
    assert os.environ["AWS_REGION"] == REGION


def test_without_an_identity_nothing_is_changed(
    run_ops: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller without a known identity may only read."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    for name, arguments in CHANGES.items():
        ran = run_ops(name, *arguments, "--reason", "x", "--json")
        assert (ran.status, ran.json["error"]) == (1, "identity")
        assert "EndpointConnectionError" in ran.json["message"]
    assert world.login_item().phone == PHONE
    assert AuditItem.count() == 0


@pytest.fixture
def local_aws() -> Iterator[str]:
    """A local AWS at an endpoint, with the tables."""
    aws = LocalAws()
    aws.start()
    try:
        create_tables(boto3.client("dynamodb", endpoint_url=aws.url), "recovery")
        yield aws.url
    finally:
        aws.close()


def local_environment(url: str) -> dict[str, str]:
    """Return the environment of a command against a local AWS."""
    return {
        **SETTINGS,
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }


ENCODINGS = (
    ("gbk", {"PYTHONIOENCODING": "gbk"}),
    # Without these two, Python uses UTF-8 in the locale C by itself.
    ("utf-8", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    ("utf-8", {"PYTHONIOENCODING": "ascii:strict"}),
    ("utf-8", {"LC_ALL": "C"}),
    ("utf-8", {"LC_ALL": "C.UTF-8"}),
)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("encoding", "variables"), ENCODINGS)
def test_a_report_is_printed_in_any_encoding(
    local_aws: str,
    firms_file: Path,
    encoding: str,
    variables: dict[str, str],
    as_json: bool,
) -> None:
    """Characters outside the encoding are escaped, UTF-8 replaces ASCII; the exit status is that of the refused row."""
    firms_file.write_text(HEADER.replace("name,", "\U00020bb7name,", 1), "utf-8")
    form = ["--json"] if as_json else []

    def run_ops(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "infra.ops", *arguments, *form],
            env={**local_environment(local_aws), **variables},
            capture_output=True,
            timeout=300,
            check=False,
        )

    ran = run_ops("import", str(firms_file), "--reason", "x")
    assert ran.returncode == 1
    out, err = ran.stdout.decode(encoding), ran.stderr.decode(encoding)
    assert "Traceback" not in err
    if as_json:
        assert "\U00020bb7name" in json.loads(out)["message"]
    elif encoding == "utf-8":
        assert "\U00020bb7name" in err
    else:
        assert "\\U00020bb7name" in err
    firms_file.write_text(HEADER + FIRM.replace("32990002", "\U00020bb7"), "utf-8")
    ran = run_ops("import", str(firms_file), "--reason", "x")
    assert ran.returncode == 1
    out = ran.stdout.decode(encoding)
    assert "Traceback" not in ran.stderr.decode(encoding)
    if as_json:
        assert json.loads(out)["refused"][0]["firm_no"] == "\U00020bb7"
    else:
        # Rich folds a long escape.
        assert ("\U00020bb7" if encoding == "utf-8" else "U00020bb7") in out


def test_the_command_runs_against_a_local_stack(local_aws: str, firms_file: Path) -> None:
    """`python -m infra.ops` with credentials and AWS_ENDPOINT_URL: import, look, change, look."""
    environment = local_environment(local_aws)

    def run_ops(*arguments: str) -> Any:
        command = [sys.executable, "-m", "infra.ops", *arguments, "--json"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run_ops("import", str(firms_file), "--reason", "首批")["loaded"] == 1
    assert run_ops("account", "32990002")["phone"] == "138****1234"
    assert (
        run_ops("phone", "32990002", NEW_PHONE, "--reason", "本人来函")["notified"][0]["outcome"]
        == "sent"
    )
    events = run_ops("audit", "32990002")
    assert {event["event"] for event in events} == {"phone-changed", "break-glass", "enrolled"}
    assert all(event["actor"].startswith("arn:") for event in events)


def test_a_one_time_code_is_requested_once(local_aws: str, tmp_path: Path) -> None:
    """Every session of the command uses the credentials that the code has brought."""
    config = tmp_path / "config"
    config.write_text(
        "[profile operator]\n"
        "role_arn = arn:aws-cn:iam::123456789012:role/operator\n"
        "source_profile = source\n"
        "mfa_serial = arn:aws-cn:iam::123456789012:mfa/zhang\n"
        "[profile source]\n"
        "aws_access_key_id = testing\n"
        "aws_secret_access_key = testing\n"
    )
    environment = local_environment(local_aws)
    del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    ran = subprocess.run(
        [sys.executable, "-m", "infra.ops", "unlock", LOGIN, "--reason", "x", "--json"],
        env={
            **environment,
            **probes.passed_on(),
            "AWS_CONFIG_FILE": str(config),
            "AWS_PROFILE": "operator",
        },
        # One line: a second request for a code would end in an EOFError.
        input="123456\n",
        capture_output=True,
        text=True,
        # Without a terminal of its own, the code is read from standard input.
        start_new_session=True,
        timeout=300,
        check=False,
    )
    assert json.loads(ran.stdout)["error"] == "account-not-found", ran.stdout
    assert ran.stderr.count("Enter MFA code") == 1
