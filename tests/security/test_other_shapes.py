"""Signed texts, bodies and events of another release's shape: attack 75."""

from __future__ import annotations

import base64
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from chalice.app import SQSEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from app import app
from chalicelib.handlers import receipts, wechat, yearly_reset
from chalicelib.handlers.http import cookies, payloads
from chalicelib.security.proof_of_work import Proofs
from chalicelib.security.tokens import RecoveryClaims, Signer, Tokens
from chalicelib.services.qr_scenes import QrScenes
from tests.conftest import SETTINGS, World
from tests.package.runtime import api_event
from tests.security.mutation import SourceMutation, attack
from tests.support.log_capture import watching

SURROGATE = "\ud800"

CLAIMS = RecoveryClaims(
    recovery="0" * 32,
    login="11010148",
    method="sms",
    version=1,
    epoch=0,
    started_at=1_800_000_000,
    phone="+8613800001234",
    default=None,
    bound_openid=None,
    visitor_openid="o-alice",
    scanned_page=None,
)


def tokens(world: World) -> Tokens:
    """Return what makes tokens of claims."""
    return Tokens(world.service.signer, world.service.sealer)


def signed_fields(world: World) -> list[Any]:
    """Return the signed part of a valid token."""
    value = world.service.signer.verify("recovery", tokens(world).issue(CLAIMS))
    assert isinstance(value, list)
    return value


def status(event: dict[str, Any]) -> tuple[int, str]:
    """Return the status and the problem's code with which the function answers an event."""
    answer = app(event, SimpleNamespace(aws_request_id="r"))
    body = answer["body"]
    # What Lambda does with an answer: a text without a form in UTF-8 would be a failure there.
    raw = body if isinstance(body, bytes) else body.encode()
    is_json = "json" in str(answer["headers"].get("Content-Type", ""))
    return answer["statusCode"], json.loads(raw).get("code", "") if is_json else ""


def no_failure(event: dict[str, Any]) -> tuple[int, str]:
    """Return what `status` does; an exception is a failed assertion."""
    try:
        return status(event)
    except Exception as error:
        pytest.fail(f"the function failed: {error!r}")


def with_token(token: str) -> dict[str, Any]:
    """Return the event of a recovery's progress with this token."""
    return api_event("GET", "/recovery", Authorization=f"Bearer {token}")


def with_query(path: str, **query: str) -> dict[str, Any]:
    """Return the event of a GET with these parameters."""
    return {
        **api_event("GET", path),
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
    }


def with_body(path: str, body: str, *, is_base64: bool = False) -> dict[str, Any]:
    """Return the event of a POST with this body, as API Gateway passes it on."""
    return {**api_event("POST", path), "body": body, "isBase64Encoded": is_base64}


@attack(
    75,
    SourceMutation(Signer.verify, "if not has_shape(envelope, (int, object)):", "if False:"),
    SourceMutation(Tokens.read, "if not has_shape(value, _SIGNED_FIELDS):", "if value is None:"),
    SourceMutation(Tokens.read, "if not has_shape(hidden, _SEALED_FIELDS):", "if hidden is None:"),
    SourceMutation(Tokens._unsealed, "except (ValueError, RecursionError):", "except OSError:"),
)
def test_a_signed_token_of_another_shape_is_no_token(world: World) -> None:
    """Fewer fields, more of them, others in their places: the recovery has ended, as for a forged one."""
    service = world.service
    fields = signed_fields(world)
    sealed = [
        service.sealer.seal("claims " + CLAIMS.recovery, text)
        for text in ("", "{}", "[]", "null", "[1,null,null,null,null]", "[null,null,null,null]")
    ]
    values: list[Any] = [
        None,
        1,
        "a",
        {},
        [],
        fields[:-1],
        [*fields, None],
        dict.fromkeys("abcdef"),
    ]
    for index in range(len(fields)):
        others: list[Any] = [None, 1, True, 1.5, "x", [], {}]
        values += [
            [*fields[:index], other, *fields[index + 1 :]]
            for other in others
            # A number more or less is a claim of the same shape.
            if type(other) is not type(fields[index]) or isinstance(other, str)
        ]
    values += [[*fields[:-1], text] for text in sealed]
    surrogates = json.dumps([SURROGATE, None, None, "o-alice", None])
    values.append([*fields[:-1], service.sealer.seal("claims " + CLAIMS.recovery, surrogates)])
    values.append([fields[0], SURROGATE, *fields[2:]])
    for value in values:
        token = service.signer.sign("recovery", value, 60)
        assert no_failure(with_token(token)) == (401, "recovery-expired"), value
    for text in ('{"a":1,"b":2}', '["2","a"]', "[null,1]", "1", '"ab"', "[true,1]", "[" * 5_000):
        written = base64.urlsafe_b64encode(text.encode()).rstrip(b"=")
        token = service.signer._signer("recovery").sign(written).decode()
        assert no_failure(with_token(token)) == (401, "recovery-expired"), text
    assert no_failure(with_token(tokens(world).issue(CLAIMS)))[0] == 200


