"""Attack 71: the audit trail says what happened, also to refused requests."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.limits import DAY
from chalicelib.handlers import middleware
from chalicelib.handlers import recovery as recovery_handlers
from chalicelib.security.requesters import Requesters, _network
from chalicelib.services.code_verifier import CodeVerifier
from chalicelib.services.refusals import Refusals
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.store import audit
from chalicelib.store.codes import Codes
from chalicelib.store.ephemeral_models import DestinationItem
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.store.sends import Sends
from tests.conftest import Phones, World
from tests.security.actions import DETAILS, WRONG, code_item
from tests.security.mutation import SourceMutation, attack
from tests.stateful.doubles import Platform

LOGIN = "11010148"
BY = {"actor": "arn:aws-cn:iam::1:user/zhang", "reason": "本人来函"}


@attack(
    71,
    SourceMutation(
        Sends.cancel,
        'audit.settle_send(send.login, send.record.at, outcome="failed", reason=reason)',
        "pass",
    ),
    SourceMutation(Sends._uncount, "[write for write, failed in each if not failed]", "[]"),
)
def test_a_send_that_fails_during_an_unlock_is_recorded_as_failed(world: World) -> None:
    """The operator clears the counts between the reservation and the gateway's refusal."""

    def refuse(sms: Sms) -> Attempt:
        if sms.template != "code":
            return Phones.send(world.phones, sms)
        assert world.service.desk.support.unlock(LOGIN, **BY).changed
        return Attempt("console", Outcome.REFUSED)

    world.phones.send = refuse  # type: ignore[method-assign]
    assert world.send(world.token()).status_code == 502
    (send,) = [item for item in AuditItem.query(LOGIN) if item.event == "code-sent"]
    assert (send.outcome, bool(send.reason)) == ("failed", True)
    # A code that nobody received does not stay live, and no count is left.
    code = code_item()
    assert not code.digest
    assert code.sends == []
    sends = [item.sends for item in DestinationItem.scan() if item.id.startswith("to#")]
    assert sends == [[]]


def events(login: str = LOGIN) -> list[AuditItem]:
    return list(AuditItem.query(login))


@attack(
    71,
    SourceMutation(audit.entry, '"request_id": sender.request_id,'),
    SourceMutation(audit.entry, '"requester": sender.requester,'),
    SourceMutation(recovery_handlers._requester, "origin.set_requester(requester.id)", "pass"),
    SourceMutation(middleware.observe, ", origin.begun(invocation.correlation_id)"),
)
def test_every_event_has_the_request_s_id_and_the_requester(world: World) -> None:
    """The code, the recovery and the unbinding, each by the visitor who sent the request."""
    identify = world.service.requesters.identify
    token = world.token(openid="o-alice")
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200
    other = world.token(openid=None)
    unbound = world.call("POST", "/recovery/unbinding", DETAILS, token=other)
    assert unbound.status_code == 200
    found = {event.event: (event.request_id, event.requester) for event in events()}
    assert set(found) == {"code-sent", "password-recovered", "wechat-unbound"}
    assert len({request for request, _ in found.values()}) == 3
    assert all(request for request, _ in found.values())
    assert found["code-sent"][1] == found["password-recovered"][1] == identify("o-alice", "").id
    assert found["wechat-unbound"][1] == identify(None, "127.0.0.1").id


@attack(
    71,
    SourceMutation(
        Requesters.identify,
        "hmac.new(self._pepper, message, hashlib.sha256).hexdigest()[:_DIGITS]",
        "name",
    ),
    SourceMutation(
        _network, "str(mapped or ipaddress.ip_network((parsed, 64), strict=False))", "address"
    ),
)
def test_the_requester_is_a_keyed_digest_of_a_visitor() -> None:
    """Of the openid, else of the address, IPv6 by its /64; neither can be read or guessed from it."""
    requesters, others = Requesters(b"p" * 32), Requesters(b"q" * 32)

    def mark(address: str) -> str:
        return requesters.identify(None, address).id

    assert (
        requesters.identify("o-alice", "192.0.2.1").id
        == requesters.identify("o-alice", "192.0.2.2").id
    )
    assert len({mark("192.0.2.1"), mark("192.0.2.2"), requesters.identify("192.0.2.1", "").id}) == 3
    assert mark("2001:db8::1") == mark("2001:db8:0:0:ffff::2") != mark("2001:db8:0:1::1")
    assert mark("::ffff:192.0.2.1") == mark("192.0.2.1")
    assert mark("") != mark("192.0.2.1")
    for text in ("o-alice", "192.0.2.1"):
        made = requesters.identify(text, "").id
        assert len(made) == 16
        assert int(made, 16) >= 0
        assert made != others.identify(text, "").id


