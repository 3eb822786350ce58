"""What operators see of a login and may do to it, on moto."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import boto3
import pytest

from chalicelib.domain.errors import (
    AccountNotFound,
    InvalidInput,
    PhoneNotBound,
    Unavailable,
)
from chalicelib.domain.limits import DAY, HOUR
from chalicelib.sms.gateway import Outcome
from chalicelib.store import audit
from chalicelib.store.accounts import Accounts, Standing
from chalicelib.store.models import AuditItem, BudgetItem, CodeItem, DestinationItem, LoginItem
from chalicelib.stories.inquiry import Inquiry, Lock
from chalicelib.stories.operations import Changed, Operations, Told
from chalicelib.wechat.platform import TemplateOutcome, TemplateResult
from infra.ops import session
from infra.tables import create_tables
from tests.conftest import PASSWORD, PHONE, MakeWorld, World, add_firm

LOGIN = "11010148"
NEW = "13900002222"
BY = {"actor": "arn:aws-cn:iam::1:user/zhang", "reason": "本人来函"}


class FakePlatform:
    """WeChat's platform as far as operators meet it."""

    def __init__(self) -> None:
        self.following: bool | None = True
        self.messages: list[tuple[str, str]] = []

    def is_following(self, openid: str) -> bool:
        if self.following is None:
            raise Unavailable("wechat")
        return self.following

    def send_template(
        self, openid: str, template_id: str, fields: dict[str, str], **_: object
    ) -> TemplateResult:
        self.messages.append((openid, fields["thing1"]))
        return TemplateResult(TemplateOutcome.SENT)


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


@pytest.fixture
def world(make_world: MakeWorld, platform: FakePlatform) -> World:
    """A firm whose main login has a phone alone and whose finance login is bound to o-alice."""
    world = make_world(WECHAT_NOTICE_TEMPLATE_ID="notice")
    world.service.__dict__["platform"] = platform
    add_firm(world.service.hasher)
    LoginItem(f"{LOGIN}_cw").update(
        [LoginItem.openid.set("o-alice"), LoginItem.bound_at.set(1_790_000_000)]
    )
    return world


@pytest.fixture
def operations(world: World) -> Operations:
    return session.operations()


@pytest.fixture
def inquiry(world: World) -> Inquiry:
    return session.inquiry()


def events(login: str = LOGIN) -> list[AuditItem]:
    return list(AuditItem.query(login))


def recover(world: World, login: str = LOGIN, openid: str = "o-alice") -> str:
    """Begin a recovery and send its code; the token."""
    token = world.token(login, openid)
    answer = world.send(token)
    assert answer.status_code == 202, answer.body
    return token


# Knowing


def test_an_overview_says_what_a_login_is(inquiry: Inquiry) -> None:
    """The facts, with the phone masked and nothing that opens a door."""
    seen = inquiry.overview(" １１０１０１４８ ")
    assert (seen.login, seen.kind, seen.firm) == (LOGIN, "main", "示例会计师事务所")
    assert (seen.method, seen.phone) == ("sms", "138****1234")
    assert (seen.wechat_bound, seen.following) == (False, None)
    assert (seen.has_password, seen.must_change) == (True, False)
    assert seen.changed_at == 1_700_000_000
    assert (seen.recovered_at, seen.reset_year, seen.code_until) == (None, None, None)
    assert (seen.sends, seen.locks, seen.findings) == ((), (), ("never-sent",))


def test_an_overview_holds_no_secret(inquiry: Inquiry, world: World) -> None:
    """No phone, openid, code, hash or ID digits stand in what an operator gets."""
    recover(world)
    item = world.login_item()
    code = CodeItem.get(f"code#{LOGIN}")
    for login in (LOGIN, f"{LOGIN}_cw"):
        shown = repr(inquiry.overview(login)) + repr(inquiry.history(login, 50))
        for secret in (
            PHONE[3:],
            "o-alice",
            world.phones.codes[0],
            code.digest,
            item.password_hash,
            "123X",
        ):
            assert secret not in shown


def test_an_unknown_login_is_not_found(inquiry: Inquiry, operations: Operations) -> None:
    """Everything that names a login refuses one that is not there, and one that cannot be."""
    for call in (
        inquiry.overview,
        lambda login: inquiry.history(login, 5),
        lambda login: operations.change_phone(login, NEW, **BY),
        lambda login: operations.unbind(login, **BY),
        lambda login: operations.unlock(login, **BY),
    ):
        with pytest.raises(AccountNotFound):
            call("99999999")
        with pytest.raises(InvalidInput):
            call("1101")
    assert LoginItem.count() == 2
    assert AuditItem.count() == 0


