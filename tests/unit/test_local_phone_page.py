"""`/_phone`: its JSON API, its files, and the firms that it lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client, TestResponse

from chalicelib.http_client import HttpClient
from chalicelib.sms.gateway import Outcome
from chalicelib.sms.http import Http
from infra.local.clock import MovableClock
from infra.local.firms import DEMO, described, listed
from infra.local.people import PEOPLE, People
from infra.local.phone_page import PhonePage
from infra.local.serving import application
from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat
from infra.ops.enrolment.directory_row import Entry, read_row
from infra.ops.files import directory_file
from tests.support.sms_cases import SMS

LOCAL = "http://127.0.0.1:8000"
SMS_SECRET = "s" * 32
FOLDER = Path(listed.__code__.co_filename).with_name("phone")


@pytest.fixture
def sms() -> Iterator[SimulatedSms]:
    with SimulatedSms(SMS_SECRET) as sms:
        yield sms


@pytest.fixture
def wechat() -> Iterator[SimulatedWeChat]:
    """A platform whose account has no server: each of its messages ends as a fault."""
    with SimulatedWeChat(
        "wx0123456789abcdef",
        "w" * 32,
        "token",
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        callback_url=lambda: "http://127.0.0.1:9/",
        visitor=lambda hints: "",
    ) as wechat:
        yield wechat


@pytest.fixture
def page(sms: SimulatedSms, wechat: SimulatedWeChat) -> PhonePage:
    return PhonePage(
        site=LOCAL, local=LOCAL, people=People(), sms=sms, wechat=wechat, firms=listed(DEMO)
    )


def ask(
    page: PhonePage,
    path: str,
    body: Any = None,
    *,
    method: str | None = None,
    host: str = "127.0.0.1:8000",
    origin: str | None = None,
) -> TestResponse:
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client(application(page.answer)).open(
        path,
        base_url=f"http://{host}",
        method=method or ("GET" if body is None else "POST"),
        headers={"Origin": origin} if origin else {},
        data=raw,
    )


def act(page: PhonePage, **body: Any) -> tuple[int, dict[str, Any]]:
    reply = ask(page, "/_phone/act", body)
    return reply.status_code, dict(reply.get_json())


def state(page: PhonePage) -> dict[str, Any]:
    return dict(ask(page, "/_phone/state").get_json())


def phone(page: PhonePage, number: str) -> dict[str, Any]:
    return next(dict(one) for one in state(page)["phones"] if one["number"] == number)


def test_the_state_has_every_documented_name(page: PhonePage) -> None:
    """The names are those of the module's docstring."""
    shown = state(page)
    assert set(shown) == {
        *("now", "ahead", "site", "pc", "wechat", "sms", "broken", "current", "menu", "codes"),
        *("phones", "firms"),
    }
    assert shown["pc"] == "http://localhost:8000"
    assert [one["number"] for one in shown["phones"]] == [person.number for person in PEOPLE]
    assert set(shown["phones"][0]) == {
        *("number", "name", "about", "openid", "following", "sms", "chat"),
    }
    assert all(re.fullmatch(r"o[\w-]{27}", one["openid"]) for one in shown["phones"])


def test_acts_change_the_state(page: PhonePage) -> None:
    """Following, writing, leaving and clearing take effect at once, for the named or current phone."""
    assert act(page, act="follow") == (200, {"ok": True, "reply": None})
    assert act(page, act="follow") == (409, {"error": "follows-already"})
    assert act(page, act="use", phone="13700003333")[0] == 200
    assert state(page)["current"] == "13700003333"
    assert act(page, act="say", text="x") == (409, {"error": "not-following"})
    assert act(page, act="say", text="x", phone="13800001234")[0] == 200
    mine = phone(page, "13800001234")
    assert mine["following"]
    assert "x" in [entry["text"] for entry in mine["chat"]]
    assert act(page, act="leave", phone="+8613800001234")[0] == 200
    assert not phone(page, "13800001234")["following"]
    assert act(page, act="clear")[0] == 200
    assert phone(page, "13800001234")["chat"] == []