def refusals() -> dict[tuple[str, str], tuple[int, int, int]]:
    """Return number, first and last time of the rolled-up refusals, by event and requester."""
    return {
        (item.event, item.requester): (
            int(item.occurrences),
            int(item.first_at),
            int(item.last_at),
        )
        for item in events()
        if item.occurrences is not None
    }


@attack(
    71,
    SourceMutation(Refusals._record, "audit.roll_up(login, event, self._clock())", "pass"),
    SourceMutation(
        Codes._add_wrong, "transaction.update(*audit.rolled_up(login, CODE_WRONG, now))", "pass"
    ),
    SourceMutation(audit.rolled_up, "AuditItem.occurrences.add(1)", "AuditItem.occurrences.set(1)"),
    SourceMutation(audit.rolled_up, "AuditItem.first_at | now", "now"),
    SourceMutation(audit.rolled_up, "-{event}-{requester}", "-{event}"),
    SourceMutation(audit.rolled_up, "now // DAY * DAY", "0"),
)
def test_refusals_are_rolled_up_by_kind_requester_and_day(world: World) -> None:
    """Wrong codes, wrong details, and what a limit refused; nothing of logins that do not exist."""
    identify = world.service.requesters.identify
    alice, here = identify("o-alice", "").id, identify(None, "127.0.0.1").id
    began = world.clock.time = 1_800_000_000 // DAY * DAY + 100
    world.login_item().update([LoginItem.openid.set("o-bob")])
    world.service.__dict__["platform"] = Platform({"o-bob"})
    mine, theirs = world.token(openid="o-alice"), world.token(openid=None)
    assert world.send(mine).status_code == 202
    for token, times in ((mine, 5), (theirs, 2)):
        for _ in range(times):
            world.clock.time += 1
            assert world.confirm(token, WRONG).status_code == 400
    assert world.confirm(mine, WRONG).status_code == 429
    assert world.send(mine).status_code == 429
    wrong = {**DETAILS, "approval_no": "京财会〔1999〕0001号"}
    assert world.call("POST", "/recovery/unbinding", wrong, token=theirs).status_code == 403
    assert world.start("99999999").status_code == 404
    now = began + 7
    assert refusals() == {
        ("code-wrong", alice): (5, began + 1, began + 5),
        ("code-wrong", here): (2, began + 6, now),
        ("refused-code-tries", alice): (1, now, now),
        ("refused-destination-sends", alice): (1, now, now),
        ("details-wrong", here): (1, now, now),
    }
    assert events("99999999") == []
    # The next day has items of its own.
    world.clock.time += DAY
    token = world.token()
    assert world.send(token).status_code == 202
    assert world.confirm(token, WRONG).status_code == 400
    kinds = [item for item in events() if (item.event, item.requester) == ("code-wrong", alice)]
    assert [int(item.occurrences) for item in kinds] == [5, 1]
    shown = world.service.diagnosis.history(LOGIN, 50)
    assert [event.at for event in shown] == sorted((event.at for event in shown), reverse=True)


@attack(
    71,
    SourceMutation(Refusals._record, "except Exception as error:", "except KeyError as error:"),
    SourceMutation(
        CodeVerifier._wrong, "except ServiceError as error:", "except KeyError as error:"
    ),
)
def test_a_refusal_that_is_not_recorded_is_refused_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit of refusals is best effort: the answer is that of the refusal."""

    def fail(*_: object) -> None:
        raise Unavailable("store")

    token = world.token()
    world.send(token)
    monkeypatch.setattr(audit, "roll_up", fail)
    monkeypatch.setattr(audit, "rolled_up", fail)
    again = world.send(token)
    assert (again.status_code, again.json_body["code"]) == (429, "too-many-requests")
    answer = world.confirm(token, WRONG)
    assert (answer.status_code, answer.json_body["code"]) == (400, "code-wrong")