def test_a_sent_code_shows_with_what_became_of_it(inquiry: Inquiry, world: World) -> None:
    """Gateway, outcome, receipt and reason of the last codes, newest first; and the live code."""
    recover(world)
    first = inquiry.overview(LOGIN)
    assert first.code_until == world.clock.time + 300
    assert [(s.gateway, s.outcome, s.destination) for s in first.sends] == [
        ("console", "handed-over", "138****1234")
    ]
    assert first.findings == ("locked", "no-receipt")
    assert first.locks == (Lock("destination-sends", world.clock.time + 60),)
    audit.add_receipt(LOGIN, events()[0].at, "m1", "failed", "MOBILE_NOT_ON_SERVICE 停机")
    world.clock.time += 61
    failed = inquiry.overview(LOGIN)
    assert failed.findings == ("not-delivered",)
    assert failed.sends[0].reason == "MOBILE_NOT_ON_SERVICE 停机"
    recover(world)
    audit.add_receipt(LOGIN, events()[1].at, "m2", "delivered", None)
    seen = inquiry.overview(LOGIN)
    assert "delivered" in seen.findings
    assert [send.receipt for send in seen.sends] == ["delivered", "failed"]


def test_only_the_last_sends_are_shown(inquiry: Inquiry, world: World) -> None:
    """Five codes, whatever else happened in between."""
    for number in range(7):
        audit.entry(LOGIN, "code-sent", world.clock.time + number, gateway=f"g{number}").save()
        audit.entry(LOGIN, "unlocked", world.clock.time + number).save()
    assert [send.gateway for send in inquiry.overview(LOGIN).sends] == [
        "g6",
        "g5",
        "g4",
        "g3",
        "g2",
    ]


def test_a_code_that_no_gateway_took_shows_why(inquiry: Inquiry, world: World) -> None:
    """What the gateway said is what the operator reads."""
    world.phones.outcomes = [Outcome.REFUSED]
    assert world.send(world.token()).status_code == 502
    seen = inquiry.overview(LOGIN)
    assert seen.findings == ("send-failed",)
    assert "console: refused" in str(seen.sends[0].reason)


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"outcome": "unknown", "reason": "read time-out"}, "outcome-unknown"),
        ({"gateway": "wechat-pull"}, "to-be-fetched"),
        ({"outcome": "sent"}, "no-receipt"),
    ],
)
def test_a_code_on_its_way_shows_how_far_it_came(
    inquiry: Inquiry, world: World, facts: dict[str, str], found: str
) -> None:
    """No answer from the gateway, waiting to be fetched, or handed over without a receipt yet."""
    recover(world)
    audit.settle_send(LOGIN, events()[0].at, **facts)
    world.clock.time += 60
    assert inquiry.overview(LOGIN).findings == (found,)


def test_whoever_has_no_way_at_all_is_told_apart(inquiry: Inquiry, world: World) -> None:
    """Neither phone nor WeChat, and no password either."""
    LoginItem(LOGIN).update([LoginItem.phone.remove(), LoginItem.password_hash.remove()])
    seen = inquiry.overview(LOGIN)
    assert (seen.method, seen.phone) == (None, None)
    assert seen.findings == ("no-way", "never-sent", "no-password")


@pytest.mark.parametrize(
    ("noted", "asked", "following", "found"),
    [
        (False, True, False, ("not-following", "never-sent")),
        (True, False, True, ("never-sent",)),
        (None, True, True, ("never-sent",)),
        (None, False, False, ("not-following", "never-sent")),
        (None, None, None, ("following-unknown", "never-sent")),
    ],
)
def test_a_follower_who_left_is_found_out(
    inquiry: Inquiry,
    world: World,
    platform: FakePlatform,
    noted: bool | None,
    asked: bool | None,
    following: bool | None,
    found: tuple[str, ...],
) -> None:
    """By WeChat's last event, else by asking WeChat, else it stays open."""
    platform.following = asked
    if noted is not None:
        world.service.followers.note("o-alice", noted, 1)
    seen = inquiry.overview(f"{LOGIN}_cw")
    assert (seen.method, seen.wechat_bound, seen.bound_at) == ("wechat", True, 1_790_000_000)
    assert (seen.following, seen.findings) == (following, found)
    assert seen.must_change