def test_any_mainland_number_is_a_phone(page: PhonePage) -> None:
    """A number that acts or receives an SMS is added; another is refused."""
    assert act(page, act="follow", phone="15000001111")[0] == 200
    assert phone(page, "15000001111")["following"]
    for number in ("", "110", "abc", 13800001234, None, ["x"]):
        assert act(page, act="follow", phone=number) == (422, {"error": "phone"})


def test_a_phone_abroad_is_not_shown(page: PhonePage, sms: SimulatedSms) -> None:
    """It may get an SMS all the same."""
    before = state(page)["phones"]
    abroad = replace(SMS, to="+85291234567")
    assert Http(sms.url, SMS_SECRET, HttpClient()).send(abroad).outcome is Outcome.SENT
    assert sms.inbox("+85291234567")
    assert state(page)["phones"] == before


def test_a_scan_distinguishes_scenes_site_addresses_and_others(
    page: PhonePage, wechat: SimulatedWeChat
) -> None:
    """A QR code of the account gives its scene, one of the site opens it, another is foreign."""
    ticket = wechat.account.draw("11010148.x", 4_000_000_000)
    assert state(page)["codes"] == [
        {"url": ticket.url, "scene": "11010148.x", "expires_at": 4_000_000_000}
    ]
    assert act(page, act="scan", code=ticket.url)[1] == {
        "ok": True,
        "scene": "11010148.x",
        "following": False,
    }
    assert act(page, act="scan", code=f"{LOCAL}/wechat/enter?scene=x")[1]["open"].startswith(LOCAL)
    assert act(page, act="scan", code="https://elsewhere.example/") == (
        409,
        {"error": "foreign-code"},
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (b"{" * 20_000, "body"),
        ({}, "act"),
        ({"act": "dance"}, "act"),
        ({"act": "say"}, "text"),
        ({"act": "scan", "code": 1}, "code"),
        ({"act": "fail-sms", "times": "2"}, "times"),
        ({"act": "fail-sms", "delay": 1e9}, "delay"),
        ({"act": "fail-wechat", "path": None}, "path"),
    ],
)
def test_malformed_acts_are_refused(page: PhonePage, body: Any, error: str) -> None:
    """The response names the fault."""
    reply = ask(page, "/_phone/act", body, method="POST")
    assert (reply.status_code, reply.json) == (422, {"error": error})


def test_requested_failures_reach_the_simulators(
    page: PhonePage, sms: SimulatedSms, wechat: SimulatedWeChat
) -> None:
    """The next calls fail as the page requested, and as often."""
    assert act(page, act="fail-sms", status=503, times=2)[0] == 200
    assert act(page, act="fail-wechat", errcode=45009, path="/cgi-bin/user/info")[0] == 200
    assert act(page, act="revoke-token")[0] == 200
    gateway = Http(sms.url, SMS_SECRET, HttpClient())
    attempts = [gateway.send(SMS) for _ in range(3)]
    assert [attempt.outcome is Outcome.SENT for attempt in attempts] == [False, False, True]
    assert all("503" in attempt.reason for attempt in attempts[:2])
    answer = requests.get(f"{wechat.url}/cgi-bin/user/info", timeout=60)
    assert answer.json()["errcode"] == 45009


def test_other_sites_cannot_act(page: PhonePage) -> None:
    """Another origin and another host are refused."""
    body = {"act": "follow"}
    assert ask(page, "/_phone/act", body, origin="https://elsewhere.example").status_code == 403
    assert ask(page, "/_phone/act", body, host="elsewhere.example:8000").status_code == 403
    assert ask(page, "/_phone/state", host="elsewhere.example").status_code == 403
    assert ask(page, "/_phone/act", method="GET").status_code == 405
    assert ask(page, "/_phone/state", b"", method="PUT").status_code == 405
    assert ask(page, "/_phone/act", body, origin=LOCAL).status_code == 200


def test_localhost_is_redirected_to_the_service_s_host(page: PhonePage) -> None:
    """Under `localhost` the phone's frame would lose its cookies."""
    moved = ask(page, "/_phone", host="localhost:8000")
    assert (moved.status_code, moved.headers["Location"]) == (302, f"{LOCAL}/_phone")
    assert ask(page, "/_phone/state", host="localhost:8000").status_code == 200
    html = ask(page, "/_phone")
    assert html.status_code == 200
    policy = str(html.headers["Content-Security-Policy"])
    assert "frame-ancestors 'none'" in policy
    assert "http://localhost:8000" in policy
    assert "unsafe" not in policy
    for name, kind in (
        ("phone.css", "text/css"),
        ("phone.js", "text/javascript"),
        ("elements.js", "text/javascript"),
    ):
        file = ask(page, f"/_phone/{name}")
        assert str(file.headers["Content-Type"]).startswith(kind)
    for name in ("other.css", "../phone_page.py", "index.html"):
        assert ask(page, f"/_phone/{name}").status_code == 404


