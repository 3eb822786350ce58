"""Refusals of AWS are named in one sentence each; botocore itself parses the answers of an HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from chalicelib import runtime
from infra.ops import words
from tests.conftest import SETTINGS, MakeWorld
from tests.support.ops_runner import CHANGES, LOGIN, REASON, Run

pytestmark = pytest.mark.usefixtures("serial_moto")

ROLE = """[profile operator]
role_arn = arn:aws-cn:iam::123456789012:role/operator
source_profile = source
[profile source]
aws_access_key_id = a
aws_secret_access_key = b
"""


class Refusing(ThreadingHTTPServer):
    """AWS, which refuses every request with one error code."""

    code = ""

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Refusing)
        code = self.server.code
        if "X-Amz-Target" in self.headers:
            body = json.dumps({"__type": f"com.amazon.coral#{code}", "message": "secret"})
        else:
            body = f"<ErrorResponse><Error><Code>{code}</Code><Message>secret</Message></Error></ErrorResponse>"
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Write no access log."""


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    """AWS at a local port."""
    with Refusing(("127.0.0.1", 0), _Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


CODES = (
    "AccessDeniedException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ResourceNotFoundException",
)


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_of_the_store_is_named(
    run_ops: Run,
    environment: pytest.MonkeyPatch,
    make_world: MakeWorld,
    refusing: Refusing,
    code: str,
) -> None:
    """By its code, with what to do about it."""
    refusing.code = code
    environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", refusing.url)
    make_world(TABLE_PREFIX="refused")
    for arguments in (("account", LOGIN), ("unlock", *CHANGES["unlock"], *REASON)):
        ran = run_ops(*arguments)
        assert ran.status == 1
        assert "DynamoDB没有执行" in ran.err
        assert code in ran.err
        assert words.AWS_ADVICE[code.removesuffix("Exception")] in ran.err
        assert "secret" not in ran.err


@pytest.mark.parametrize("code", CODES)
def test_an_interrupted_import_names_the_refusal(
    run_ops: Run,
    environment: pytest.MonkeyPatch,
    make_world: MakeWorld,
    refusing: Refusing,
    firms_file: Path,
    code: str,
) -> None:
    """The report has it beside the rows that are loaded."""
    refusing.code = code
    environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", refusing.url)
    make_world(TABLE_PREFIX="refused")
    ran = run_ops("import", str(firms_file), *REASON)
    assert ran.status == 1
    flat = ran.out.replace("\n", "")
    assert code in flat
    assert words.AWS_ADVICE[code.removesuffix("Exception")] in flat
    as_json = run_ops("import", str(firms_file), *REASON, "--json")
    assert (as_json.status, as_json.json["interrupted"]) == (1, True)
    assert code in as_json.json["message"]


def test_a_role_that_may_not_be_assumed_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, tmp_path: Path, refusing: Refusing
) -> None:
    """By the code of AWS."""
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(key)
    refusing.code = "AccessDenied"
    environment.setenv("AWS_ENDPOINT_URL_STS", refusing.url)
    environment.setenv("AWS_PROFILE", "operator")
    (tmp_path / "AWS_CONFIG_FILE").write_text(ROLE)
    ran = run_ops("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (1, "identity")
    assert "AccessDenied" in ran.json["message"]


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken", "InvalidClientTokenId"])
def test_a_refusal_of_the_identity_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, refusing: Refusing, code: str
) -> None:
    """Nothing is changed."""
    refusing.code = code
    environment.setenv("AWS_ENDPOINT_URL_STS", refusing.url)
    ran = run_ops("unlock", *CHANGES["unlock"], *REASON, "--json")
    assert (ran.status, ran.json["error"]) == (1, "identity")
    assert code in ran.json["message"]
    assert words.AWS_ADVICE[code] in ran.json["message"]
    assert "secret" not in ran.out + ran.err


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("code", CODES[:-1])
def test_a_refusal_of_the_secret_is_named(
    run_ops: Run,
    environment: pytest.MonkeyPatch,
    refusing: Refusing,
    code: str,
    named: bool,
) -> None:
    """With its name, whether SECRETS_ID names it or the template; it is not called missing."""
    refusing.code = code
    runtime.install(None)
    for name in (*SETTINGS, "SECRETS_ID", "TABLE_PREFIX"):
        environment.delenv(name, raising=False)
    if named:
        environment.setenv("SECRETS_ID", "recovery-settings")
    environment.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", refusing.url)
    ran = run_ops("account", LOGIN, "--json")
    assert (ran.status, ran.json["error"]) == (1, "secret")
    assert "密钥recovery-settings" in ran.json["message"]
    assert code in ran.json["message"]
    assert words.AWS_ADVICE[code.removesuffix("Exception")] in ran.json["message"]


def test_an_unreachable_store_is_named(
    run_ops: Run, environment: pytest.MonkeyPatch, make_world: MakeWorld
) -> None:
    """By botocore's class, not by pynamodb's."""
    environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    make_world(TABLE_PREFIX="refused")
    ran = run_ops("account", LOGIN)
    assert ran.status == 1
    assert "EndpointConnectionError" in ran.err
    assert words.AWS_ADVICE["EndpointConnectionError"] in ran.err