def _counts(now: int) -> Iterator[tuple[str, object, int]]:
    yield "starts", LoginItem(LOGIN).update([LoginItem.starts.set([now - 5] * 30)]), now + HOUR - 5
    failures = LoginItem.failures.set([now - 5] * 5)
    yield "wrong-passwords", LoginItem(LOGIN).update([failures]), now + 1_795
    for kind, attribute, limit in (
        ("login-sends", CodeItem.sends, 10),
        ("wrong-codes", CodeItem.wrongs, 10),
        ("wrong-details", CodeItem.wrong_details, 5),
    ):
        item = CodeItem(f"code#{LOGIN}")
        actions = [attribute.set([now - 5] * limit), CodeItem.expires_at.set(now + DAY)]
        yield kind, item.update(actions), now + DAY - 5


def test_every_limit_shows_with_its_end(inquiry: Inquiry, world: World) -> None:
    """Each count that is used up is a lock of its own; one less is none."""
    now = world.clock.time
    expected = []
    for kind, _, until in _counts(now):
        expected.append(Lock(kind, until))
        seen = inquiry.overview(LOGIN)
        assert set(seen.locks) == set(expected), kind
        assert "locked" in seen.findings
    world.clock.time += DAY
    assert inquiry.overview(LOGIN).locks == ()


def test_a_code_without_tries_left_and_full_budgets_show(inquiry: Inquiry, world: World) -> None:
    """The code's own limit ends with the code, a budget of the service with the clock hour."""
    recover(world)
    CodeItem(f"code#{LOGIN}").update([CodeItem.attempts.set(5)])
    now = world.clock.time
    hour = now // HOUR
    for name, total in (("sends", 2_000), ("wrong-codes", 1_000)):
        BudgetItem(f"budget#{name}#{hour}", total=total, expires_at=now + DAY).save()
    locks = inquiry.overview(LOGIN).locks
    assert Lock("code-tries", now + 300) in locks
    assert Lock("service-sends", (hour + 1) * HOUR) in locks
    assert Lock("service-wrong-codes", (hour + 1) * HOUR) in locks
    world.clock.time += 300
    assert "code-tries" not in {lock.kind for lock in inquiry.overview(LOGIN).locks}


def test_the_counts_of_the_destination_are_found_by_the_service_s_own_key(
    inquiry: Inquiry, world: World
) -> None:
    """A phone that two logins share is locked for both by a code to one."""
    LoginItem(f"{LOGIN}_cw").update([LoginItem.openid.remove()])
    recover(world, f"{LOGIN}_cw", "o-bob")
    assert {lock.kind for lock in inquiry.overview(LOGIN).locks} == {"destination-sends"}


def test_history_is_newest_first(inquiry: Inquiry, world: World) -> None:
    """The last events, as many as are asked for."""
    for number in range(5):
        audit.entry(LOGIN, f"event-{number}", world.clock.time + number, actor="a").save()
    assert [event.event for event in inquiry.history(LOGIN, 3)] == ["event-4", "event-3", "event-2"]
    assert inquiry.history(f"{LOGIN}_cw", 3) == []


# Phones


def test_a_changed_phone_is_audited_and_told_to_both(operations: Operations, world: World) -> None:
    """The new phone gets the codes; the old one learns of it, too."""
    changed = operations.change_phone(LOGIN, "139 0000-2222", **BY)
    assert changed == Changed(
        LOGIN,
        True,
        (
            Told("138****1234", "sent", "console", None),
            Told("139****2222", "sent", "console", None),
        ),
    )
    assert world.login_item().phone == "+8613900002222"
    assert world.login_item(f"{LOGIN}_cw").phone == PHONE
    (event,) = events()
    assert (event.event, event.actor, event.reason) == ("phone-changed", BY["actor"], "本人来函")
    assert (event.destination, event.outcome) == ("139****2222", "was 138****1234")
    assert [(sms.to, sms.template) for sms in world.phones.sent] == [
        (PHONE, "phone-changed"),
        ("+8613900002222", "phone-changed"),
    ]
    assert LOGIN in world.phones.sent[0].text
    world.clock.time += 60
    recover(world)
    assert world.phones.sent[-1].to == "+8613900002222"


def test_a_first_phone_is_told_to_itself_alone(operations: Operations, world: World) -> None:
    """Where none was bound there is nobody else to tell."""
    LoginItem(LOGIN).update([LoginItem.phone.remove()])
    assert len(operations.change_phone(LOGIN, NEW, **BY).told) == 1
    assert events()[0].outcome == "first-phone"


