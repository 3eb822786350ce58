"""Attacks 32 to 36, and 38: relayed QR codes, OAuth, bindings, unbindings, floods of messages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.domain.limits import Limits
from chalicelib.security.tokens import Signer
from chalicelib.services.recovery import Recovery
from chalicelib.services.unbinding import Unbinding
from chalicelib.services.wechat_login import STATE_LIFETIME, WechatLogin
from chalicelib.store import code_updates
from chalicelib.store.bindings import Bindings, add_unbinding
from chalicelib.store.ephemeral_models import OAuthExchangeItem
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.store.oauth_exchanges import OAuthExchanges
from chalicelib.store.sends import Sends
from tests.conftest import PHONE, MakeWorld, World, add_firm
from tests.security.actions import tries
from tests.security.mutation import SourceMutation, Together, attack
from tests.support import cookie_jar
from tests.support.official_account import LINK, WechatWorld, code_in, scene_of
from tests.support.wechat_platform import EXCHANGE, SEND, SENT, WeChat, playing

MAIN, FINANCE, OTHER = "11010148", "11010148_cw", "31000001"
PUBLIC = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}
ANYTHING = "CodeItem.id.exists() | CodeItem.id.does_not_exist()"

NOT_BY_FOLLOW = SourceMutation(Recovery.complete, 'claims.method == "follow"', "False")
BINDS_BY_SMS = SourceMutation(
    Recovery._set_password, 'attempt.method == "sms" and visitor is None', "False"
)
STATE_OF_THIS_BROWSER = SourceMutation(
    WechatLogin.find_state, "if secrets.compare_digest(", "if True or ("
)
STATE_ONCE = SourceMutation(
    WechatLogin._identify, "self._exchanges.claim(state, self._clock())", '"anyone"'
)
STATE_IN_TIME = SourceMutation(
    WechatLogin._identify, "if started >= oauth_state.begun_at + STATE_LIFETIME:", "if False:"
)
RESULT_ENCRYPTED = SourceMutation(
    OAuthExchanges.record,
    'self._sealer.seal(_purpose(state), identity.openid or "")',
    'identity.openid or ""',
)
SIGNED_COOKIE = SourceMutation(
    Signer.verify,
    'self._signer(purpose).unsign(text.encode("ascii"))',
    'text.encode("ascii").rpartition(b".")[0]',
)
ONE_CODE_ONE_USE = SourceMutation(
    code_updates.use_code, 'CodeItem.digest == text("digest")', "CodeItem.id.exists()"
)
DESTINATION_UNCHANGED = SourceMutation(
    code_updates.login_unchanged, "return unchanged", "return LoginItem.login.exists()"
)


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform, which accepts each OAuth code and each message."""
    with playing() as platform:
        platform.answers[EXCHANGE] = [{"access_token": "a", "expires_in": 7200, "openid": "o-evil"}]
        platform.answers[SEND] = [SENT]
        yield platform


@pytest.fixture
def pushing(make_world: MakeWorld, wechat: WeChat) -> World:
    """A world with two firms bound to o-alice, to whom the account may push messages."""
    world = make_world(
        WECHAT_API_URL=wechat.url,
        WECHAT_CODE_TEMPLATE_ID="template",
        WECHAT_NOTICE_TEMPLATE_ID="notice",
    )
    for firm_no in (MAIN, OTHER):
        add_firm(world.service.hasher, firm_no, openid="o-alice")
    return world


def events(login: str = MAIN) -> list[str]:
    return [item.event for item in AuditItem.query(login) if item.occurrences is None]


def unbind(world: World, token: str, **details: str) -> tuple[int, str | None]:
    """Undo the binding with the public details, some replaced; return status and problem code."""
    answer = world.call("POST", "/recovery/unbinding", {**PUBLIC, **details}, token=token)
    return answer.status_code, answer.json_body.get("code")


# 32


@attack(32, NOT_BY_FOLLOW, Together(NOT_BY_FOLLOW, BINDS_BY_SMS))
def test_a_relayed_qr_code_does_not_advance_the_attacker_s_recovery(
    wechat_world: WechatWorld,
) -> None:
    """The victim scans the attacker's QR code, and even discloses the SMS code."""
    attacker = wechat_world.pc(MAIN)["token"]
    victim = wechat_world.phone("o-victim")
    victim.scan(wechat_world.wechat.account.live_tickets(wechat_world.world.clock())[0].url)
    link = LINK.search(victim.chat[-1])
    assert link is not None
    assert attacker not in victim.chat[-1]
    scene = scene_of(victim.browse(link[1]))
    token = victim.start(MAIN, scene).json_body["token"]
    wechat_world.world.send(token)
    code = wechat_world.world.phones.codes[0]
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for tried in (wrong, code):
        assert wechat_world.world.confirm(attacker, tried, "Mallory-horse-9").status_code == 410
    assert tries(MAIN) == 0
    assert wechat_world.world.send(attacker).status_code == 422
    assert wechat_world.world.confirm(token, code).status_code == 200
    # The page shows that the login was recovered, which gives no session, code or binding.
    assert wechat_world.state(attacker)["state"] == "done"
    assert wechat_world.world.confirm(attacker, code, "Mallory-horse-9").status_code == 410
    assert wechat_world.world.login_item().openid == "o-victim"


