"""Attack 71: the audit trail says what happened, also to refused requests."""

from __future__ import annotations

from chalicelib.handlers import middleware
from chalicelib.handlers import recovery as recovery_handlers
from chalicelib.security.requesters import Requesters, _network
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.store import audit
from chalicelib.store.codes import Codes
from chalicelib.store.models import AuditItem, DestinationItem
from tests.conftest import Phones, World
from tests.security.actions import DETAILS, code_item
from tests.security.mutation import SourceMutation, attack

LOGIN = "11010148"
BY = {"actor": "arn:aws-cn:iam::1:user/zhang", "reason": "本人来函"}


@attack(
    71,
    SourceMutation(
        Codes.cancel_send,
        'audit.settle_send(login, send.at, outcome="failed", reason=reason)',
        "pass",
    ),
    SourceMutation(
        Codes._uncount_send, "        update(code, end_code, is_its_code)", "        pass"
    ),
)
def test_a_send_that_fails_during_an_unlock_is_recorded_as_failed(world: World) -> None:
    """The operator clears the counts between the reservation and the gateway's refusal."""

    def refuse(sms: Sms) -> Attempt:
        if sms.template != "code":
            return Phones.send(world.phones, sms)
        assert world.service.support.unlock(LOGIN, **BY).changed
        return Attempt("console", Outcome.REFUSED)

    world.phones.send = refuse  # type: ignore[method-assign]
    assert world.send(world.token()).status_code == 502
    (send,) = [item for item in AuditItem.query(LOGIN) if item.event == "code-sent"]
    assert (send.outcome, bool(send.reason)) == ("failed", True)
    # A code that nobody received does not stay live, and no count is left.
    code = code_item()
    assert code.digest is None
    assert code.sends == []
    sends = [item.sends for item in DestinationItem.scan() if item.id.startswith("to#")]
    assert sends == [[]]


def events(login: str = LOGIN) -> list[AuditItem]:
    return list(AuditItem.query(login))


@attack(
    71,
    SourceMutation(audit.entry, '"request_id": sender.request_id,'),
    SourceMutation(audit.entry, '"requester": sender.requester,'),
    SourceMutation(recovery_handlers._claims, "origin.set_requester(mark)", "pass"),
    SourceMutation(middleware.observe, ", origin.begun(invocation.correlation_id)"),
)
def test_every_event_has_the_request_s_id_and_the_requester(world: World) -> None:
    """The code, the recovery and the unbinding, each by the visitor who sent the request."""
    mark = world.service.requesters.mark
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
    assert found["code-sent"][1] == found["password-recovered"][1] == mark("o-alice", "")
    assert found["wechat-unbound"][1] == mark(None, "127.0.0.1")


@attack(
    71,
    SourceMutation(
        Requesters.mark,
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
        return requesters.mark(None, address)

    assert requesters.mark("o-alice", "192.0.2.1") == requesters.mark("o-alice", "192.0.2.2")
    assert len({mark("192.0.2.1"), mark("192.0.2.2"), requesters.mark("192.0.2.1", "")}) == 3
    assert mark("2001:db8::1") == mark("2001:db8:0:0:ffff::2") != mark("2001:db8:0:1::1")
    assert mark("::ffff:192.0.2.1") == mark("192.0.2.1")
    assert mark("") != mark("192.0.2.1")
    for text in ("o-alice", "192.0.2.1"):
        made = requesters.mark(text, "")
        assert len(made) == 16
        assert int(made, 16) >= 0
        assert made != others.mark(text, "")
