"""The validation of requests: bodies, tokens, proofs of work, origins, addresses."""

from __future__ import annotations

import base64
import json
from typing import Any

import altcha
import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.handlers.http import payloads
from chalicelib.security.proof_of_work import LIFETIME
from tests.conftest import MakeWorld, World, add_firm

GOOD = {"user_type": "firm", "login": "11010148"}

BODIES = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"\xff\xfe",
    b'{"user_type":"firm","user_type":"firm","login":"11010148"}',
    b'{"login":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"login": NaN}',
    b'{"user_type":"firm","login":null}',
    b'{"user_type":"firm","login":["11010148"]}',
    b'{"user_type":"firm","login":true}',
    b'{"user_type":"firm","login":11010148}',
    b'{"user_type":"firm","login":"\\ud800"}',
    b'{"user_type":"firm","login":"' + b"1" * 300 + b'"}',
    b'{"user_type":"firm","login":"' + b"1" * 9000 + b'"}',
    b'{"user_type":"firm","login":"11010148","phone":"13900005678"}',
    b'{"user_type":"cpa","login":"11010148"}',
    b'{"user_type":"firm"}',
    '{"user_type":"firm","login":"1101014８_сw"}'.encode(),
]


@pytest.mark.parametrize("body", BODIES)
def test_a_malformed_body_names_the_field(world: World, body: bytes) -> None:
    """A 422 with a field and a Chinese sentence, never a 500."""
    answer = world.call("POST", "/recovery", body, openid="o-alice")
    assert answer.status_code == 422, answer.body
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json_body["code"] == "invalid-input"
    assert answer.json_body["field"]
    assert answer.json_body["detail"]


FIELDS: list[
    tuple[
        str,
        type[payloads.Start | payloads.Confirm | payloads.Unbind | payloads.Verify],
        dict[str, str],
    ]
] = [
    ("/recovery", payloads.Start, GOOD),
    ("/recovery/password", payloads.Confirm, {"code": "123456", "password": "New-password-1"}),
    (
        "/recovery/unbinding",
        payloads.Unbind,
        {"firm_no": "11010148", "approval_no": "x", "head_name": "y"},
    ),
    ("/credentials/verify", payloads.Verify, {"login": "11010148", "password": "x"}),
]
EACH = [
    pytest.param(path, good, field, id=f"{path}-{field.name}")
    for path, kind, good in FIELDS
    for field in kind.FIELDS
]


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
@pytest.mark.parametrize(("path", "good", "field"), EACH)
def test_every_field_is_checked_by_its_table(
    world: World, path: str, good: dict[str, str], field: payloads.TextField
) -> None:
    """Absent, blank, one byte too long, of another type or form: the response names this field."""
    token = world.token()

    def refused(body: dict[str, Any]) -> str | None:
        answer = world.call("POST", path, body, token=token)
        if answer.json_body.get("code") != "invalid-input":
            return None
        assert answer.status_code == 422
        return str(answer.json_body["field"])

    other = {name: value for name, value in good.items() if name != field.name}
    assert refused(good) is None
    assert (refused(other) is None) == field.optional
    for value in (None, 1, True, ["x"], "x" * (field.maximum + 1)):
        assert refused({**other, field.name: value}) == field.name, value
    if not field.optional:
        assert refused(other) == refused({**other, field.name: ""}) == field.name
        blank = refused({**other, field.name: " "})
        assert blank == (None if field.blank else field.name)
    if field.reason is not None:
        good_value = good[field.name]
        for value in ("x", f"{good_value}\n", f" {good_value}", f"{good_value}{good_value}"):
            assert refused({**other, field.name: value}) == field.name, value


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
@pytest.mark.parametrize(("path", "kind", "_"), FIELDS)
def test_of_several_missing_fields_the_table_s_first_is_named(
    world: World, path: str, kind: Any, _: object
) -> None:
    """A body without fields is refused by the first one that it must have."""
    answer = world.call("POST", path, {}, token=world.token())
    first = next(field.name for field in kind.FIELDS if not field.optional)
    assert (answer.status_code, answer.json_body["field"]) == (422, first)


def test_the_content_type_is_not_case_sensitive(world: World) -> None:
    """Media types are not case-sensitive."""
    headers = {"Content-Type": "Application/JSON; Charset=UTF-8"}
    assert world.call("POST", "/recovery", GOOD, headers=headers).status_code in (201, 415)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_another_site_is_refused(world: World, kind: str) -> None:
    """Browsers send some content types to other origins without a preflight request."""
    answer = world.call("POST", "/recovery", GOOD, headers={"Content-Type": kind})
    assert answer.status_code in (415, 422)