def test_the_same_phone_again_is_no_change(operations: Operations, world: World) -> None:
    """Nothing is written, nobody is told."""
    assert operations.change_phone(LOGIN, "+8613800001234", **BY) == Changed(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_a_changed_phone_ends_the_live_code(operations: Operations, world: World) -> None:
    """The code on the old phone is worth nothing any more, and its recovery is over."""
    token = recover(world)
    operations.change_phone(LOGIN, NEW, **BY)
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")
    world.clock.time += 61
    assert world.send(token).json_body["code"] == "recovery-expired"


@pytest.mark.parametrize("number", ["", "1380000", "010-88250337", "无"])
def test_only_a_mobile_number_can_be_bound(
    operations: Operations, world: World, number: str
) -> None:
    """A code must be able to reach it."""
    with pytest.raises(InvalidInput):
        operations.change_phone(LOGIN, number, **BY)
    assert (world.login_item().phone, events()) == (PHONE, [])


@pytest.mark.parametrize("reason", ["", "  ", "\n\x1b", "长" * 201])
def test_no_change_without_a_reason(operations: Operations, world: World, reason: str) -> None:
    """Of a length that somebody will read, and without control characters."""
    for change in (
        lambda: operations.change_phone(LOGIN, NEW, actor="a", reason=reason),
        lambda: operations.unbind(f"{LOGIN}_cw", actor="a", reason=reason),
        lambda: operations.unlock(LOGIN, actor="a", reason=reason),
    ):
        with pytest.raises(InvalidInput):
            change()
    assert AuditItem.count() == 0


def test_a_notice_that_fails_is_said_and_undoes_nothing(
    operations: Operations, world: World
) -> None:
    """The change stands; the operator sees whom to call."""
    world.phones.outcomes = [Outcome.REFUSED, Outcome.UNKNOWN]
    told = operations.change_phone(LOGIN, NEW, **BY).told
    assert [one.outcome for one in told] == ["failed", "unknown"]
    assert "console" in str(told[0].reason)
    assert world.login_item().phone == "+8613900002222"


class Busy(Accounts):
    """Somebody else changes the phone between looking and writing."""

    def __init__(self, accounts: Accounts, phones: Sequence[str]) -> None:
        self.__dict__.update(accounts.__dict__)
        self._phones = list(phones)

    def read(self, login: str) -> Standing | None:
        standing = super().read(login)
        if self._phones:
            LoginItem(login).update([LoginItem.phone.set(self._phones.pop())])
        return standing


def test_a_change_meanwhile_is_not_lost_from_sight(world: World) -> None:
    """The phone that is really replaced is the one that is told and noted."""
    operations = session.operations()
    operations._accounts = Busy(operations._accounts, ["+8613700000000"])
    changed = operations.change_phone(LOGIN, NEW, **BY)
    assert [one.destination for one in changed.told] == ["137****0000", "139****2222"]
    assert [event.outcome for event in events()] == ["was 137****0000"]


def test_a_login_that_never_stands_still_is_given_up(world: World) -> None:
    """Nothing is written then."""
    operations = session.operations()
    phones = [f"+861370000000{number}" for number in range(9)]
    operations._accounts = Busy(operations._accounts, phones)
    with pytest.raises(Unavailable):
        operations.change_phone(LOGIN, NEW, **BY)
    assert events() == []


# Bindings


def test_an_undone_binding_is_audited_and_told_on_both_roads(
    operations: Operations, world: World, platform: FakePlatform
) -> None:
    """The next code goes to the phone; phone and WeChat both learn of it."""
    changed = operations.unbind(f"{LOGIN}_cw", **BY)
    assert changed == Changed(f"{LOGIN}_cw", True, (Told("138****1234", "sent", "console", None),))
    item = world.login_item(f"{LOGIN}_cw")
    assert (item.openid, item.bound_at, item.phone) == (None, None, PHONE)
    (event,) = events(f"{LOGIN}_cw")
    assert (event.event, event.actor, event.reason) == ("wechat-unbound", BY["actor"], "本人来函")
    assert [sms.template for sms in world.phones.sent] == ["wechat-unbound"]
    assert platform.messages == [("o-alice", "已解绑微信公众号")]
    world.clock.time += 60
    assert world.start(f"{LOGIN}_cw", "o-bob").json_body["method"] == "sms"


def test_an_undone_binding_ends_the_live_code(operations: Operations, world: World) -> None:
    """A code that went to the old WeChat is worth nothing any more."""
    LoginItem(f"{LOGIN}_cw").update([LoginItem.openid.remove()])
    token = recover(world, f"{LOGIN}_cw")
    LoginItem(f"{LOGIN}_cw").update([LoginItem.openid.set("o-alice")])
    operations.unbind(f"{LOGIN}_cw", **BY)
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


def test_no_binding_is_no_change(operations: Operations, world: World) -> None:
    """Nothing is written, nobody is told."""
    assert operations.unbind(LOGIN, **BY) == Changed(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_the_last_way_to_a_person_is_not_taken(operations: Operations, world: World) -> None:
    """Without a phone the binding stays, until an operator binds one."""
    login = f"{LOGIN}_cw"
    LoginItem(login).update([LoginItem.phone.remove()])
    with pytest.raises(PhoneNotBound):
        operations.unbind(login, **BY)
    assert world.login_item(login).openid == "o-alice"
    assert events(login) == []
    operations.change_phone(login, NEW, **BY)
    assert operations.unbind(login, **BY).changed


# Limits


def test_lifted_limits_let_the_person_go_on(
    operations: Operations, inquiry: Inquiry, world: World
) -> None:
    """Every count of the login and of its phone is empty; the audit says which were used up."""
    token = recover(world)
    list(_counts(world.clock.time))
    assert world.send(token).status_code == 429
    assert operations.unlock(LOGIN, **BY).told == (Told("138****1234", "sent", "console", None),)
    seen = inquiry.overview(LOGIN)
    assert seen.locks == ()
    event = next(event for event in events() if event.event == "unlocked")
    assert (event.actor, event.reason) == (BY["actor"], "本人来函")
    assert set(event.outcome.split(",")) == {
        "starts",
        "login-sends",
        "destination-sends",
        "wrong-codes",
        "wrong-details",
        "wrong-passwords",
    }
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200


def test_lifting_limits_gives_a_live_code_no_new_tries(
    operations: Operations, world: World
) -> None:
    """Five tries on one code are five, whoever is asked for help; and a wrong one still counts."""
    token = recover(world)
    wrong = f"{(int(world.phones.codes[0]) + 1) % 1_000_000:06d}"
    for _ in range(4):
        assert world.confirm(token, wrong).status_code == 400
    operations.unlock(LOGIN, **BY)
    assert world.confirm(token, wrong).json_body["attempts_left"] == 0
    assert world.confirm(token, world.phones.codes[0]).status_code == 429


def test_lifting_limits_leaves_the_service_s_budgets(
    operations: Operations, inquiry: Inquiry, world: World
) -> None:
    """They hold back a flood, which no single login's operator may let in."""
    recover(world)
    hour = world.clock.time // HOUR
    budget = BudgetItem(f"budget#sends#{hour}", total=2_000, expires_at=world.clock.time + DAY)
    budget.save()
    operations.unlock(LOGIN, **BY)
    assert [lock.kind for lock in inquiry.overview(LOGIN).locks] == ["service-sends"]


def test_limits_lifted_in_the_middle_of_a_step_spoil_nothing(
    dynamodb_local: str, monkeypatch: pytest.MonkeyPatch, make_world: MakeWorld
) -> None:
    """On DynamoDB itself: a code that is being used works, though its counts were just emptied."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_local)
    world = make_world(TABLE_PREFIX="unlock-midway")
    create_tables(boto3.client("dynamodb"), "unlock-midway")
    add_firm(world.service.hasher)
    operations = session.operations()
    token = recover(world)
    hashing = world.service.hasher.hash

    def unlocked_meanwhile(password: str) -> str:
        assert operations.unlock(LOGIN, **BY).changed
        return hashing(password)

    monkeypatch.setattr(world.service.hasher, "hash", unlocked_meanwhile)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)
    # The other two changes, once, on the real thing; they find no code to end any more.
    assert operations.change_phone(LOGIN, NEW, **BY).changed
    assert operations.unbind(LOGIN, **BY).changed
    assert sorted(event.event for event in events()) == [
        "code-sent",
        "password-recovered",
        "phone-changed",
        "unlocked",
        "wechat-unbound",
    ]


def test_nothing_counted_is_no_change(operations: Operations, world: World) -> None:
    """Nothing is written, nobody is told."""
    assert operations.unlock(LOGIN, **BY) == Changed(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_what_a_change_leaves_behind_vanishes_again(operations: Operations, world: World) -> None:
    """Counts that an operator's change had to touch carry a time to live."""
    world.start()
    operations.unlock(LOGIN, **BY)
    operations.change_phone(LOGIN, NEW, **BY)
    kept = [*CodeItem.scan(), *DestinationItem.scan()]
    assert kept
    for item in kept:
        assert world.clock.time < item.expires_at <= world.clock.time + DAY