def _script() -> str:
    return "".join(file.read_text("utf-8") for file in sorted(FOLDER.glob("*.js")))


def test_the_page_needs_nothing_inline_or_from_elsewhere() -> None:
    """It obeys its policy, and has every element that the script looks up."""
    html = (FOLDER / "index.html").read_text("utf-8")
    script = _script()
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on[a-z]+=", html)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(", script)
    hosts = set(re.findall(r"https?://[^'\"\s<)]+", html + script)) - {"http://www.w3.org/2000/svg"}
    assert hosts == set()
    ids = set(re.findall(r'id="([\w-]+)"', html))
    assert set(re.findall(r'\$\("([\w-]+)"\)', script)) <= ids
    assert set(re.findall(r"#i-([a-z]+)", html)) <= {
        name[2:] for name in ids if name.startswith("i-")
    }


def test_the_page_works_without_simulators() -> None:
    """It answers, and reports which acts are impossible."""
    page = PhonePage(site=LOCAL, local=LOCAL, people=People(), sms=None, wechat=None)
    shown = state(page)
    assert (shown["wechat"], shown["sms"], shown["menu"], shown["codes"]) == (False, False, [], [])
    assert act(page, act="follow") == (409, {"error": "outside"})
    assert act(page, act="fail-sms", status=503) == (409, {"error": "outside"})
    for name in ("new-year", "reset"):
        assert act(page, act=name) == (409, {"error": "outside"})
    assert act(page, act="clear")[0] == 200


def test_a_clock_alone_is_moved() -> None:
    """Without scheduled functions, which would run at its times."""
    clock = MovableClock()
    page = PhonePage(site=LOCAL, local=LOCAL, people=People(), sms=None, wechat=None, clock=clock)
    assert act(page, act="new-year")[0] == 200
    assert state(page)["ahead"] == clock.ahead > 0


def test_a_browser_s_cookie_names_its_phone(page: PhonePage) -> None:
    """Without a valid cookie it is the current phone."""
    by_number = {person.number: person.openid for person in PEOPLE}
    assert page.visitor({"_phone": "13900002222"}) == by_number["13900002222"]
    assert page.visitor({"_phone": "rubbish"}) == by_number["13800001234"]
    act(page, act="use", phone="13700003333")
    assert page.visitor({}) == by_number["13700003333"]


def test_the_demo_firms_show_every_case() -> None:
    """Each case that the service distinguishes has a firm, and every row can be loaded."""
    rows = list(directory_file.rows(DEMO))
    entries = [read_row(row.values) for row in rows]
    assert all(isinstance(entry, Entry) for entry in entries), entries
    assert len(rows) == len({row.values["firm_no"] for row in rows}) == 12
    firms = listed(DEMO)
    tags = {tag for firm in firms for tag in firm.tags}
    assert tags == {
        *("one-phone", "two-phones", "main-phone-only", "finance-phone-only", "no-phone"),
        *("shared-phone", "branch", "id-x", "dotted-name", "long-name", "moved", "no-password"),
    }
    first = next(firm for firm in firms if firm.firm_no == "11010148")
    assert (first.phone, first.finance_phone) == ("13800001234", "13800001234")
    script = _script()
    assert all(re.search(rf'"?{tag}"?: "', script) for tag in tags)


def test_tags_follow_from_the_row() -> None:
    """An ordinary firm has one tag; missing columns are ignored."""
    plain = {"firm_no": "11999999", "province": "11", "phone": "13000000000"}
    full = {
        **plain,
        "finance_phone": "13000000000",
        "opening_password": "x",
        "head_id_last4": "1234",
    }
    assert [firm.tags for firm in described([full])] == [("one-phone",)]
    assert described([plain])[0].tags == ("main-phone-only", "no-password")