@pytest.mark.parametrize(
    "code",
    [
        "12345",
        "1234567",
        "12345a",
        "١٢٣٤٥٦",
        "",
        "12345\n6x",
        "１２３４５６７",
        "１２３４５６",
        "123456\n",
    ],
)
def test_a_code_is_six_digits(world: World, code: str) -> None:
    """Anything else is refused before an attempt is counted."""
    token = world.token()
    world.send(token)
    answer = world.confirm(token, code)
    assert (answer.status_code, answer.json_body["field"]) == (422, "code")


@pytest.mark.parametrize("token", [None, "", "x", "é", "a.b", "." * 500])
def test_missing_and_forged_tokens_are_refused_alike(world: World, token: str | None) -> None:
    """Missing and forged tokens are one and the same to the caller."""
    answer = world.call("POST", "/recovery/code", {}, token=token)
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")


def test_a_token_lasts_thirty_minutes(world: World) -> None:
    """And not a second longer."""
    token = world.token()
    world.clock.time += 1799
    assert world.call("GET", "/recovery", token=token).status_code == 200
    world.clock.time += 1
    assert world.call("GET", "/recovery", token=token).status_code == 401


def test_requests_of_another_origin_are_refused(world: World) -> None:
    """The site's own origin is accepted."""
    evil = {"Origin": "https://evil.example"}
    assert world.call("POST", "/recovery", GOOD, headers=evil).status_code == 403
    own = {"Origin": "https://recovery.example"}
    assert world.call("POST", "/recovery", GOOD, headers=own).status_code == 201


def test_the_address_is_the_peer_s_and_no_header_s(make_world: MakeWorld) -> None:
    """A forged X-Forwarded-For does not avoid the limit."""
    world = make_world(LIMIT_STARTS_PER_ADDRESS_HOUR="3")
    add_firm(world.service.hasher)
    statuses = [
        world.call("POST", "/recovery", GOOD, headers={"X-Forwarded-For": f"1.1.1.{n}"}).status_code
        for n in range(5)
    ]
    assert statuses == [201, 201, 201, 429, 429]


def test_a_failure_of_the_store_is_a_503_without_effect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same request succeeds when the store is available again."""
    token = world.token()
    with monkeypatch.context() as down:
        down.setattr(
            "chalicelib.store.sends.transact",
            lambda *_: (_ for _ in ()).throw(Unavailable("store")),
        )
        answer = world.send(token)
        assert (answer.status_code, answer.json_body["code"]) == (503, "unavailable")
    assert not world.phones.sent
    assert world.send(token).status_code == 202


def _solved(world: World, login: str | None) -> str:
    path = "/proof" + (f"?login={login}" if login else "")
    challenge = world.call("GET", path).json_body
    solution = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert solution is not None
    payload = {
        "challenge": challenge,
        "solution": {"counter": solution.counter, "derivedKey": solution.derived_key},
    }
    return base64.b64encode(json.dumps(payload).encode()).decode()


def _start(world: World, login: str, proof: str | None) -> Any:
    body = {"user_type": "firm", "login": login, **({} if proof is None else {"proof": proof})}
    answer = world.call("POST", "/recovery", body, openid="o-alice")
    return answer.status_code, answer.json_body.get("code")


@pytest.mark.parametrize("bound", [True, False])
def test_a_proof_is_valid_once_for_its_login_until_it_expires(
    make_world: MakeWorld, bound: bool
) -> None:
    """Missing, replayed, spliced to another login, forged or late: proof-invalid."""
    world = make_world(PROOF_OF_WORK="1")
    add_firm(world.service.hasher)
    invalid = (400, "proof-invalid")
    assert _start(world, "11010148", None) == invalid
    assert _start(world, "11010148", "bm90IGEgcHJvb2Y=") == invalid
    proof = _solved(world, "11010148" if bound else None)
    if bound:
        assert _start(world, "11010148_cw", proof) == invalid
    assert _start(world, "11010148", proof)[0] == 201
    assert _start(world, "11010148", proof) == invalid
    assert _start(world, "11010148_cw", proof) == invalid
    late = _solved(world, "11010148" if bound else None)
    world.clock.time += LIFETIME
    assert _start(world, "11010148", late) == invalid


@pytest.mark.parametrize("machine", [0, 4_000_000_000])
def test_a_proof_expires_by_the_service_s_clock(
    world: World, monkeypatch: pytest.MonkeyPatch, machine: int
) -> None:
    """Whatever the machine's clock is: 1970 or 2096."""
    monkeypatch.setattr("time.time", lambda: float(machine))
    proofs = world.service.proofs
    assert proofs.check(_solved(world, None), "recovery") is not None
    late = _solved(world, None)
    world.clock.time += LIFETIME
    assert proofs.check(late, "recovery") is None
