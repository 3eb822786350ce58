"""The OpenAPI description, compared with the API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest

from app import app
from chalicelib.handlers.http import desk_payloads, payloads
from chalicelib.handlers.http.problems import STATUSES
from chalicelib.handlers.openapi import route
from chalicelib.handlers.openapi.document import document
from tests.browser.stack import Api, made_up, running
from tests.conftest import World

CONFIG = Path(__file__).with_name("schemathesis.toml")

# Files of the page and what crawlers and WeChat fetch by a fixed name: no API.
NOT_DESCRIBED = {
    "/assets/{name}",
    "/support/assets/{name}",
    "/favicon.ico",
    "/robots.txt",
    "/{proxy+}",
}
# Where vendors push receipts to; who needs the address has it from the operators.
NOT_DESCRIBED |= {"/receipts/aliyun/{key}", "/receipts/tencent/{key}"}


def test_the_description_is_valid_openapi() -> None:
    """OpenAPI 3.1, as JSON."""
    openapi_spec_validator.validate(json.loads(json.dumps(document())))


def test_every_route_is_described_and_nothing_else() -> None:
    """Paths and methods are the routes of the app."""
    routes = {
        (path, method.lower())
        for path, methods in app.routes.items()
        for method in methods
        if path not in NOT_DESCRIBED
    }
    described = {
        (path, method) for path, methods in document()["paths"].items() for method in methods
    }
    assert described == routes


def test_every_error_of_the_code_is_described() -> None:
    """Each error has its schema, with its own code and status."""
    schemas = document()["components"]["schemas"]
    assert {(name, found["properties"]["status"]["const"]) for name, found in schemas.items()} == {
        (kind.code, status) for kind, status in STATUSES.items()
    }


BODIES = {
    "/recovery": payloads.Start,
    "/recovery/password": payloads.Confirm,
    "/recovery/unbinding": payloads.Unbind,
    "/credentials/verify": payloads.Verify,
    "/support/api/logins/{login}/freeze": desk_payloads.Reason,
    "/support/api/logins/{login}/phone": desk_payloads.NewPhone,
    "/support/api/firms/{firm_no}/identity": desk_payloads.IdentityFacts,
    "/support/api/proposals/{proposal_id}/confirm": desk_payloads.ConfirmPhone,
}


@pytest.mark.parametrize(("path", "kind"), BODIES.items())
def test_a_body_is_described_by_the_parser_s_own_table(path: str, kind: Any) -> None:
    """Names, requiredness, lengths, patterns and constants are those that the parser checks."""
    content = document()["paths"][path]["post"]["requestBody"]["content"]
    schema = content["application/json"]["schema"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == [field.name for field in kind.FIELDS]
    assert schema["required"] == [field.name for field in kind.FIELDS if not field.optional]
    for field in kind.FIELDS:
        described = schema["properties"][field.name]
        if field.constant is not None:
            assert described == {"const": field.constant}
            continue
        assert (described["type"], described["maxLength"]) == ("string", field.maximum)
        pattern = described.get("pattern")
        assert pattern == (None if field.pattern is None else f"^{field.pattern}$")
        for example in described.get("examples", ()):
            assert field.accepts(example)


@pytest.fixture
def unread() -> Iterator[None]:
    """Clear the route's cache, as in a new process."""
    route._text.cache_clear()
    yield
    route._text.cache_clear()


@pytest.mark.usefixtures("unread")
def test_a_checkout_serves_the_document_made_from_the_schemas(world: World) -> None:
    """`GET /openapi.json` answers without a packaged file, and a checkout has none."""
    assert not route.PACKAGED.exists()
    answer = world.call("GET", "/openapi.json")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json_body == document()


@pytest.mark.usefixtures("unread")
def test_a_package_serves_its_file(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the file exists, it is the answer."""
    packaged = tmp_path / "openapi.json"
    packaged.write_text('{"openapi": "packaged"}', "utf-8")
    monkeypatch.setattr(route, "PACKAGED", packaged)
    assert world.call("GET", "/openapi.json").json_body == {"openapi": "packaged"}


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Requests made from the description, right and wrong ones, get the answers it promises."""
    _, firm = firms = made_up(2)
    with running(
        tmp_path, firms, LIMIT_STARTS_PER_REQUESTER_LOGIN_HOUR="100000", PROOF_OF_WORK="0"
    ) as local_stack:
        token = Api(local_stack.url, firm.number).start(firm.firm_no)["token"]
        ran = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                f"--config-file={CONFIG}",
                "run",
                f"{local_stack.url}/openapi.json",
                # `ignored_auth` runs on the operations without this header.
                f"--header=Authorization: Bearer {token}",
                "--max-examples=10",
                # Its own limit of ten seconds is too short on a busy machine.
                "--request-timeout=60",
                "--continue-on-failure",
                "--seed=1",
            ],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    # All but the description's own address, which schemathesis leaves out.
    operations = sum(map(len, document()["paths"].values())) - 1
    assert f"Tested: {operations}\n" in ran.stdout