# 33


def navigate(world: World, jar: dict[str, str], path: str) -> tuple[int, str]:
    """Send one navigation of a browser; return its status and Location."""
    answer = world.call("GET", path, headers={"Cookie": cookie_jar.header(jar)})
    cookie_jar.store(jar, answer)
    return answer.status_code, answer.headers.get("Location", "")


@attack(33, STATE_OF_THIS_BROWSER, STATE_ONCE)
def test_a_state_is_valid_in_its_browser_and_once(pushing: World, wechat: WeChat) -> None:
    """A link with the attacker's state logs no other browser in, before its use or after it.

    A repeat in its own browser has the first result: nothing is sent to WeChat again.
    """
    attacker: dict[str, str] = {}
    _, url = navigate(pushing, attacker, "/wechat/enter")
    state = parse_qs(urlsplit(url).query)["state"][0]
    link = f"/wechat/enter?code=oauth-code&state={state}"
    stranger: dict[str, str] = {}
    redirected: dict[str, str] = {}
    navigate(pushing, redirected, "/wechat/enter")
    for victim in (stranger, redirected):
        assert navigate(pushing, victim, link)[0] == 401
        assert "__Host-wechat" not in victim
    assert wechat.asked(EXCHANGE) == []
    first = navigate(pushing, attacker, link)
    assert first[0] == 302
    for victim in (stranger, redirected):
        assert navigate(pushing, victim, link)[0] == 401
        assert "__Host-wechat" not in victim
    assert navigate(pushing, attacker, link.replace("oauth-code", "oauth-code-2")) == first
    assert len(wechat.asked(EXCHANGE)) == 1


@attack(33, STATE_IN_TIME)
def test_a_state_ends_after_ten_minutes(pushing: World, wechat: WeChat) -> None:
    """The browser keeps it for longer, for repeats; without a result it is refused."""
    attacker: dict[str, str] = {}
    _, url = navigate(pushing, attacker, "/wechat/enter")
    state = parse_qs(urlsplit(url).query)["state"][0]
    pushing.clock.time += STATE_LIFETIME
    assert navigate(pushing, attacker, f"/wechat/enter?code=oauth-code&state={state}")[0] == 401
    assert wechat.asked(EXCHANGE) == []


@attack(33, RESULT_ENCRYPTED)
def test_a_stored_result_has_no_openid(pushing: World) -> None:
    """The table that keeps results for repeats does not connect states with persons."""
    browser: dict[str, str] = {}
    _, url = navigate(pushing, browser, "/wechat/enter")
    state = parse_qs(urlsplit(url).query)["state"][0]
    navigate(pushing, browser, f"/wechat/enter?code=oauth-code&state={state}")
    stored = OAuthExchangeItem.get(f"oauth#{state}")
    assert stored.sealed is not None
    assert "o-evil" not in json.dumps(stored.to_simple_dict())


@attack(33, SIGNED_COOKIE)
def test_a_forged_cookie_has_no_openid(world: World) -> None:
    """Neither an unsigned cookie nor one signed with another key."""
    signer = Signer([b"x" * 32], world.clock)
    forged = signer.sign("wechat-cookie", "o-alice", 7200)
    body = {"user_type": "firm", "login": MAIN}
    for value in ("o-alice", forged):
        answer = world.call("POST", "/recovery", body, headers={"Cookie": f"__Host-wechat={value}"})
        assert answer.json_body["method"] == "follow"


# 34


@attack(34, Together(ONE_CODE_ONE_USE, DESTINATION_UNCHANGED))
def test_of_five_concurrent_bindings_one_is_stored_with_its_password(real_world: World) -> None:
    """All have the right code and a counted attempt before the first one writes."""
    people = [f"o-{number}" for number in range(5)]
    tokens = {openid: real_world.token(openid=openid) for openid in people}
    real_world.send(tokens[people[0]])
    hasher, all_here = real_world.service.hasher, threading.Barrier(len(people))

    def hash_together(password: str) -> str:
        all_here.wait(60)
        return type(hasher).hash(hasher, password)

    hasher.hash = hash_together  # type: ignore[method-assign]

    def confirm(openid: str) -> int:
        code = real_world.phones.codes[0]
        return real_world.confirm(tokens[openid], code, f"Correct-horse-{openid}").status_code

    with ThreadPoolExecutor(len(people)) as pool:
        answers = dict(zip(people, pool.map(confirm, people), strict=True))
    winners = [openid for openid, status in answers.items() if status == 200]
    assert len(winners) == 1
    winner, item = winners[0], real_world.login_item()
    assert item.openid == winner
    assert hasher.verify(item.password_hash, f"Correct-horse-{winner}")
    assert int(item.password_version) == 2
    assert events().count("password-recovered") == 1


# 35


