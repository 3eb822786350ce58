"""Attacks 83, 84 and 90: what the support desk shows, in the page and in spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from chalicelib.domain.reasons import parse_reason
from chalicelib.handlers import desk_page
from chalicelib.handlers.http import problems
from chalicelib.services.desk import find, reviews
from chalicelib.services.desk.phone_change import PhoneChange
from chalicelib.services.diagnosis import Diagnosis
from chalicelib.services.support import Support
from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from chalicelib.web.assets import build, by_served_name
from chalicelib.web.support import assets as page_assets
from tests.conftest import PHONE
from tests.security.desk_actions import (
    FACTS,
    LOGIN,
    NEW,
    PROPOSALS,
    REASON,
    act,
    approved,
    issue,
    phone_code,
    propose,
)
from tests.security.mutation import SourceMutation, Value, attack
from tests.support.desk import AGENT, SUPERVISOR, Desk
from tests.support.page_files import Elements

FREEZE = f"/support/api/logins/{LOGIN}/freeze"
VIEW = f"/support/api/logins/{LOGIN}"
HOSTILE = '<img src=x onerror="alert(1)">'

# 83


@dataclass(frozen=True)
class PageText:
    """A text in a script of the desk's page, replaced by another one."""

    file: str
    text: str
    instead: str

    @property
    def named(self) -> str:
        return f"chalicelib/web/support/{self.file}: {self.text}"

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        def read(name: str) -> str:
            source = page_assets.read(name)
            if name != self.file:
                return source
            assert source.count(self.text) == 1, f"not exactly once in the source: {self.named}"
            return source.replace(self.text, self.instead)

        changed = build(page_assets._SOURCES, read)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(page_assets, "assets", lambda: changed)
            patch.setattr(page_assets, "by_name", lambda: by_served_name(changed))
            yield


SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser"
    r"|setHTML|srcdoc|\beval\(|\bnew Function\b|javascript:"
)


@attack(
    83,
    PageText("elements.js", "element.append(...children", "element.innerHTML += (...children"),
    Value(desk_page, "CONTENT_SECURITY_POLICY", "script-src 'self' 'unsafe-inline'"),
    SourceMutation(problems.json_response, '"application/json; charset=utf-8"', '"text/html"'),
    Value(problems, "HEADERS", {"Cache-Control": "no-store"}),
    SourceMutation(
        desk_page.document,
        'DESK_ENTRY.get(query.get("entry", ""), "")',
        'query.get("entry", "")',
        (("html.escape(value)", "value"),),
    ),
)
def test_no_name_and_no_reason_is_executed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and reasons are JSON, which no browser renders; the page makes text nodes of them.

    Its policy allows no inline script, and Trusted Types refuse what a text would be parsed by. The
    tests in a browser let the page render such names.
    """
    FirmItem(LOGIN).update([FirmItem.name.set(HOSTILE)])
    issue(monkeypatch, desk, name=HOSTILE)
    propose(desk.agent)
    assert desk.agent.post(FREEZE, {"reason": HOSTILE}).status_code == 200
    for browser, path in (
        (desk.agent, "/support/api/me"),
        (desk.agent, f"/support/api/find?q={LOGIN}"),
        (desk.agent, VIEW),
        (desk.supervisor, PROPOSALS),
        (desk.supervisor, "/support/api/audit"),
        (desk.supervisor, f"/support/api/audit?login={quote(HOSTILE)}"),
    ):
        headers = {name.lower(): value for name, value in browser.get(path).headers.items()}
        assert re.match(r"application/(problem\+)?json", str(headers["content-type"])), path
        assert headers.get("x-content-type-options") == "nosniff"
    assert HOSTILE in str(desk.agent.get(VIEW).json_body)

    answer = desk.agent.get(f"/support/?entry={quote(HOSTILE)}")
    document = answer.body.decode()
    assert "<img" not in document
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in str(answer.headers["Content-Security-Policy"]).split(";")
    )
    assert policy.get("default-src") == "'none'"
    assert policy.get("script-src") == "'self'"
    assert policy.get("require-trusted-types-for") == "'script'"
    assert policy.get("trusted-types") == "'none'"
    elements = Elements(document)
    assert elements.inline == []
    (script,) = [path for path in elements.addresses() if path.endswith(".js")]
    assert SINKS.findall(desk.agent.get(script).body.decode()) == []


# 84

FORMULAS = ("=1+1", "+1", "-1", "@SUM(1)", "＝1+1", "＠SUM(1)", "=cmd|' /C calc'!A0", '","=1+1","')
EXECUTED = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@attack(
    84,
    SourceMutation(
        reviews.cell, 'f"\'{text}" if text.lstrip(" ").startswith(_FORMULAS) else text', "text"
    ),
    SourceMutation(reviews.cell, 'text.lstrip(" ")', "text"),
    SourceMutation(reviews.cell, "plain.replace('\"', '\"\"')", "plain"),
    Value(reviews, "_FORMULAS", ("=", "+", "-", "@", "\t", "\r", "\n")),
)
def test_no_cell_of_the_audit_is_a_formula(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a reason, a person's subject or a filter has brought it along."""
    issue(monkeypatch, desk, sub="=1+1")
    browser = desk.browser()
    browser.sign_in(AGENT)
    monkeypatch.undo()
    for formula in FORMULAS:
        assert browser.post(FREEZE, {"reason": formula}).status_code == 200
        assert desk.supervisor.post(FREEZE.replace("freeze", "unfreeze"), REASON).status_code == 200
    desk.auditor.get("/support/api/audit?by=%20%3D1%2B1")
    answer = desk.auditor.get("/support/api/audit?format=csv")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert str(headers["content-disposition"]).startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig")), strict=True))
    cells = [cell for row in rows for cell in row]
    assert [cell for cell in cells if cell.lstrip(" ").startswith(EXECUTED)] == []
    assert {len(row) for row in rows} == {len(rows[0])}
    for formula in FORMULAS:
        assert any(cell.removeprefix("'") == formula for cell in cells), formula


