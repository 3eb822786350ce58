"""The commands find, freeze, unfreeze, search-index, and the audit of the staff."""

from __future__ import annotations

import csv
import io
import json

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.services.desk import find
from chalicelib.store.desk_models import DeskItem
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.store.proposals import new_proposal
from chalicelib.store.search import SearchIndex
from infra.ops import change_words, words
from tests.conftest import World, add_firm
from tests.support.ops_runner import HEADER, LOGIN, REASON, Run

pytestmark = pytest.mark.usefixtures("serial_moto")


def test_a_login_is_frozen_and_unfrozen(run_ops: Run, world: World) -> None:
    """With the operator's identity and reason; a repeat changes nothing."""
    ran = run_ops("freeze", LOGIN, *REASON)
    assert (ran.status, ran.out.splitlines()[0]) == (0, f"{LOGIN} 已冻结。")
    assert "已冻结" in run_ops("account", LOGIN).out
    assert run_ops("freeze", LOGIN, *REASON, "--json").json["changed"] is False
    assert run_ops("unfreeze", LOGIN, *REASON).out.startswith(f"{LOGIN} 已解除冻结。")
    events = run_ops("audit", LOGIN, "--json").json
    assert [event["event"] for event in events] == ["unfrozen", "frozen"]
    assert all(event["actor"].startswith("arn:") for event in events)


def test_a_firm_is_closed_and_opened_again(run_ops: Run, world: World) -> None:
    """With the operator's identity and reason; a repeat changes nothing."""
    run_ops("search-index", *REASON)
    ran = run_ops("close", LOGIN, *REASON)
    assert (ran.status, ran.out.startswith(f"{LOGIN} 已注销，")) == (0, True)
    assert "138****1234" in ran.out
    assert "没有变化" in run_ops("close", LOGIN, *REASON).out
    assert "已注销" in run_ops("find", LOGIN).out
    assert "注销" in run_ops("account", LOGIN).out
    # A new index does not let the entries of a closed firm stay.
    run_ops("search-index", *REASON)
    assert None not in {entry.expires_at for entry in DeskItem.scan()}
    assert run_ops("export", LOGIN, "--json").json["firm"]["closed_at"]
    assert run_ops("close", LOGIN, "--undo").status == 2
    reopened = run_ops("close", LOGIN, "--undo", *REASON, "--json").json
    assert (reopened["changed"], reopened["closed_at"]) == (True, None)
    assert "没有注销" in run_ops("close", LOGIN, "--undo", *REASON).out
    names = [event["event"] for event in run_ops("audit", LOGIN, "--json").json]
    assert names == ["firm-reopened", "exported", "firm-closed"]
    assert run_ops("close", "99999999", *REASON, "--json").json["error"] == "account-not-found"


