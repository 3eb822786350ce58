"""The items that enrolment writes, and those that it leaves unchanged."""

from __future__ import annotations

import pytest

from chalicelib.store.models import FirmItem, LoginItem
from infra.ops.enrolment.enrolment import Result
from tests.conftest import MakeWorld, World, imported_hash
from tests.support.enrolment_cases import ROW, events, load, row, stored

pytestmark = pytest.mark.usefixtures("serial_moto")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A service without any firm."""
    return make_world()


def test_a_firm_is_enrolled_with_its_two_logins(world: World) -> None:
    """The main login has the opening password, the finance login the default one."""
    (result,) = load(world, [row()])
    assert result == Result(2, "32990002", "loaded", hashes=2)
    firm = FirmItem.get("32990002")
    assert (firm.name, firm.province, firm.head_id_last4) == (ROW["name"], "32", "432X")
    main, finance = world.login_item("32990002"), world.login_item("32990002_cw")
    assert (main.phone, finance.phone) == ("+8613800001234", "+8613900002222")
    assert world.service.hasher.verify(main.password_hash, "Opening-1")
    assert world.service.hasher.verify(finance.password_hash, "025432X")
    assert (main.must_change, finance.must_change) == (False, True)
    for login in (main, finance):
        assert login.password_hash.startswith("v1:$argon2id$")
        assert (login.firm_no, login.province, login.head_id_last4) == ("32990002", "32", "432X")
        assert (login.password_version, login.changed_at) == (1, world.clock.time)
        (event,) = events(login.login)
        assert (event.event, event.actor, event.reason) == ("enrolled", "tester", "a test")
        assert event.destination == f"{login.phone[3:6]}****{login.phone[-4:]}"


def test_enrolled_logins_recover_their_passwords(world: World) -> None:
    """An enrolled login can be recovered by SMS."""
    load(world, [row()])
    token = world.token("32990002_cw")
    world.send(token)
    assert world.phones.sent[0].to == "+8613900002222"
    assert world.confirm(token, world.phones.codes[0]).status_code == 200


def test_the_same_file_twice_changes_nothing(world: World) -> None:
    """The second load hashes nothing and writes nothing, not even an event."""
    rows = [row(), row(3, firm_no="32990003", phone="", opening_password="")]
    load(world, rows)
    before = stored()
    world.clock.time += 1
    assert [(one.outcome, one.hashes) for one in load(world, rows)] == [("unchanged", 0)] * 2
    assert stored() == before


def test_a_password_that_exists_is_never_overwritten(world: World) -> None:
    """The person's own password and must_change stay, whatever the file has."""
    load(world, [row()])
    token = world.token("32990002_cw")
    world.send(token)
    assert world.confirm(token, world.phones.codes[0], "Recovered-horse-7").status_code == 200
    load(world, [row(opening_password="Opening-2", head_id_last4="9999", name="改名")])
    main, finance = world.login_item("32990002"), world.login_item("32990002_cw")
    assert world.service.hasher.verify(main.password_hash, "Opening-1")
    assert world.service.hasher.verify(finance.password_hash, "Recovered-horse-7")
    assert not finance.must_change
    assert (main.head_id_last4, finance.head_id_last4) == ("9999", "9999")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "改名会计师事务所"),
        ("province", "33"),
        ("approval_no", "苏财会〔2010〕0018号"),
        ("head_name", "尤样例"),
        ("head_id_last4", "1111"),
    ],
)
def test_changed_facts_reach_the_firm_and_both_logins(
    world: World, column: str, value: str
) -> None:
    """A firm that moved, was renamed or has a new head is changed in every copy."""
    load(world, [row()])
    world.clock.time += 1
    (result,) = load(world, [row(**{column: value})])
    assert (result.outcome, result.hashes) == ("loaded", 0)
    assert getattr(FirmItem.get("32990002"), column) == value
    for login in ("32990002", "32990002_cw"):
        item = world.login_item(login)
        assert item.phone
        assert item.password_version == 1
        assert events(login)[-1].event == "enrolment-updated"
        if column in ("province", "head_id_last4"):
            assert getattr(item, column) == value
    (again,) = load(world, [row(**{column: value})])
    assert again.outcome == "unchanged"


def test_a_phone_is_bound_where_there_is_none(world: World) -> None:
    """A later file adds a number that was unknown before."""
    load(world, [row(phone="", finance_phone="")])
    world.clock.time += 1
    (result,) = load(world, [row(phone="")])
    assert (result.outcome, result.notes) == ("loaded", ())
    assert world.login_item("32990002").phone is None
    assert world.login_item("32990002_cw").phone == "+8613900002222"
    assert len(events("32990002")) == 1
    assert [event.event for event in events("32990002_cw")] == ["enrolled", "enrolment-updated"]


