"""Slips of the environment are named in one sentence each; botocore itself reads it, and the files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.tokens import SSOTokenProvider
from botocore.utils import ContainerMetadataFetcher

from chalicelib.domain.catalogue import fill
from chalicelib.store.models import AuditItem
from infra.ops import words
from tests.support import probes
from tests.support.ops_runner import CHANGES, LOGIN, REASON, Run

pytestmark = pytest.mark.usefixtures("serial_moto")

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
SSO = """[default]
sso_session = office
sso_account_id = 123456789012
sso_role_name = operator
[sso-session office]
sso_region = cn-north-1
sso_start_url = https://office.awsapps.cn/start
"""
MFA = """[profile operator]
role_arn = arn:aws-cn:iam::123456789012:role/operator
source_profile = source
mfa_serial = arn:aws-cn:iam::123456789012:mfa/zhang
[profile source]
aws_access_key_id = a
aws_secret_access_key = b
"""


def refused(run: Run, sentence: str, secret: str = "secret") -> None:
    """Assert that reading and changing end with the sentence and status 2, and write nothing."""
    for arguments in (("account", LOGIN), ("unlock", *CHANGES["unlock"], *REASON)):
        ran = run(*arguments)
        assert (ran.status, ran.out) == (2, "")
        assert sentence in ran.err
        # One sentence, after the prompt that getpass may have printed.
        assert ran.err.rstrip().endswith(sentence)
        as_json = run(*arguments, "--json")
        assert (as_json.status, as_json.json["error"]) == (2, "environment")
        assert as_json.json["message"] == sentence
        for text in (ran.err, as_json.out, as_json.err):
            assert "Traceback" not in text
            assert secret not in text
    assert AuditItem.count() == 0


@pytest.mark.parametrize("name", [*KEYS, "AWS_DEFAULT_REGION", "AWS_REGION"])
@pytest.mark.parametrize("end", ["\r", "\n", " ", "\u200b", "。"])
def test_a_variable_with_a_foreign_character_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, name: str, end: str
) -> None:
    """The value is not shown."""
    environment.setenv(name, f"secret{end}")
    refused(run_ops, words.VARIABLE_WRONG.replace("$name", name))


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
@pytest.mark.parametrize(
    "value",
    ["127.0.0.1:9", "localhost:9", "localhost", "http://", "http://[::1", "http://h:x", "ftp://h"],
)
def test_an_endpoint_that_is_no_url_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """For all services or for one of them."""
    environment.setenv(name, value)
    refused(run_ops, words.ENDPOINT_WRONG.replace("$name", name))


def test_an_unknown_profile_is_named(run_ops: Run, environment: pytest.MonkeyPatch) -> None:
    """It is in neither of the files."""
    environment.setenv("AWS_PROFILE", "offfice")
    refused(run_ops, words.PROFILE_UNKNOWN.replace("$name", "offfice"))


@pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize("content", [b"secret\n", b"[default\nsecret", b"\xff\xfe[\x00d\x00"])
def test_an_unparsable_file_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes
) -> None:
    """With its path; the line is not quoted."""
    for key in KEYS:
        environment.delenv(key, raising=False)
    (tmp_path / name).write_bytes(content)
    refused(run_ops, words.CONFIG_UNPARSABLE.replace("$path", str(tmp_path / name)))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("", words.CREDENTIALS_MISSING),
        (SSO, words.SSO_NOT_SIGNED_IN),
        (SSO.replace("sso_session = office", "sso_region = cn-north-1\nsso_start_url = https://x"),
         words.SSO_NOT_SIGNED_IN),
        ("[default]\naws_access_key_id = secret\n", words.CREDENTIALS_PARTIAL),
        ("[default]\nrole_arn = arn:aws-cn:iam::1:role/x\nsource_profile = secret\n",
         words.CONFIG_CONTRADICTORY),
    ],
)  # fmt: skip
def test_missing_credentials_are_named(
    run_ops: Run,
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    config: str,
    sentence: str,
) -> None:
    """None at all, not signed in, or an incomplete profile."""
    for key in KEYS:
        environment.delenv(key, raising=False)
    (tmp_path / "AWS_CONFIG_FILE").write_text(config)
    refused(run_ops, sentence)


def test_an_expired_sign_in_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The token is in botocore's cache and cannot be refreshed."""
    for key in KEYS:
        environment.delenv(key, raising=False)
    (tmp_path / "AWS_CONFIG_FILE").write_text(SSO)
    cached = {
        "accessToken": "secret",
        "expiresAt": "2020-01-01T00:00:00Z",
        "region": "cn-north-1",
    }
    # The file's name is the digest of the session's name.
    name = hashlib.sha1(b"office", usedforsecurity=False).hexdigest()
    (tmp_path / f"{name}.json").write_text(json.dumps(cached))
    environment.setattr(SSOTokenProvider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
    refused(run_ops, words.SSO_NOT_SIGNED_IN)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("/nowhere/program secret", "FileNotFoundError"),
        ("/ secret", "PermissionError"),
        ("/bin/false secret", "CredentialRetrievalError"),
        ("/bin/echo secret", "JSONDecodeError"),
        ("/bin/echo []", ""),
        ("/bin/echo {}", "CredentialRetrievalError"),
        ('/bin/echo {\\"Version\\":1}', ""),
    ],
)
def test_a_failing_credential_process_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, tmp_path: Path, command: str, kind: str
) -> None:
    """Its output is not shown."""
    for key in KEYS:
        environment.delenv(key, raising=False)
    (tmp_path / "AWS_CONFIG_FILE").write_text(f"[default]\ncredential_process = {command}\n")
    ran = run_ops("account", LOGIN)
    assert (ran.status, ran.out) == (2, "")
    assert words.PROCESS_FAILED.partition("（$")[0] in ran.err
    assert kind in ran.err
    assert "secret" not in ran.err
    assert run_ops("account", LOGIN, "--json").json["error"] == "environment"