@attack(
    75,
    SourceMutation(
        cookies._oauth_states,
        "has_shape(value, shape)",
        "isinstance(value, list)",
    ),
    SourceMutation(cookies.visitor_openid, " and openid"),
    SourceMutation(QrScenes.read, "except ValueError:", "except OSError:"),
)
def test_a_signed_cookie_or_scene_of_another_shape_is_none(world: World) -> None:
    """The browser is then one without cookies, and the scene one that is too old."""
    service = world.service

    def cookie(name: str, value: Any, suffix: str = "") -> str:
        return cookies._write(service, name, value, 60, suffix).partition(";")[0]

    states: list[Any] = [
        None,
        1,
        "a",
        {},
        [],
        ["n"],
        [1, None],
        ["n", None],
        ["n", None, 1],
        ["n", 1, None, 1],
        ["n", None, 1, 1],
        ["n", None, None, None],
        ["n", None, None, True],
        ["n", None, None, 1, 1],
        [None, None, None, 1],
        [SURROGATE, None, None, 1],
    ]
    for value in states:
        event = with_query("/wechat/enter", code="c", state="n")
        event["headers"]["Cookie"] = cookie("oauth_state", value, "0123abcd")
        assert no_failure(event) == (401, "recovery-expired"), value
    openids: list[Any] = [None, 1, "", [], ["o-alice"], {}, SURROGATE]
    for other in openids:
        event = api_event("POST", "/recovery", {"user_type": "firm", "login": "11010148"})
        event["headers"]["Cookie"] = cookie("wechat", other)
        answer = app(event, SimpleNamespace(aws_request_id="r"))
        # Outside WeChat the person is asked to follow the account first.
        assert json.loads(answer["body"]).get("method") == "follow", other
    for body in ("11010148.never", "11010148", "v2.11010148.", "."):
        scene = f"{body}.{QrScenes._mac(SETTINGS['SIGNING_KEYS'].encode(), body)}"
        assert no_failure(with_query("/wechat/enter", scene=scene))[0] == 302, scene


@attack(
    75,
    SourceMutation(payloads.raw_body, "except ValueError:", "except OSError:"),
    SourceMutation(payloads._unique, '"".join(found).encode()', "pass"),
    SourceMutation(payloads._text, "except UnicodeEncodeError:", "except OSError:"),
    SourceMutation(wechat._parameter, "except UnicodeEncodeError:", "except OSError:"),
)
def test_text_without_a_form_in_utf_8_is_a_wrong_input(world: World) -> None:
    """Lone surrogates in names, values and queries, bad base64, bytes that are not UTF-8: a 4xx."""
    token = world.token()
    latin = base64.b64encode('{"login":"é"}'.encode("latin-1")).decode()
    for path in ("/recovery", "/recovery/code", "/recovery/password", "/recovery/unbinding"):
        bodies = [
            with_body(path, json.dumps({name: value}))
            for name, value in [
                (SURROGATE, "x"),
                ("login", SURROGATE),
                ("password", f"New-password-1{SURROGATE}"),
                ("code", f"12345{SURROGATE}"),
                ("nested", {SURROGATE: {}}),
            ]
        ]
        bodies += [
            with_body(path, f'{{"login":"{SURROGATE}"}}'),
            with_body(path, "a", is_base64=True),
            with_body(path, "é", is_base64=True),
            with_body(path, f"{SURROGATE}aaa", is_base64=True),
            with_body(path, latin, is_base64=True),
        ]
        for event in bodies:
            event["headers"]["Authorization"] = f"Bearer {token}"
            assert no_failure(event) == (422, "invalid-input"), event
    for path in ("/wechat/callback", "/receipts/aliyun/x"):
        event = with_body(path, "a", is_base64=True)
        event["pathParameters"] = {"key": "x"}
        event["requestContext"]["resourcePath"] = path.replace("/x", "/{key}")
        assert 400 <= no_failure(event)[0] < 500
    for query in ({"code": "c", "state": SURROGATE}, {"code": SURROGATE}, {"scene": SURROGATE}):
        assert no_failure(with_query("/wechat/enter", **query)) == (422, "invalid-input")
    for name in ("signature", "echostr", "timestamp", "nonce"):
        assert 400 <= no_failure(with_query("/wechat/callback", **{name: SURROGATE}))[0] < 500
    assert no_failure(with_query("/proof", login=SURROGATE)) == (422, "invalid-input")