def test_a_search_index_that_fails_is_reported(
    run_ops: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The firm is closed all the same; the exit status is 1."""

    def fail(*_: object) -> None:
        raise Unavailable("store")

    monkeypatch.setattr(SearchIndex, "expire", fail)
    ran = run_ops("close", LOGIN, *REASON)
    assert (ran.status, change_words.NOT_INDEXED in ran.out) == (1, True)
    assert world.login_item().closed_at


def test_the_index_is_written_for_what_was_there_before(run_ops: Run, world: World) -> None:
    """Once; a search then finds by name and phone. A repeat writes nothing new."""
    assert run_ops("find", "示例").out.strip() == words.FIND_NOTHING
    ran = run_ops("search-index", *REASON, "--json")
    assert (ran.status, ran.json) == (0, {"firms": 1, "phones": 2})
    entries = {(entry.kind, entry.id) for entry in DeskItem.scan()}
    assert "已索引 1 家" in run_ops("search-index", *REASON).out
    assert {(entry.kind, entry.id) for entry in DeskItem.scan()} == entries
    for text in ("示例", "13800001234", "1101", "阿依古丽"):
        assert [firm["firm_no"] for firm in run_ops("find", text, "--json").json["firms"]] == [
            LOGIN
        ], text
    out = run_ops("find", "示例").out
    assert "138****1234" in out
    assert "13800001234" not in out


def test_a_search_with_more_firms_than_are_shown_says_so(
    run_ops: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A longer part of the name finds fewer."""
    add_firm(world.service.hasher, "11010149")
    run_ops("search-index", *REASON)
    assert words.FIND_MORE not in run_ops("find", "示例").out
    monkeypatch.setattr(find, "MOST", 1)
    assert words.FIND_MORE in run_ops("find", "示例").out


def test_a_new_index_needs_a_reason(run_ops: Run, world: World) -> None:
    """It is a change, and audited."""
    assert run_ops("search-index").status == 2
    assert DeskItem.count() == 0
    run_ops("search-index", *REASON)
    (item,) = AuditItem.scan()
    assert (item.event, item.reason) == ("search-index-rebuilt", REASON[1])


def test_an_import_makes_firms_searchable(run_ops: Run, world: World, tmp_path: object) -> None:
    """And a changed name replaces the former one."""
    from pathlib import Path

    file = Path(str(tmp_path)) / "firms.csv"
    row = "32990002,{},32,苏财会〔2010〕0017号,甄示例,4321,13900001111,,Opening-1\n"
    file.write_text(HEADER + row.format("江苏样例会计师事务所"), "utf-8")
    assert run_ops("import", str(file), *REASON).status == 0
    for text in ("样例", "甄示例", "32990002", "13900001111"):
        assert run_ops("find", text, "--json").json["firms"], text
    file.write_text(HEADER + row.format("江苏新名会计师事务所"), "utf-8")
    assert run_ops("import", str(file), *REASON).status == 0
    assert run_ops("find", "新名", "--json").json["firms"]
    assert not [entry for entry in DeskItem.scan() if "样例" in entry.id]


def test_the_acts_of_the_staff_are_read_by_person_and_date(run_ops: Run, world: World) -> None:
    """Of all logins, as a table, JSON and CSV."""
    run_ops("freeze", LOGIN, "--reason", "=1+1")
    run_ops("freeze", f"{LOGIN}_cw", *REASON)
    acts = run_ops("audit", "--json").json
    assert [(act["login"], act["event"]) for act in acts] == [
        (LOGIN, "frozen"),
        (f"{LOGIN}_cw", "frozen"),
    ]
    actor = acts[0]["actor"]
    assert len(run_ops("audit", "--by", actor, "--json").json) == 2
    assert run_ops("audit", "--by", "somebody", "--json").json == []
    assert run_ops("audit", "--to", "2000-01-01", "--json").json == []
    assert run_ops("audit", "--to", "2000-01-01").out.strip() == words.NO_EVENTS
    assert len(run_ops("audit", LOGIN, "--by", actor, "--json").json) == 1
    assert LOGIN in run_ops("audit").out
    text = run_ops("audit", "--csv").out
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row[6] for row in rows[1:]] == ["'=1+1", REASON[1]]
    assert run_ops("audit", "--from", "someday").status == 1


def test_everything_that_is_kept_about_a_firm_is_exported(run_ops: Run, world: World) -> None:
    """Without a password, a code, an openid or a whole phone; the export itself is audited."""
    world.send(world.token())
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice")])
    snapshot = world.service.accounts.read(LOGIN)
    assert snapshot is not None
    new_proposal(
        snapshot,
        masked="139****2222",
        sealed="sealed-phone",
        reason="离职",
        document="公函1",
        subject="lin",
        now=world.clock.time,
    ).save()
    ran = run_ops("export", LOGIN, "--json")
    facts = ran.json
    assert [proposal["phone"] for proposal in facts["proposals"]] == ["139****2222"]
    assert facts["firm"]["head_name"] == "阿依古丽·买买提"
    assert [login["phone"] for login in facts["logins"]] == ["138****1234"] * 2
    assert [login["wechat_bound"] for login in facts["logins"]] == [True, False]
    assert [event["event"] for event in facts["events"][LOGIN]] == ["exported", "code-sent"]
    item = world.login_item()
    for hidden in (
        "13800001234",
        "sealed-phone",
        "o-alice",
        item.password_hash,
        world.phones.codes[0],
    ):
        assert hidden not in ran.out
    assert json.loads(run_ops("export", LOGIN).out)["firm"] == facts["firm"]
    assert run_ops("export", "99999999", "--json").json["error"] == "account-not-found"
