"""Attacks 29 to 31: truncated secrets, short ids, and secrets in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import altcha
import pytest
import segno
from chalice.test import HTTPResponse

from app import app
from chalicelib.handlers import recovery
from chalicelib.handlers.http import payloads
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.services.qr_scenes import page_of
from chalicelib.services.recovery import Recovery
from chalicelib.services.wechat_login import WechatLogin
from tests.conftest import PASSWORD, MakeWorld, World, add_firm
from tests.security.actions import CountingHasher, claims_in, guess
from tests.security.mutation import SourceMutation, Value, attack
from tests.support.wechat_platform import EXCHANGE, WeChat, playing

# Chalice's own test client lets every signature pass; the test of the local stack checks them.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

# 63 characters: one less than the policy's maximum.
LONG = "Aa1-" + ("春眠不觉晓处处闻啼鸟夜来风雨声花落知多少" * 3)[:59]


def is_right(world: World, password: str) -> bool:
    question = {"login": "11010148", "password": password}
    answer = world.call("POST", "/credentials/verify", question)
    assert answer.status_code == 200, answer.body
    return bool(answer.json_body["valid"])


@attack(
    29,
    SourceMutation(
        PasswordHasher._pepper,
        'normalise(password).encode("utf-8", "surrogatepass")',
        'normalise(password).encode("utf-8", "surrogatepass")[:72]',
    ),
)
def test_the_last_character_of_the_longest_password_counts(world: World) -> None:
    """Nothing is truncated, for example after 72 bytes as by bcrypt."""
    token = world.token()
    world.send(token)
    longest = LONG + "甲"
    assert world.confirm(token, world.phones.codes[0], longest).status_code == 200
    assert is_right(world, longest)
    for other in (LONG + "乙", LONG, longest + "甲"):
        assert not is_right(world, other)


@attack(
    29,
    SourceMutation(
        payloads._text,
        'if size > limit:\n        raise InvalidInput(name, INPUT_REASONS["too-long"])',
    ),
    SourceMutation(
        payloads.json_object,
        'if len(raw) > MAXIMUM_BODY:\n        raise InvalidInput("body", INPUT_REASONS["body-too-large"])',
    ),
)
def test_an_oversized_password_is_refused_before_hashing(world: World) -> None:
    """1,025 bytes before anything is counted or hashed; five megabytes before JSON is parsed."""
    hasher = CountingHasher(world)
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    for size, field in ((1_025, "password"), (5_000_000, "body")):
        password = "Aa1-" + "x" * (size - 4)
        question = {"login": "11010148", "password": password}
        asked = world.call("POST", "/credentials/verify", question)
        confirmed = world.confirm(token, code, password)
        for answer in (asked, confirmed):
            assert (answer.status_code, answer.json_body.get("field")) == (422, field)
    assert hasher.computations == 0
    assert not world.login_item().failures
    assert guess(world, token, code) == "right"


def _short_nonces(*args: object, **kwargs: object) -> altcha.Challenge:
    made = _create(*args, **kwargs)  # type: ignore[arg-type]
    made.parameters.nonce = made.parameters.nonce[:8]
    return made


_create = altcha.create_challenge


@attack(
    30,
    SourceMutation(Recovery.start, "secrets.token_hex(16)", "secrets.token_hex(8)"),
    SourceMutation(Recovery.start, "secrets.token_hex(16)", "f'{now:032x}'"),
    SourceMutation(WechatLogin.begin, "secrets.token_hex(16)", "secrets.token_hex(8)"),
    Value(altcha, "create_challenge", _short_nonces),
)
def test_ids_have_128_random_bits(make_world: MakeWorld) -> None:
    """Ids of recoveries, OAuth states and proofs of work: every bit takes both values."""
    most = 48
    world = make_world(
        LIMIT_STARTS_PER_REQUESTER_LOGIN_HOUR=f"{most}", LIMIT_STARTS_PER_ADDRESS_HOUR=f"{most}"
    )
    add_firm(world.service.hasher)
    recoveries, states, proofs = set(), set(), set()
    for _ in range(most):
        recoveries.add(str(claims_in(world.token())[0]))
        url = urlsplit(world.call("GET", "/wechat/enter").headers["Location"])
        states.add(parse_qs(url.query)["state"][0])
        proofs.add(world.call("GET", "/proof").json_body["parameters"]["nonce"])
    for ids in (recoveries, states, proofs):
        assert len(ids) == most
        # A random bit has the same value 48 times in one of 2^47 runs.
        assert _bits(ids) >= 128


def _bits(ids: set[str]) -> int:
    """Return the number of bits that differ among these hexadecimal numbers."""
    numbers = [int(one, 16) for one in ids]
    changing = 0
    for number in numbers:
        changing |= number ^ numbers[0]
    return changing.bit_count()


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform, which returns the openid o-canary."""
    with playing() as platform:
        granted = {"access_token": "a", "expires_in": 7200, "openid": "o-canary", "scope": "x"}
        platform.answers[EXCHANGE] = [granted]
        yield platform