@attack(
    75,
    SourceMutation(yearly_reset.work, "except Exception as error:", "except OSError as error:"),
    SourceMutation(
        receipts.from_logs, "(vendors.ReceiptError, KeyError, TypeError)", "vendors.ReceiptError"
    ),
)
def test_an_event_of_another_shape_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that cannot be read is returned alone, and a batch of logs is dropped."""
    taken: list[Any] = []

    class Reset:
        def process(self, message: Any, **_: Any) -> None:
            taken.append(message["year"])

    monkeypatch.setitem(world.service.__dict__, "yearly_reset", Reset())
    bodies = ["", "null", "[]", "1", "{", '{"chunk":1}', f'"{SURROGATE}"', '{"year":2027}']
    records = [
        {
            "messageId": f"m{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for number, body in enumerate(bodies)
    ]
    del records[0]["attributes"]
    context: Any = SimpleNamespace(aws_request_id="r")
    event = SQSEvent({"Records": records}, context)
    try:
        answer = yearly_reset.work(event)
    except Exception as error:
        pytest.fail(f"the whole batch failed: {error!r}")
    returned = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert returned == [record["messageId"] for record in records[:-1]]
    assert taken == [2027]
    batches: list[Any] = [
        {},
        {"awslogs": None},
        {"awslogs": {"data": 1}},
        {"awslogs": {"data": "a"}},
        [],
    ]
    for data in batches:
        try:
            assert receipts.from_logs(data) == {"receipts": 0, "found": 0}
        except Exception as error:
            pytest.fail(f"the batch failed: {error!r}")


def test_a_line_with_a_lone_surrogate_is_written() -> None:
    """Otherwise a request could keep the lines of its own failure out of the log."""
    with watching() as watched:
        logging.getLogger("chalicelib.test").warning("a%sb", SURROGATE, extra={"text": SURROGATE})
    (line,) = watched.lines
    assert (line["message"], line["text"]) == ("a\\ud800b", "\\ud800")
    assert watched.text.encode().decode() == watched.text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=8)
    | st.just(SURROGATE),
    lambda items: (
        st.lists(items, max_size=4) | st.dictionaries(st.text(max_size=8), items, max_size=4)
    ),
    max_leaves=8,
)


def test_no_signed_value_makes_a_failure(world: World) -> None:
    """Whatever JSON an earlier or a later release signs."""
    fields = signed_fields(world)
    service = world.service

    @settings(max_examples=120)
    @given(value=JSON, index=st.integers(0, len(fields)))
    def check(value: Any, index: int) -> None:
        for signed in (value, [*fields[:index], value, *fields[index + 1 :]]):
            answer = no_failure(with_token(service.signer.sign("recovery", signed, 60)))
            assert answer[0] in (200, 401), signed
        for name, suffix in (("oauth_state", "0123abcd"), ("wechat", "")):
            event = with_query("/wechat/enter", code="c", state="n")
            kept = cookies._write(service, name, value, 60, suffix)
            event["headers"]["Cookie"] = kept.partition(";")[0]
            assert no_failure(event)[0] < 500, value

    check()


def test_no_proof_makes_a_failure(world: World) -> None:
    """Malformed at any place, and signed with any data."""
    proofs = Proofs([SETTINGS["SIGNING_KEYS"].encode()], world.clock, cost=1)
    challenge = proofs.challenge("recovery", None)
    parts = ["algorithm", "nonce", "salt", "cost", "keyLength", "keyPrefix", "keySignature", "data"]

    @settings(max_examples=200)
    @given(value=JSON, name=st.sampled_from(parts), solution=JSON, counter=JSON, signature=JSON)
    def check(value: Any, name: str, solution: Any, counter: Any, signature: Any) -> None:
        parameters = {**challenge["parameters"], name: value}
        solved = {"counter": counter, "derivedKey": solution}
        for payload in (
            value,
            {"challenge": value, "solution": solved},
            {"challenge": challenge, "solution": solution},
            {"challenge": challenge, "solution": solved},
            {"challenge": {"parameters": parameters, "signature": "0" * 64}, "solution": solved},
            {"challenge": {**challenge, "signature": signature}, "solution": solved},
        ):
            text = base64.b64encode(json.dumps(payload).encode()).decode()
            assert proofs.check(text, "recovery") is None

    check()


def test_no_query_makes_a_failure(world: World) -> None:
    """Any text as any parameter of any GET."""

    @settings(max_examples=100)
    @given(
        path=st.sampled_from(["/", "/proof", "/wechat/enter", "/wechat/callback"]),
        name=st.sampled_from(["login", "entry", "code", "state", "scene", "signature", "nonce"]),
        value=st.text(st.characters() | st.just(SURROGATE), max_size=20),
    )
    def check(path: str, name: str, value: str) -> None:
        assert no_failure(with_query(path, **{name: value}))[0] < 500

    check()
