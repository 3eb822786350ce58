"""A closed firm: its logins are off at once, its data expires, and until then it can be opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import AccountNotFound, FreezeLinkInvalid, InvalidInput, Unavailable
from chalicelib.domain.limits import DAY
from chalicelib.domain.staff import Role, Staff
from chalicelib.security.freeze_tokens import FreezeTokens
from chalicelib.services.closing import Closing
from chalicelib.store.desk_models import DeskItem
from chalicelib.store.dynamo import ConditionFailed
from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from infra.ops import enrol
from infra.ops.enrolment.firms import Directory, LoginChange
from tests.conftest import PHONE, MakeWorld, World, add_firm
from tests.support.desk import Desk
from tests.support.ops_runner import HEADER

LOGIN, FINANCE = "11010148", "11010148_cw"
BY = {"actor": "arn:aws-cn:iam::1:user/ops", "reason": "主管部门公告注销"}
RIGHT = "Opening-password-1"
ROW = "11010148,北京某会计师事务所,11,京财会许可〔2012〕0084号,甄示例,123X,{},,\n"


@pytest.fixture
def closing(world: World) -> Closing:
    """The closing of firms, in a world whose firm is searchable."""
    desk = world.service.desk
    firm = world.service.firms.get(LOGIN)
    assert firm is not None
    desk.search_index.add(firm, [(LOGIN, PHONE), (FINANCE, PHONE)])
    return desk.closing


def expiries() -> set[float | None]:
    """Return the times to live of all that is stored about the firm, without its audit."""
    items: list[Any] = [*FirmItem.scan(), *LoginItem.scan(), *DeskItem.scan()]
    assert len(items) > 6
    return {item.expires_at for item in items}


def verify(world: World) -> Any:
    """Return the body of a verification of the main login's password."""
    body = {"login": LOGIN, "password": RIGHT}
    return world.call("POST", "/credentials/verify", body).json_body


def test_everything_is_off_at_once(world: World, closing: Closing) -> None:
    """Open recoveries, codes, new recoveries and passwords, of both logins."""
    token = world.token()
    world.send(token)
    before = world.login_item().password_hash
    result = closing.close(LOGIN, **BY)
    assert (result.changed, result.logins) == (True, (LOGIN, FINANCE))
    assert world.confirm(token, world.phones.codes[0]).status_code in (401, 410)
    assert world.send(token).status_code == 401
    for login in (LOGIN, FINANCE):
        answer = world.start(login)
        assert (answer.status_code, answer.json_body["code"]) == (403, "frozen")
    assert verify(world) == {"valid": False, "must_change": False, "changed_at": 0, "frozen": True}
    assert world.login_item().password_hash == before


def test_all_that_is_stored_expires_together(world: World, closing: Closing) -> None:
    """Firm, logins and search entries, after the setting's days; the audit stays."""
    result = closing.close(LOGIN, **BY)
    assert result.closed_at == world.clock.time
    assert result.erased_at == world.clock.time + 30 * DAY
    assert expiries() == {result.erased_at}
    events = [(event.event, event.reason) for event in AuditItem.query(FINANCE)]
    assert events == [("firm-closed", BY["reason"])]


def test_the_days_are_a_setting(make_world: MakeWorld) -> None:
    """FIRM_ERASURE_DAYS."""
    world = make_world(FIRM_ERASURE_DAYS="7")
    add_firm(world.service.hasher)
    result = world.service.desk.closing.close(LOGIN, **BY)
    assert result.erased_at == world.clock.time + 7 * DAY


def test_it_is_opened_again_as_it_was(world: World, closing: Closing) -> None:
    """With phone, binding and password; a login that was frozen stays frozen."""
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice")])
    world.service.desk.support.freeze(FINANCE, **BY)
    closing.close(LOGIN, **BY)
    world.clock.time += 30 * DAY - 1
    assert closing.reopen(LOGIN, **BY).changed
    assert expiries() == {None}
    assert verify(world)["valid"] is True
    item = world.login_item()
    assert (item.phone, item.openid) == (PHONE, "o-alice")
    assert world.start().status_code == 201
    assert world.start(FINANCE).json_body["code"] == "frozen"


def test_after_its_time_it_counts_as_erased(world: World, closing: Closing) -> None:
    """Also while DynamoDB has not deleted the items: nothing is shown, opened or changed."""
    closing.close(LOGIN, **BY)
    world.clock.time += 30 * DAY
    support, service = world.service.desk.support, world.service
    for act in (
        lambda: closing.reopen(LOGIN, **BY),
        lambda: closing.close(LOGIN, **BY),
        lambda: service.diagnosis.overview(LOGIN),
        lambda: support.unlock(LOGIN, **BY),
        lambda: support.phone_doubts(LOGIN, "13900002222"),
    ):
        with pytest.raises(AccountNotFound):
            act()
    assert service.desk.find.find(LOGIN).firms == ()
    assert world.start().json_body["code"] == "frozen"