def test_a_one_time_code_without_a_terminal_is_named(tmp_path: Path) -> None:
    """Getpass opens the terminal itself, so that the command needs a session without one."""
    config = tmp_path / "config"
    config.write_text(MFA)
    ran = subprocess.run(
        [sys.executable, "-m", "infra.ops", "account", LOGIN],
        env={
            **probes.passed_on(),
            "PATH": os.environ["PATH"],
            "AWS_CONFIG_FILE": str(config),
            "AWS_PROFILE": "operator",
            "AWS_DEFAULT_REGION": "cn-north-1",
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.rstrip().endswith(words.MFA_WITHOUT_TERMINAL)
    assert "Traceback" not in ran.stderr
    assert "GetPassWarning" not in ran.stderr


def test_a_key_with_a_control_character_in_the_file_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It would end in a header that cannot be sent."""
    for key in KEYS:
        environment.delenv(key, raising=False)
    keys = "[default]\naws_access_key_id = a\naws_secret_access_key = secret\x07\n"
    (tmp_path / "AWS_SHARED_CREDENTIALS_FILE").write_text(keys)
    refused(run_ops, words.KEY_WRONG)


def test_a_profile_with_a_control_character_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch
) -> None:
    """Before it is looked up."""
    environment.setenv("AWS_PROFILE", "secret\r")
    refused(run_ops, words.VARIABLE_WRONG.replace("$name", "AWS_PROFILE"))


def test_credentials_that_a_container_does_not_provide_are_named(
    run_ops: Run, environment: pytest.MonkeyPatch
) -> None:
    """With botocore's name of the provider."""
    for key in KEYS:
        environment.delenv(key, raising=False)
    environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/secret")
    environment.setattr(ContainerMetadataFetcher, "RETRY_ATTEMPTS", 1)
    environment.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    refused(run_ops, fill(words.CREDENTIALS_NOT_RETRIEVED, provider="container-role"))


def test_a_configured_endpoint_that_is_no_url_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the file it is found by the first client."""
    (tmp_path / "AWS_CONFIG_FILE").write_text("[default]\nendpoint_url = localhost:9\n")
    ran = run_ops("unlock", *CHANGES["unlock"], *REASON)
    assert ran.status == 1
    assert words.AWS_ADVICE["InvalidEndpoint"] in ran.err
