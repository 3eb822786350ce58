"""不是我操作: a notice's link freezes the login for whoever is bound, and for nobody else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from chalice.test import HTTPResponse
from pynamodb.expressions.update import Action

from chalicelib.domain.catalogue import FREEZING_NOTICES, NOTICE_TITLES, SUPPORT
from chalicelib.domain.errors import Unavailable
from chalicelib.security.freeze_tokens import FreezeTokens
from chalicelib.store import freezing
from chalicelib.store.dynamo import ConditionFailed
from chalicelib.store.freezing import FreezingState
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult
from tests.conftest import PHONE, MakeWorld, World, add_firm, store_calls
from tests.support.canaries import quoting
from tests.support.log_capture import Watched
from tests.support.operator_cases import FakePlatform

LOGIN = "11010148"
FINANCE = f"{LOGIN}_cw"
ALICE, MALLORY = "o-alice", "o-mallory"
WEEK = 604_800
"""Seconds."""
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}
BY = {"actor": "staff#agent", "reason": "来电核实"}


class Messages(FakePlatform):
    """A platform that keeps the codes, and the addresses of the notices."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: list[str] = []
        self.urls: list[str] = []

    def send_template(
        self, openid: str, template_id: str, fields: Mapping[str, str], **options: object
    ) -> TemplateResult:
        """Keep the message and report it as sent."""
        if template_id == "code":
            self.codes.append(fields["character_string2"])
            return TemplateResult(TemplateOutcome.SENT)
        self.urls.append(str(options["url"]))
        return super().send_template(openid, template_id, fields)


@pytest.fixture
def fake_platform() -> Messages:
    """The platform of the world."""
    return Messages()


@pytest.fixture
def world(make_world: MakeWorld, fake_platform: Messages, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose notices go by WeChat as well, with the main login bound to Alice."""
    world = make_world(WECHAT_NOTICE_TEMPLATE_ID="notice", WECHAT_CODE_TEMPLATE_ID="code")
    monkeypatch.setattr(world.service, "platform", fake_platform)
    add_firm(world.service.hasher)
    LoginItem(LOGIN).update([LoginItem.openid.set(ALICE)])
    return world


def issue(world: World, login: str = LOGIN, openid: str = ALICE) -> str:
    """Return the token of a notice of now."""
    tokens = FreezeTokens(world.service.signer, world.service.peppers[1])
    return tokens.issue(login, openid, world.clock.time)


def press(world: World, token: str, openid: str | None = ALICE) -> HTTPResponse:
    """Send the page's form."""
    body = f"token={quote(token)}".encode()
    return world.call("POST", "/freeze", body, headers=FORM, openid=openid)


def is_frozen(world: World, login: str = LOGIN) -> bool:
    """Return whether the login is frozen."""
    return LoginItem.get(login, consistent_read=True).frozen_at is not None


def test_the_link_of_a_notice_leads_to_the_freezing(world: World, fake_platform: Messages) -> None:
    """From the notice of a reset by a bound WeChat, over the page, to the frozen login."""
    token = world.token()
    world.send(token)
    code = fake_platform.codes[-1]
    assert world.confirm(token, code).status_code == 200
    url = fake_platform.urls[-1]
    assert url.startswith("https://recovery.example/freeze?token=")
    path = url.removeprefix("https://recovery.example")
    asked = world.call("GET", path, headers=BROWSER)
    assert asked.status_code == 200
    text = asked.body.decode()
    assert LOGIN in text
    assert SUPPORT in text
    assert 'method="post" action="https://recovery.example/freeze"' in text
    assert not is_frozen(world)
    (given,) = re.findall(r'name="token" value="([^"]+)"', text)
    assert given == parse_qs(urlsplit(url).query)["token"][0]
    pressed = press(world, given)
    assert pressed.status_code == 200
    assert "账号已冻结" in pressed.body.decode()
    assert SUPPORT in pressed.body.decode()
    assert is_frozen(world)
    answer = world.start()
    assert (answer.status_code, answer.json_body["code"]) == (403, "frozen")
    verified = world.call("POST", "/credentials/verify", {"login": LOGIN, "password": "x"})
    assert verified.json_body["frozen"] is True


def test_the_owner_is_recorded_and_notified_once(world: World, fake_platform: Messages) -> None:
    """With the digest of the visitor; a repeat changes nothing and notifies nobody."""
    token = issue(world)
    for _ in range(3):
        assert press(world, token).status_code == 200
    events = [item for item in AuditItem.query(LOGIN) if item.event == "frozen-by-owner"]
    assert [(item.actor, item.method) for item in events] == [("person", "wechat")]
    assert events[0].requester == world.service.requesters.identify(ALICE, "").id
    assert [(sms.to, sms.template) for sms in world.phones.sent] == [(PHONE, "frozen")]
    assert fake_platform.messages == [(ALICE, NOTICE_TITLES["frozen"])]
    # Nothing is left to freeze.
    assert fake_platform.urls == ["https://recovery.example"]


def test_a_get_changes_nothing_and_reads_nothing(world: World) -> None:
    """Previews of links send GETs, as often as they like."""
    token = issue(world)
    with store_calls() as sent:
        for _ in range(2):
            assert world.call("GET", f"/freeze?token={token}").status_code == 200
    assert sent == []
    assert not is_frozen(world)


def unavailable(*_: object) -> None:
    """Fail as a table that does not answer."""
    raise Unavailable("store")


def refused(answer: HTTPResponse) -> bool:
    """Return whether the answer is the page that says that the link is invalid, with the telephone."""
    text = answer.body.decode()
    return answer.status_code == 410 and "链接已失效" in text and SUPPORT in text


def other_login(world: World) -> str:
    """A token of Alice's notice with another login written into it."""
    mac = issue(world).rpartition(".")[2]
    return f"{issue(world, FINANCE).rpartition('.')[0]}.{mac}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "x.y",
        "密",
        "a" * 5_000,
        pytest.param(lambda world: issue(world)[:-1], id="cut"),
        pytest.param(lambda world: issue(world) + "A", id="longer"),
        pytest.param(other_login, id="other-login-s-signature"),
        pytest.param(
            lambda world: world.service.signer.sign("recovery", [LOGIN, "0" * 32, 1], 60),
            id="other-purpose",
        ),
        pytest.param(
            lambda world: world.service.signer.sign("freeze", [LOGIN, True, 1], 60),
            id="other-shape",
        ),
        pytest.param(
            lambda world: world.service.signer.sign("freeze", ["x", "0" * 32, 1], 60),
            id="no-login",
        ),
        pytest.param(lambda world: world.token(), id="a-recovery-s-token"),
    ],
)
def test_a_forged_link_freezes_nothing(world: World, token: object) -> None:
    """Neither is anything read; the page says where to call."""
    text = token(world) if callable(token) else str(token)
    with store_calls() as sent:
        assert refused(press(world, text))
        assert refused(world.call("GET", f"/freeze?token={quote(text)}", headers=BROWSER))
    assert sent == []
    assert not is_frozen(world)
    assert not is_frozen(world, FINANCE)


