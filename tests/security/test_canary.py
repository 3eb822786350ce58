"""Attack 91: the canary's mailbox, in which a machine reads codes, is of use to nobody else."""

from __future__ import annotations

import pytest

from chalicelib.domain import canary
from chalicelib.foundation import Foundation
from chalicelib.handlers import recovery
from chalicelib.services.canary import SEALING_PURPOSE
from chalicelib.settings import SettingsError, load
from chalicelib.sms.canary import CanaryRoute
from chalicelib.store import canary as store
from chalicelib.store.ephemeral_models import MailboxItem
from tests.conftest import PHONE, SETTINGS, MakeWorld, add_firm
from tests.security.mutation import SourceMutation, attack

FIRM = "00000000"
CANARY = canary.visitor("0123456789abcdef")


@attack(
    91,
    SourceMutation(
        recovery.start,
        "not canary.may_start(login, visitor_openid, service.settings.canary_firm)",
        "False",
    ),
    SourceMutation(canary.may_start, "is_canary(openid) == (login == firm)", "is_canary(openid)"),
    SourceMutation(canary.may_start, "(login == firm)", "True"),
)
def test_the_test_firm_is_the_canary_s_and_no_other_is(make_world: MakeWorld) -> None:
    """A stranger gets no code of the test firm's, and the canary's cookie begins nothing else."""
    world = make_world()
    add_firm(world.service.hasher)
    store.prepare_login(FIRM, canary.phone(1))
    strangers = [world.start(FIRM, openid) for openid in ("o-mallory", None)]
    assert [answer.status_code for answer in strangers] == [404, 404]
    assert world.start("11010148", CANARY).status_code == 404
    assert world.start(FIRM, CANARY).status_code == 201
    assert world.start("11010148").status_code == 201
    # Its cookie is one that this service has signed: no browser can write it.
    unsigned = {"Cookie": f"__Host-wechat={CANARY}"}
    body = {"user_type": "firm", "login": FIRM}
    assert world.call("POST", "/recovery", body, headers=unsigned).status_code == 404


@attack(
    91,
    SourceMutation(CanaryRoute.send, 'sms.params.get("login") == self._login', "True"),
    SourceMutation(CanaryRoute.send, "self._login", "sms.params.get('login')"),
    SourceMutation(Foundation._keep_canary_code, "self.sealer.seal(SEALING_PURPOSE, code)", "code"),
)
def test_the_mailbox_has_the_test_firm_s_codes_alone(make_world: MakeWorld) -> None:
    """Even where a firm has the phone of the test firm; and only a holder of the keys can read them."""
    world = make_world()
    store.prepare_login(FIRM, PHONE)
    add_firm(world.service.hasher)
    assert world.send(world.token()).status_code == 202
    assert [sms.to for sms in world.phones.sent] == [PHONE]
    assert not list(MailboxItem.scan(MailboxItem.id.startswith("canary#")))
    world.clock.time += 61
    assert world.send(world.token(FIRM, CANARY)).status_code == 202
    assert len(world.phones.sent) == 1
    (kept,) = MailboxItem.scan(MailboxItem.id.startswith("canary#"))
    code = world.service.sealer.unseal(SEALING_PURPOSE, str(kept.sealed))
    assert code is not None
    assert code.isdecimal()
    assert code not in str(kept.sealed)


@attack(91, SourceMutation(canary.is_firm_number, "_FIRM.fullmatch(text) is not None", "True"))
def test_no_real_firm_is_named_as_the_test_firm() -> None:
    """A slip of the setting cannot lead a firm's codes into the mailbox: no number begins with 00."""
    with pytest.raises(SettingsError, match="CANARY_FIRM"):
        load({**SETTINGS, "CANARY_FIRM": "11010148"})
