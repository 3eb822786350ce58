"""Attack 71: the audit trail says what happened, also to refused requests."""

from __future__ import annotations

from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.store.codes import Codes
from chalicelib.store.models import AuditItem, DestinationItem
from tests.conftest import Phones, World
from tests.security.actions import code_item
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
