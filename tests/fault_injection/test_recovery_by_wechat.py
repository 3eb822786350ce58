"""Recoveries by WeChat, of which every outgoing call fails once."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from chalice.test import HTTPResponse

from chalicelib.services.qr_scenes import page_of
from chalicelib.store.access_token import LEASE
from tests.fault_injection.driver import DETAILS, MakePlace, Person, tables
from tests.fault_injection.sweep import HUNG, Faults, Point
from tests.support.official_account import Phone, login_of

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

LEASED = 3
"""How often a code may have to be requested: where the answer to the lease of WeChat's token was lost,
no instance can renew the token before the lease ends, and each request waits for half of it."""
assert LEASE < LEASED * 4


def finish(person: Person, token: str, code: str) -> None:
    """Set the password, and assert that the recovery is complete."""
    done = person.confirm(token, "right code", code)
    assert (done.status_code, done.json_body["wechat_bound"]) == (200, True)
    person.has_recovered(token, code)
    assert len(set(person.notices)) == len(person.notices)


def test_a_pushed_code_is_sent_once(make_place: MakePlace, faults: Faults) -> None:
    """A code that may have been pushed is not pushed again, and can be fetched."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        token = person.begin()["token"]
        assert person.request_code(token, "code", LEASED)["delivery"] == "sent"
        silent = point.kind is HUNG and point.failed("code", "/cgi-bin/message/template/send")
        assert len(person.pushed_codes) == (0 if silent else 1)
        # The menu item returns the same code, whether it was pushed or not.
        code = person.tap()
        assert person.pushed_codes in ([], [code])
        person.sends_are_recorded(1)
        finish(person, token, code)

    swept = faults.sweep("recovery by WeChat template", act)
    assert {"GetItem", "UpdateItem", "TransactWriteItems", "/"} <= set(swept)
    assert {"/cgi-bin/stable_token", "/cgi-bin/message/template/send"} <= set(swept)


def test_a_pending_code_is_fetched(make_place: MakePlace, faults: Faults) -> None:
    """Also where no event reported the follower, so that WeChat is requested."""
    place = make_place(template=False, PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        tables()["recovery-followers"].items.clear()
        token = person.begin()["token"]
        assert person.request_code(token, "code", LEASED)["delivery"] == "pull"
        person.sends_are_recorded(1)
        code = person.tap()
        assert place.world.confirm(token, code).status_code == 200
        person.has_recovered(token, code)

    swept = faults.sweep("recovery by WeChat pull", act)
    assert {"/cgi-bin/stable_token", "/cgi-bin/user/info"} <= set(swept)


def finish_by_sms(person: Person, token: str) -> None:
    """Complete the recovery by SMS; its calls are covered by another sweep."""
    assert person.world.send(token).json_body["method"] == "sms"
    (code,) = person.sms_codes
    assert person.world.confirm(token, code).status_code == 200
    person.has_recovered(token, code)


def test_an_unbinding_leads_to_sms(make_place: MakePlace, faults: Faults) -> None:
    """It is done once and notified once, and the same recovery or a new one continues by SMS."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        token = person.begin()["token"]
        details = {"firm_no": person.login, **DETAILS}
        undone = person.insist(
            "unbinding",
            lambda: person.world.call("POST", "/recovery/unbinding", details, token=token),
        )
        if undone.status_code != 200:
            # The binding was undone and the answer lost, so that the repeat is refused. The person
            # begins a new recovery, which goes by SMS.
            assert (undone.status_code, undone.json_body["code"]) == (401, "recovery-expired")
            assert point.failed("unbinding", "TransactWriteItems")
            assert point.kind.took_effect
            begun = person.begin()
            token, undone_method = begun["token"], begun["method"]
        else:
            undone_method = undone.json_body["method"]
        assert undone_method == "sms"
        assert len(person.events("wechat-unbound")) == 1
        assert person.item().openid is None
        notices = len(person.notices)
        lost = undone.status_code != 200
        # A notice is sent once: neither its failure nor the lost answer above undoes the unbinding.
        missed = point.failed("unbinding") and not person.errors
        assert 1 <= notices <= 2 if missed and not lost else notices == (0 if lost else 2)
        finish_by_sms(person, token)

    faults.sweep("unbinding, then SMS", act)


def enter(phone: Phone, link: str) -> str:
    """Open the page inside WeChat, and again where it shows that the service was unavailable."""
    url = phone.browse(link)
    if "entry=" in url:
        assert "entry=unavailable" in url
        url = phone.browse(link)
    return url


def test_a_recovery_continues_from_a_pc_on_the_phone(make_place: MakePlace, faults: Faults) -> None:
    """The QR code, the scan, the login by OAuth, the recovery on the phone, the poll on the PC."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, follows=False)
        pc = person.begin(in_wechat=False)
        assert (pc["method"], pc["qr"][:14]) == ("follow", "data:image/svg")
        phone = person.phone
        point.step = "scan"
        with point:
            page_id = page_of(place.world.service.recovery.read(pc["token"]).recovery)
            ends_at = place.world.clock() + 600
            scene = place.world.service.scenes.make(person.login, ends_at, page_id)
            phone.follow(scene)
            page = enter(phone, f"{place.world.service.enter_url}?scene={scene}")
        assert login_of(page) == person.login
        token = person.done("start on the phone", lambda: _start(person, scene), 201)["token"]
        finish_by_sms(person, token)
        poll = person.done("poll", lambda: place.world.call("GET", "/recovery", token=pc["token"]))
        assert poll["state"] == "done"

    swept = faults.sweep("from a PC to the phone", act)
    assert {"/cgi-bin/qrcode/create", "/sns/oauth2/access_token"} <= set(swept)


def test_a_repeated_return_from_oauth_identifies_the_person(
    make_place: MakePlace, faults: Faults
) -> None:
    """A browser requests the return three times; a call fails in any of them."""
    place = make_place(PROOF_OF_WORK="0")
    exchange = "/sns/oauth2/access_token"

    def act(point: Point) -> None:
        person = place.person(point)
        phone = person.phone
        away = phone.call("GET", "/wechat/enter").headers["Location"]
        back = urlsplit(phone.authorize(away))
        point.step = "return"
        identified = []
        with point:
            for _ in range(3):
                page = phone.browse(f"{back.path}?{back.query}")
                identified.append("entry=" not in page)
                assert ("__Host-wechat" in phone.cookies) == identified[-1], page
        if not point.failed("return"):
            assert identified == [True] * 3
        elif not point.failed("return", exchange):
            # The store failed before the exchange, which a repeat makes, or kept no result.
            assert any(identified)
        if not identified[-1]:
            assert "entry=" not in enter(phone, place.world.service.enter_url)
        token = person.done("start", lambda: _start(person), 201)["token"]
        finish_by_sms(person, token)

    assert exchange in faults.sweep("repeated returns from OAuth", act)


def _start(person: Person, scene: str | None = None) -> HTTPResponse:
    return person.phone.start(person.login, scene)