@attack(
    35,
    SourceMutation(
        Recovery._set_password, '"wechat-bound" if bind else "password-reset"', '"password-reset"'
    ),
    SourceMutation(Recovery._set_password, "phone=claims.phone", "phone=None"),
    SourceMutation(add_unbinding, "LoginItem.openid.remove(), "),
)
def test_a_binding_is_notified_and_can_be_undone(wechat_world: WechatWorld) -> None:
    """By SMS and by WeChat; after the unbinding codes go by SMS again."""
    alice = wechat_world.phone("o-alice")
    alice.follow()
    token = wechat_world.world.token()
    wechat_world.world.send(token)
    assert wechat_world.world.confirm(token, wechat_world.world.phones.codes[0]).json_body[
        "wechat_bound"
    ]
    notice = wechat_world.world.phones.sent[-1]
    assert (notice.to, notice.template) == (PHONE, "wechat-bound")
    assert alice.chat[-1].splitlines()[1] == MAIN
    assert unbind(wechat_world.world, wechat_world.world.token()) == (200, None)
    assert wechat_world.world.login_item().openid is None
    assert wechat_world.world.start().json_body["method"] == "sms"


# 36


@attack(
    36,
    SourceMutation(
        Unbinding.unbind,
        "phone=account.phone, openid=claims.bound_openid",
        "phone=None, openid=None",
    ),
    SourceMutation(add_unbinding, "transaction.save(event)", "pass"),
    SourceMutation(Bindings.unbind, "*END_CODE,"),
)
def test_public_details_lead_no_further_than_the_bound_phone(
    pushing: World, wechat: WeChat
) -> None:
    """The unbinding is audited, notified by SMS and WeChat, and ends the code; the next one is an SMS."""
    token = pushing.token(openid="o-mallory")
    assert pushing.send(token).json_body["method"] == "wechat"
    # The message id may have six digits in a row as well.
    code = code_in(str(json.loads(wechat.asked(SEND)[-1].body)["data"]))
    assert unbind(pushing, token) == (200, None)
    assert [(sms.to, sms.template) for sms in pushing.phones.sent] == [(PHONE, "wechat-unbound")]
    assert "notice" in wechat.asked(SEND)[-1].body.decode()
    assert events()[-1] == "wechat-unbound"
    assert pushing.confirm(token, code, "Mallory-horse-9").status_code == 410
    assert pushing.send(token).json_body == {
        "method": "sms",
        "destination": "138****1234",
        "delivery": "sent",
        "expires_in": 300,
        "resend_in": 60,
    }
    assert pushing.phones.sent[-1].to == PHONE


@attack(
    36,
    SourceMutation(Bindings.count_details, " & within_limits(own, windows, now)"),
    SourceMutation(
        Bindings.count_details,
        "times_of(CodeItem.details_by, requester.key)",
        "times_of(CodeItem.details_by, 'everybody')",
    ),
)
def test_details_have_five_attempts_a_day(pushing: World) -> None:
    """In all recoveries of a requester; then its right details are refused, and nobody else's."""
    for _ in range(5):
        token = pushing.token(openid="o-mallory")
        assert unbind(pushing, token, head_name="张三") == (403, "details-do-not-match")
    assert unbind(pushing, pushing.token(openid="o-mallory")) == (429, "too-many-requests")
    assert pushing.login_item().openid == "o-alice"
    assert unbind(pushing, pushing.token(openid="o-owner")) == (200, None)


KEEPS_ONE_METHOD = SourceMutation(Unbinding.unbind, "account.phone is None", "False")


@attack(
    36,
    KEEPS_ONE_METHOD,
    Together(KEEPS_ONE_METHOD, SourceMutation(add_unbinding, " & LoginItem.phone.exists()")),
)
def test_no_login_is_left_without_a_method(pushing: World) -> None:
    """Without a phone the binding stays, and no notice is sent."""
    LoginItem(MAIN).update([LoginItem.phone.remove()])
    assert unbind(pushing, pushing.token(openid="o-mallory")) == (409, "phone-not-bound")
    assert pushing.login_item().openid == "o-alice"
    assert pushing.phones.sent == []


# 38


@attack(
    38,
    SourceMutation(
        code_updates.count_send,
        "within_limits(DestinationItem.sends, limits.sends_per_destination, now_param)",
        "DestinationItem.id.exists() | DestinationItem.id.does_not_exist()",
    ),
)
def test_a_wechat_is_not_flooded(pushing: World, wechat: WeChat) -> None:
    """The limits per minute, hour and day apply to all logins bound to it together."""

    def pushed(times: int, pause: int) -> list[int]:
        answers = []
        for number in range(times):
            login = (MAIN, FINANCE, OTHER)[number % 3]
            answers.append(pushing.send(pushing.token(login, f"o-{number}")).status_code)
            pushing.clock.time += pause
        return answers

    pushing.service.sends = Sends(
        Limits(sends_per_destination_hour=3, sends_per_destination_day=4), pushing.service.codes
    )
    assert pushed(3, 5) == [202, 429, 429]
    pushing.clock.time += 60
    assert pushed(3, 60) == [202, 202, 429]
    pushing.clock.time += 3600
    assert pushed(2, 60) == [202, 429]
    assert len(wechat.asked(SEND)) == 4
    assert pushing.phones.sent == []