def test_a_bound_phone_stays_with_a_note(world: World) -> None:
    """A file cannot redirect a login's codes to another phone."""
    load(world, [row()])
    (result,) = load(world, [row(phone="13700000000", finance_phone="")])
    assert result.outcome == "unchanged"
    assert result.notes == ("32990002已绑定其他手机号，未改动；变更请用 ops phone",)
    assert world.login_item("32990002").phone == "+8613800001234"
    assert world.login_item("32990002_cw").phone == "+8613900002222"


def test_a_bound_phone_is_changed_on_request(world: World) -> None:
    """With `rebind` each changed phone is passed to it."""
    changes: list[tuple[str, str]] = []
    load(world, [row()])
    (result,) = load(
        world,
        [row(phone="13700000000")],
        rebind=lambda login, phone: changes.append((login, phone)),
    )
    assert changes == [("32990002", "+8613700000000")]
    assert (result.outcome, result.notes) == ("loaded", ("32990002绑定的手机号已变更",))


@pytest.mark.parametrize("enrolled", ["甄\ue863", "甄䶮", "甄\u200b䶮_x000D_"])
@pytest.mark.parametrize("typed", ["甄䶮", "甄\ue863"])
def test_a_head_s_name_of_rare_characters_matches_at_an_unbinding(
    world: World, enrolled: str, typed: str
) -> None:
    """However the previous system encoded it, and however the person's device does."""
    load(world, [row(head_name=enrolled)])
    LoginItem("32990002").update([LoginItem.openid.set("o-alice")])
    details = {"firm_no": "32990002", "approval_no": ROW["approval_no"], "head_name": typed}
    token = world.token("32990002")
    assert world.call("POST", "/recovery/unbinding", details, token=token).status_code == 200
    assert world.login_item("32990002").openid is None


def test_a_hash_of_the_old_system_is_stored_unchanged(world: World) -> None:
    """An argon2 hash in the column is stored as it is, and verifies."""
    made = imported_hash("旧密码1")
    (result,) = load(world, [row(opening_password=made)])
    assert result.hashes == 1
    main = world.login_item("32990002")
    assert main.password_hash == made
    assert world.service.hasher.verify(main.password_hash, "旧密码1")
    assert world.service.hasher.needs_rehash(main.password_hash)


def test_without_an_opening_password_a_login_has_none(world: World) -> None:
    """The row loads with a note; a later file may bring the password, once."""
    (result,) = load(world, [row(opening_password="")])
    assert (result.outcome, result.hashes) == ("loaded", 1)
    assert result.notes == ("没有开户密码，账号须先找回密码才能登录",)
    main = world.login_item("32990002")
    assert main.password_hash is None
    assert (main.password_version, main.must_change, main.changed_at) == (0, False, 0)
    (later,) = load(world, [row()])
    assert (later.outcome, later.notes, later.hashes) == ("loaded", (), 1)
    main = world.login_item("32990002")
    assert main.password_version == 1
    assert world.service.hasher.verify(main.password_hash, "Opening-1")


def test_a_weak_opening_password_loads(world: World) -> None:
    """The password policy applies to new passwords only."""
    assert load(world, [row(opening_password="1")])[0].outcome == "loaded"


def test_an_invalid_row_is_skipped(world: World) -> None:
    """It is reported with its reasons in the order of rows, and the other rows are loaded."""
    rows = [
        row(2),
        row(3, firm_no="32990003", phone="1", province="99"),
        row(4, firm_no="32990004"),
    ]
    results = load(world, rows)
    assert [(one.row, one.outcome) for one in results] == [
        (2, "loaded"),
        (3, "refused"),
        (4, "loaded"),
    ]
    assert results[1].firm_no == "32990003"
    assert results[1].reasons == ("province应为两位行政区划代码", "phone应为11位大陆手机号")
    assert not any("32990003" in str(items) for items in stored().values())


def test_the_second_row_of_a_firm_is_refused(world: World) -> None:
    """The first valid row of a firm is loaded, however its number is typed."""
    bad = row(2, province="99")
    again = row(4, firm_no="３２９９０００２", name="另一家")
    results = load(world, [bad, row(3), again])
    assert [one.outcome for one in results] == ["refused", "loaded", "refused"]
    assert results[2].reasons == ("firm_no与第3行重复",)
    assert FirmItem.get("32990002").name == ROW["name"]