def test_nothing_is_said_of_an_erased_firm(desk: Desk) -> None:
    """An identity check compares nothing, the WeChat's list is empty, a notice's link is invalid."""
    world = desk.world
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice")])
    closed = world.service.desk.closing.close(LOGIN, **BY)
    assert closed.erased_at is not None
    token = FreezeTokens(world.service.signer, world.service.peppers[1])
    path = f"/support/api/firms/{LOGIN}/identity"
    facts = {"approval_no": "1", "head_name": "甄示例", "head_id_last4": "0000"}
    world.clock.time = closed.erased_at - 1
    link = token.issue(LOGIN, "o-alice", world.clock.time)
    for status, listed in ((200, 2), (404, 0)):
        assert desk.agent.post(path, facts).status_code == status
        answer = world.call("GET", "/recovery/logins", openid="o-alice")
        assert len(answer.json_body["logins"]) == listed
        world.clock.time += 1
    with pytest.raises(FreezeLinkInvalid):
        world.service.owner_freezing.freeze(link)
    assert not world.login_item().frozen_at


def test_the_firm_is_found_as_closed(world: World, closing: Closing) -> None:
    """Until it is erased."""
    closing.close(LOGIN, **BY)
    (firm,) = world.service.desk.find.find(LOGIN).firms
    assert firm.closed_at == world.clock.time


def test_each_person_is_notified_once(world: World, closing: Closing) -> None:
    """Both logins have one phone; a repeat changes nothing and notifies nobody."""
    closing.close(LOGIN, **BY)
    first = world.clock.time
    world.clock.time += DAY
    repeated = closing.close(LOGIN, **BY)
    assert (repeated.changed, repeated.closed_at) == (False, first)
    assert closing.reopen(LOGIN, **BY).changed
    assert not closing.reopen(LOGIN, **BY).changed
    assert [(sms.to, sms.template) for sms in world.phones.sent] == [
        (PHONE, "firm-closed"),
        (PHONE, "firm-reopened"),
    ]
    assert LOGIN in world.phones.sent[0].text


def test_nobody_changes_its_logins(world: World, closing: Closing) -> None:
    """Neither with a state read before, nor after."""
    support = world.service.desk.support
    support.freeze(LOGIN, **BY)
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice")])
    accounts = world.service.accounts
    before = accounts.read(LOGIN)
    assert before is not None
    closing.close(LOGIN, **BY)
    for act in (support.unfreeze, support.unbind, support.unlock):
        with pytest.raises(InvalidInput):
            act(LOGIN, **BY)
    with pytest.raises(InvalidInput):
        support.change_phone(LOGIN, "13900002222", **BY)
    event = AuditItem(LOGIN, "1", event="x", actor="y")
    with pytest.raises(ConditionFailed):
        accounts.change_phone(before, "+8613900002222", [event], world.clock.time)
    assert world.login_item().phone == PHONE