@pytest.mark.parametrize(("age", "valid"), [(WEEK - 1, True), (WEEK, False)])
def test_a_link_is_valid_for_seven_days(world: World, age: int, valid: bool) -> None:
    """To the second."""
    token = issue(world)
    world.clock.time += age
    answer = press(world, token)
    assert refused(answer) is not valid
    assert is_frozen(world) is valid


def test_a_link_ends_with_the_binding(world: World) -> None:
    """The former owner of a binding cannot freeze the login of the next one."""
    token = issue(world)
    LoginItem(LOGIN).update([LoginItem.openid.set(MALLORY)])
    assert refused(press(world, token))
    assert not is_frozen(world)


def test_whoever_was_unbound_may_freeze(world: World) -> None:
    """That is what the notice of an unbinding by a stranger is for."""
    LoginItem(LOGIN).update([LoginItem.openid.remove()])
    assert press(world, issue(world)).status_code == 200
    assert is_frozen(world)


def test_a_link_permits_its_own_login_alone(world: World) -> None:
    """The firm's other one stays as it is."""
    assert press(world, issue(world)).status_code == 200
    assert not is_frozen(world, FINANCE)
    assert world.start(FINANCE).status_code == 201


def test_an_unknown_login_is_refused(world: World) -> None:
    """A login that was removed since the notice."""
    assert refused(press(world, issue(world, "99999999")))


def test_a_replayed_link_does_not_freeze_again(world: World) -> None:
    """The desk's unfreezing ends the links before it; the notice of the unfreezing has a new one."""
    token = issue(world)
    assert press(world, token).status_code == 200
    world.clock.time += 60
    assert world.service.desk.support.unfreeze(LOGIN, **BY).changed
    assert refused(press(world, token))
    assert not is_frozen(world)
    assert press(world, issue(world)).status_code == 200
    assert is_frozen(world)