@attack(
    31,
    SourceMutation(
        WechatLogin.complete,
        "None if openid else SNAPSHOT), openid)",
        'None if openid else SNAPSHOT) + "#" + str(openid), openid)',
    ),
    SourceMutation(
        WechatLogin.begin,
        "oauth_state.nonce), oauth_state",
        "oauth_state.nonce + str(scene)), oauth_state",
    ),
    SourceMutation(
        recovery.start,
        "_qr(service.wechat_login.follow_link(started.scene))",
        '_qr(service.wechat_login.follow_link(started.scene) + "&token=" + started.token)',
    ),
)
def test_no_url_of_the_service_has_a_secret(make_world: MakeWorld, wechat: WeChat) -> None:
    """Neither redirects, nor the QR code, nor links of the page."""
    world = make_world(WECHAT_API_URL=wechat.url)
    add_firm(world.service.hasher)
    expires = world.clock.time + 1_800
    started = world.start(openid=None).json_body
    page_id = page_of(world.service.recovery.read(started["token"]).recovery)
    scene = world.service.scenes.make("11010148", expires, page_id)
    # Without WeChat the QR code has the service's own URL, with the login only.
    link = f"https://recovery.example/wechat/enter?scene={scene}"
    drawn = segno.make(link, error="m")
    assert started["qr"] == str(drawn.svg_data_uri(scale=4, border=2, dark="#000", light="#fff"))
    assert started["token"] not in link
    assert scene.split(".")[:2] == ["11010148", f"{expires:x}"]

    redirect = world.call("GET", f"/wechat/enter?scene={scene}")
    sent_to = urlsplit(redirect.headers["Location"])
    query = parse_qs(sent_to.query)
    assert set(query) == {"appid", "redirect_uri", "response_type", "scope", "state"}
    assert query["redirect_uri"] == ["https://recovery.example/wechat/enter"]
    assert len(query["state"][0]) == 32

    state_cookie = _cookie(redirect)
    back = f"/wechat/enter?code=oauth-code&state={query['state'][0]}"
    arrived = world.call("GET", back, headers={"Cookie": state_cookie})
    shown = f"https://recovery.example/?login=11010148&scene={scene}"
    assert arrived.headers["Location"] == shown

    page = world.call("GET", "/?login=11010148", headers={"Cookie": _cookie(arrived)})
    assert 'data-inside="1"' in page.body.decode()
    assert "o-canary" not in page.body.decode()
    assert _cookie(arrived).partition("=")[2] not in page.body.decode()


def _cookie(answer: HTTPResponse) -> str:
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


@attack(
    31,
    SourceMutation(
        payloads.bearer,
        'str(request.headers.get("authorization", ""))',
        'str(request.headers.get("authorization") or (request.query_params or {}).get("token", ""))',
    ),
)
def test_no_secret_is_accepted_in_a_url(world: World) -> None:
    """Token, code and password in a query are ignored; only paths of receipts have a secret.

    The token in a notice's link permits nothing but the freezing of a login (attack 92).
    """
    token = world.token()
    world.send(token)
    in_query = f"token=Bearer%20{token}"
    assert world.call("GET", f"/recovery?{in_query}").status_code == 401
    assert world.call("POST", f"/recovery/code?{in_query}", {}).status_code == 401
    code = world.phones.codes[0]
    query = f"/recovery/password?code={code}&password={PASSWORD}"
    answer = world.call("POST", query, {}, token=token)
    assert (answer.status_code, answer.json_body["field"]) == (422, "code")
    placed = {route for route in app.routes if "{" in route}
    # Logins, firm numbers, ids of proposals and marks of visitors are no secrets.
    at_the_desk = {"login", "firm_no", "proposal_id", "requester"}
    desk = {route for route in placed if route.startswith("/support/api/")}
    assert {name for route in desk for name in re.findall(r"{(\w+)}", route)} == at_the_desk
    assert {route for route in placed - desk if not route.startswith("/receipts/")} == {
        "/assets/{name}",
        "/support/assets/{name}",
        "/{proxy+}",
    }