def test_entries_that_were_left_are_completed_by_a_repeat(
    world: World, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after the closing leaves entries that do not expire; the result says so."""
    index = world.service.desk.search_index

    def fail(*_: object) -> None:
        raise Unavailable("store")

    with monkeypatch.context() as patched:
        patched.setattr(index, "expire", fail)
        assert closing.close(LOGIN, **BY).indexed is False
    assert None in expiries()
    repeated = closing.close(LOGIN, **BY)
    assert (repeated.changed, repeated.indexed) == (False, True)
    assert expiries() == {repeated.erased_at}


def test_a_firm_that_changes_again_and_again_is_not_closed(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempts are bounded, and nothing is closed."""

    def overtaken(*_: object) -> None:
        raise ConditionFailed([None], [True])

    with monkeypatch.context() as patched:
        patched.setattr("chalicelib.store.closing.close", overtaken)
        with pytest.raises(Unavailable):
            closing.close(LOGIN, **BY)
    assert closing.close(LOGIN, **BY).changed


def test_on_a_real_dynamodb(real_world: World) -> None:
    """The same transactions, with a live code that ends."""
    token = real_world.token()
    real_world.send(token)
    closing = real_world.service.desk.closing
    assert closing.close(LOGIN, **BY).changed
    assert real_world.start().json_body["code"] == "frozen"
    assert closing.reopen(LOGIN, **BY).changed
    assert real_world.send(token).status_code == 401
    assert verify(real_world)["valid"] is True
    named = {"head_name": "甄示例"}
    corrections = real_world.service.desk.corrections
    staff = Staff("zhao", "赵敏", frozenset({Role.SUPERVISOR}), "0" * 32, 0)
    assert corrections.correct(staff, LOGIN, named, "换届", "批复1号") == ("head_name",)
    assert FirmItem.get(LOGIN, consistent_read=True).head_name == "甄示例"


def test_an_unknown_firm(world: World, closing: Closing) -> None:
    """And a text that is no number."""
    with pytest.raises(AccountNotFound):
        closing.close("99999999", **BY)
    with pytest.raises(InvalidInput):
        closing.close("北京", **BY)


@pytest.mark.parametrize("later", [0, 30 * DAY])
@pytest.mark.parametrize("erased_first", [(), (FirmItem,)])
def test_an_import_refuses_its_row(
    world: World, closing: Closing, tmp_path: Path, later: int, erased_first: tuple[type, ...]
) -> None:
    """With what to do, and changes nothing; also where DynamoDB has deleted one of the items."""
    result = closing.close(LOGIN, **BY)
    world.clock.time += later
    for model in erased_first:
        model(LOGIN).delete()
    file = tmp_path / "firms.csv"
    file.write_text(HEADER + ROW.format("13900002222"), "utf-8")
    report = enrol.load(file)
    (refused,) = report.refused
    assert "close 11010148 --undo" in refused.reasons[0]
    assert (report.loaded, report.unchanged) == (0, 0)
    assert world.login_item().expires_at == result.erased_at
    file.write_text("firm_no,phone\n11010148,13900002222\n", "utf-8")
    assert len(enrol.load(file, update=True).refused) == 1


def test_an_import_that_began_before_does_not_write_it(world: World, closing: Closing) -> None:
    """The condition of the write is the firm's state, not what was read."""
    firm = world.service.firms.get(LOGIN)
    assert firm is not None
    change = LoginChange(LOGIN, created=False, phone=None, password_hash=None, must_change=False)
    closing.close(LOGIN, **BY)
    with pytest.raises(ConditionFailed):
        Directory().write(firm, [change], actor="a", reason="r", now=world.clock.time)


def test_after_the_erasure_it_is_a_new_firm(world: World, closing: Closing, tmp_path: Path) -> None:
    """DynamoDB has deleted the items; nothing of the former firm is left."""
    closing.close(LOGIN, **BY)
    for model in (FirmItem, LoginItem, DeskItem):
        with model.batch_write() as batch:
            for item in list(model.scan()):
                batch.delete(item)
    file = tmp_path / "firms.csv"
    file.write_text(HEADER + ROW.format("13900002222"), "utf-8")
    assert enrol.load(file).loaded == 1
    item = world.login_item()
    assert item.phone == "+8613900002222"
    assert not item.closed_at
    assert not item.expires_at
    assert world.start().status_code == 201


def test_the_desk_shows_the_date(desk: Desk) -> None:
    """Call 10: since when, until when it can be opened again, and what to say."""
    closed = desk.world.service.desk.closing.close(LOGIN, **BY)
    shown = desk.agent.get(f"/support/api/logins/{LOGIN}").json_body
    assert (shown["closed_at"], shown["erased_at"]) == (closed.closed_at, closed.erased_at)
    assert shown["findings"][0] == "closed"
    assert "2027年1月15日 16:00注销" in shown["why"]
    assert "2027年2月14日" in shown["say"]
    answer = desk.agent.post(f"/support/api/logins/{LOGIN}/unlock", {"reason": "来电"})
    assert (answer.status_code, answer.json_body["code"]) == (422, "invalid-input")


def test_a_phone_that_was_approved_is_not_bound(desk: Desk) -> None:
    """The firm was closed between the approval and the code."""
    facts = {
        "approval_no": "京财会许可[2012]84",
        "head_name": "阿依古丽 买买提",
        "head_id_last4": "123X",
    }
    assert desk.agent.post(f"/support/api/firms/{LOGIN}/identity", facts).json_body["matches"]
    body = {"phone": "13900002222", "reason": "来电", "document": "函1号"}
    proposal = desk.agent.post(f"/support/api/logins/{LOGIN}/phone", body).json_body
    at = f"/support/api/proposals/{proposal['id']}"
    assert desk.supervisor.post(f"{at}/approve").status_code == 200
    desk.world.service.desk.closing.close(LOGIN, **BY)
    desk.world.clock.time += 60
    answer = desk.agent.post(f"{at}/code")
    assert (answer.status_code, answer.json_body["field"]) == (422, "login")
    (code,) = [sms.params["code"] for sms in desk.world.phones.sent if "code" in sms.params]
    assert desk.agent.post(f"{at}/confirm", {"code": code}).status_code == 422
    assert desk.agent.post(f"/support/api/logins/{LOGIN}/phone", body).status_code == 422
    assert desk.world.login_item().phone == PHONE