# 90


@attack(
    90,
    SourceMutation(
        Diagnosis.overview, "mask_phone(snapshot.phone) if snapshot.phone", "snapshot.phone if True"
    ),
    SourceMutation(
        find._Found.add, "mask_phone(login.phone) if login.phone else None", "login.phone"
    ),
    SourceMutation(PhoneChange.propose, "masked=mask_phone(phone)", "masked=phone"),
    SourceMutation(
        PhoneChange.confirm, "None if was.phone is None else mask_phone(was.phone)", "was.phone"
    ),
    SourceMutation(Support.change_phone, "REPLACED + mask_phone(before.phone)", "before.phone"),
    SourceMutation(parse_reason, "mask_phones(reason)", "reason"),
    SourceMutation(reviews.Reviews.audit, "mask_phones(query.by)", "query.by"),
)
def test_the_desk_shows_no_secret(desk: Desk) -> None:
    """No answer to any role has a whole phone, a code, a hash, an openid or a fact of the firm."""
    world = desk.world
    LoginItem(LOGIN).update([LoginItem.openid.set("o-canary-90")])
    token = world.token(f"{LOGIN}_cw", openid="o-canary-90")
    assert world.send(token).status_code == 202
    world.service.desk.support.change_phone(
        f"{LOGIN}_cw", "13700003333", actor="arn:aws-cn:iam::1:user/ops", reason="来函"
    )
    # What the staff types may have a phone as well.
    reason = {"reason": f"来电人的新手机是{NEW}"}
    assert desk.agent.post(FREEZE, reason).status_code == 200
    assert desk.auditor.get(f"/support/api/audit?by={NEW}").status_code == 200
    proposal = approved(desk)
    code = phone_code(desk)
    bodies = [act(desk.agent, proposal, "confirm", code=code).body.decode()]
    for browser in (desk.agent, desk.supervisor, desk.auditor):
        for path in (
            "/support/api/me",
            f"/support/api/find?q={LOGIN}",
            f"/support/api/find?q={NEW}",
            f"/support/api/find?q={quote('阿依古丽')}",
            VIEW,
            f"{VIEW}_cw",
            PROPOSALS,
            "/support/api/audit",
            "/support/api/audit?format=csv",
            "/support/api/today",
        ):
            bodies.append(browser.get(path).body.decode())
    text = "\n".join(bodies)
    assert "新手机是139****2222" in text
    assert "137****3333" in text
    secrets = (
        PHONE.removeprefix("+86"),
        NEW,
        "13700003333",
        code,
        world.phones.codes[0],
        world.login_item().password_hash,
        "o-canary",
        "argon2",
        FACTS["approval_no"],
        FACTS["head_id_last4"],
        "买买提",
    )
    assert [secret for secret in secrets if secret in text] == []
    # What the staff did is all there, by person.
    actors = {item.actor for item in AuditItem.scan() if item.event.startswith("phone-")}
    assert {f"staff:{AGENT}", f"staff:{SUPERVISOR}"} <= actors