def test_freezing_ends_what_is_open(world: World, fake_platform: Messages) -> None:
    """The code that a stranger holds is of no use."""
    token = world.token()
    world.send(token)
    before = world.login_item().password_hash
    press(world, issue(world))
    assert world.confirm(token, fake_platform.codes[-1]).status_code in (401, 410)
    assert world.login_item().password_hash == before


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_only_the_form_is_read(world: World, content_type: str) -> None:
    """A body of another type has no token."""
    body = f"token={issue(world)}".encode()
    answer = world.call("POST", "/freeze", body, headers={**FORM, "Content-Type": content_type})
    assert refused(answer)


@pytest.mark.parametrize("body", [b"", b"token", b"\xff\xfe", b"&" * 9_000, b"a=1&" * 9 + b"b=2"])
def test_a_malformed_form_is_refused(world: World, body: bytes) -> None:
    """Without an exception in the log."""
    assert refused(world.call("POST", "/freeze", body, headers=FORM))


def test_a_failed_freezing_shows_the_form_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the login and the telephone, so that the same button tries again."""
    token = issue(world)
    with monkeypatch.context() as broken:
        broken.setattr(freezing, "freeze_unchanged", unavailable)
        answer = press(world, token)
        program = world.call(
            "POST", "/freeze", f"token={token}".encode(), headers={**FORM, "Accept": "*/*"}
        )
    assert (answer.status_code, program.json_body["code"]) == (503, "unavailable")
    text = answer.body.decode()
    assert f'name="token" value="{token}"' in text
    assert "再试一次" in text
    assert LOGIN in text
    assert SUPPORT in text
    assert not is_frozen(world)
    assert press(world, token).status_code == 200
    assert is_frozen(world)


@pytest.mark.parametrize(
    "change", [LoginItem.openid.set(MALLORY), LoginItem.unfrozen_at.set(2_000_000_000)]
)
def test_a_login_that_changes_meanwhile_is_checked_again(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Action
) -> None:
    """Between the read and the write the login is bound to another WeChat, or unfrozen."""
    read = freezing.read_state

    def overtaken(login: str) -> FreezingState | None:
        state = read(login)
        LoginItem(login).update([change])
        return state

    monkeypatch.setattr(freezing, "read_state", overtaken)
    assert refused(press(world, issue(world)))
    assert not is_frozen(world)


def test_a_login_that_changes_again_and_again_is_not_frozen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempts are bounded; the page offers the button again."""

    def overtaken(*_: object) -> None:
        raise ConditionFailed([None], [True])

    monkeypatch.setattr(freezing, "freeze_unchanged", overtaken)
    answer = press(world, issue(world))
    assert answer.status_code == 503
    assert "再试一次" in answer.body.decode()
    assert not is_frozen(world)


def test_a_program_gets_a_problem(world: World) -> None:
    """The code and the telephone, as every error has."""
    answer = world.call("GET", "/freeze?token=x")
    assert (answer.status_code, answer.json_body["code"]) == (410, "freeze-link-invalid")
    assert SUPPORT in answer.json_body["detail"]


def test_the_log_shows_no_token(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of the address nor of the form, also where an error quotes it."""
    token = issue(world)
    tokens = world.service._freeze_tokens
    with monkeypatch.context() as broken:
        broken.setattr(tokens, "read", quoting(token))
        assert world.call("GET", f"/freeze?token={token}").status_code == 503
        assert press(world, token).status_code == 503
    assert press(world, token).status_code == 200
    assert "cannot do it" in watched.text
    for part in (token, *token.split(".")):
        assert part not in watched.text


def test_the_link_shows_no_openid(world: World) -> None:
    """Links stay in histories."""
    from itsdangerous.encoding import base64_decode

    token = issue(world)
    assert ALICE.encode() not in base64_decode(token.rpartition(".")[0])
    assert len(token) < 200


def test_every_notice_but_those_of_logins_that_are_off_offers_it() -> None:
    """In the 20 characters that WeChat's field has; the SMS names the telephone."""
    from chalicelib.domain.catalogue import SMS_TEMPLATES

    # A closed firm's logins are off already, and support has just opened one that is open again.
    assert set(NOTICE_TITLES) - FREEZING_NOTICES == {"frozen", "firm-closed", "firm-reopened"}
    for notice, title in NOTICE_TITLES.items():
        assert len(title) <= 20, title
        assert ("非本人操作请点此冻结" in title) == (notice in FREEZING_NOTICES)
        assert SUPPORT in SMS_TEMPLATES[notice]
