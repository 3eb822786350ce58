"""The guided tour: scenes at their start, the return to the beginning, the journal, the audit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from chalicelib.services.support import REPLACED
from chalicelib.store.accounts import Event
from infra.local.audit_feed import row
from infra.local.journal import KEPT, Exchange, Journal
from infra.local.scenes import SCENES, Facts, scene
from infra.local.table_contents import TableContents
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
TIMEOUT = 300
BARE = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AWS_", "SMS_", "WECHAT_", "LIMIT_", "SITE_", "SIGNING_", "CODE_"))
}


class Stack:
    """A running local stack with the demo firms."""

    def __init__(self, lines: list[str]) -> None:
        self.url = next(line.split()[1] for line in lines if line.startswith("ready "))
        self.aws = next(line.split()[1] for line in lines if line.startswith("aws "))

    def act(self, act: str, **more: Any) -> requests.Response:
        return requests.post(f"{self.url}/_phone/act", json={"act": act, **more}, timeout=TIMEOUT)

    def tour(self) -> dict[str, Any]:
        return dict(requests.get(f"{self.url}/_phone/tour", timeout=TIMEOUT).json())

    def state(self) -> dict[str, Any]:
        return dict(requests.get(f"{self.url}/_phone/state", timeout=TIMEOUT).json())

    def done(self) -> list[bool]:
        return [step["done"] for step in self.tour()["scene"]["steps"]]

    def client(self) -> Any:
        return boto3.client(
            "dynamodb",
            "cn-north-1",
            endpoint_url=self.aws,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def contents(self) -> dict[str, list[str]]:
        """Return the items of all tables, in an order of their own."""
        client = self.client()
        return {
            name: sorted(
                json.dumps(item, sort_keys=True)
                for page in client.get_paginator("scan").paginate(TableName=name)
                for item in page["Items"]
            )
            for name in client.list_tables()["TableNames"]
        }


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0", "--no-proof"],
        cwd=ROOT,
        env=BARE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready "):
                break
        else:
            pytest.fail("the local stack did not start:\n" + "".join(lines))
        yield Stack(lines)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def test_everything_returns_to_the_beginning(stack: Stack) -> None:
    """Tables, clock, faults, phones and queues are as at the start, after a year of changes."""
    before, at_start = stack.contents(), stack.state()
    assert stack.act("use", phone="13700003333").ok
    assert stack.act("follow").ok
    assert stack.act("follow", phone="15000001111").ok
    login = {"login": "33990003_cw", "password": "05710007"}
    requests.post(f"{stack.url}/_login", data=login, timeout=TIMEOUT)
    started = requests.post(
        f"{stack.url}/recovery",
        json={"user_type": "firm", "login": "11010148"},
        timeout=TIMEOUT,
    )
    assert started.status_code == 201
    assert stack.act("break", part="sms", on=True).ok
    assert stack.act("break", part="wechat", on=True).ok
    assert stack.state()["broken"] == {"sms": True, "wechat": True}
    assert stack.act("new-year").ok
    assert stack.contents() != before

    assert stack.act("reset").ok
    assert stack.contents() == before
    now = stack.state()
    assert now["ahead"] == 0
    assert now["broken"] == {"sms": False, "wechat": False}
    assert (now["phones"], now["codes"]) == (at_start["phones"], [])
    assert (now["current"], now["menu"]) == (at_start["current"], at_start["menu"])
    assert stack.tour()["audit"] == []


@pytest.mark.parametrize("name", [each.name for each in SCENES])
def test_no_step_of_a_scene_is_done_at_its_start(stack: Stack, name: str) -> None:
    """The phone is selected, follows and is bound as the scene needs it."""
    assert stack.act("scene", scene=name).ok
    chosen = scene(name)
    assert chosen is not None
    tour, state = stack.tour(), stack.state()
    assert tour["scene"]["name"] == name
    assert stack.done() == [False] * len(chosen.steps)
    assert state["current"] == chosen.number
    person = next(each for each in state["phones"] if each["number"] == chosen.number)
    assert person["following"] == (chosen.follower == "yes")
    item = stack.client().get_item(TableName="recovery-logins", Key={"login": {"S": chosen.login}})
    assert item["Item"].get("openid", {}).get("S") == (person["openid"] if chosen.bound else None)
    assert tour["audit"][-1]["event"] == "导入账号"


def test_the_new_year_resets_the_finance_logins(stack: Stack) -> None:
    """The schedule's function runs, its queue is worked, and the step is ticked; and once more."""
    for _ in range(2):
        assert stack.act("scene", scene="yearly-reset").ok
        assert stack.act("new-year").ok
        wait_until(lambda: stack.done()[0])
        audit = stack.tour()["audit"]
        assert audit[0]["event"] == "年度重置"
        assert audit[0]["facts"].endswith("年度默认密码")


def test_a_phone_is_registered_for_the_scene_s_login_only(stack: Stack) -> None:
    """Without a scene there is no login to register it for."""
    assert stack.act("reset").ok
    assert stack.act("register-phone").json() == {"error": "no-scene"}
    assert stack.act("scene", scene="no-phone").ok
    assert stack.act("register-phone").ok
    assert stack.done() == [False, True, False, False]
    assert stack.tour()["audit"][0]["event"] == "变更手机号"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"act": "scene", "scene": "other"}, 422, "scene"),
        ({"act": "move-clock"}, 422, "seconds"),
        ({"act": "move-clock", "seconds": 90_000}, 422, "seconds"),
        ({"act": "move-clock", "seconds": -1}, 422, "seconds"),
        ({"act": "break", "part": "aws", "on": True}, 422, "part"),
        ({"act": "break", "part": "sms", "on": 1}, 422, "on"),
    ],
)
def test_malformed_acts_of_the_tour_are_refused(
    stack: Stack, body: dict[str, Any], status: int, error: str
) -> None:
    reply = stack.act(**body)
    assert (reply.status_code, reply.json()) == (status, {"error": error})


def test_the_service_and_the_page_share_the_clock(stack: Stack) -> None:
    """A move of the clock lets a code expire; scripts of framed pages get the difference."""
    assert stack.act("scene", scene="wechat").ok
    start = {"user_type": "firm", "login": "65990006"}
    token = requests.post(f"{stack.url}/recovery", json=start, timeout=TIMEOUT).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    sent = requests.post(f"{stack.url}/recovery/code", json={}, headers=headers, timeout=TIMEOUT)
    assert sent.status_code == 202
    [card] = [
        entry
        for each in stack.state()["phones"]
        for entry in each["chat"]
        if entry["kind"] == "card"
    ]
    assert stack.act("move-clock", seconds=301).ok
    refused = requests.post(
        f"{stack.url}/recovery/password",
        json={"code": dict(card["fields"])["验证码"], "password": "Yanshi-Mima-7"},
        headers=headers,
        timeout=TIMEOUT,
    )
    assert (refused.status_code, refused.json()["code"]) == (410, "code-expired")
    script = requests.get(f"{stack.url}/_phone/frame.js", timeout=TIMEOUT).text
    assert script.startswith("const AHEAD = 301;\n")
    framed = requests.get(stack.url, headers={"Sec-Fetch-Dest": "iframe"}, timeout=TIMEOUT)
    alone = requests.get(stack.url, timeout=TIMEOUT)
    assert ("frame.js" in framed.text, "frame.js" in alone.text) == (True, False)


def test_scenes_need_the_demo_firms(tmp_path: Path) -> None:
    """With another directory there are no scenes, and everything else stays."""
    firms = tmp_path / "firms.csv"
    firms.write_text(
        "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,opening_password\n"
        "31990099,示例,31,沪财会〔2020〕1号,甄示例,123x,13800009999,,\n",
        "utf-8",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0", "--firms", str(firms)],
        cwd=ROOT,
        env=BARE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("ready "):
            break
    stack = Stack(lines)
    tour = stack.tour()
    assert (tour["scenes"], tour["can_reset"]) == ([], True)
    assert stack.act("scene", scene="sms").json() == {"error": "outside"}
    process.terminate()
    process.wait(60)
    process.stdout.close()


def test_a_step_is_observed_by_what_happened() -> None:
    """Each fact is of this scene's phone and login."""
    exchange = Exchange("/recovery", 409, "phone-not-bound", "44990005")
    facts = Facts("13800001234", exchanges=[exchange], acts=[("scan", "13900002222")])
    assert facts.answered("/recovery", 409, "phone-not-bound")
    assert not facts.answered("/recovery", 409)
    assert not facts.answered("/recovery/code", 409, "phone-not-bound")
    assert not facts.has_acted("scan")
    assert replace(facts, number="13900002222").has_acted("scan")
    event = EVENT
    assert replace(facts, events=[event]).has_event("code-sent", method="sms")
    assert not replace(facts, events=[event]).has_event("code-sent", method="wechat")


EVENT = Event(
    1_790_000_000,
    "code-sent",
    "person",
    "sms",
    "138****1234",
    "http",
    "sent",
    None,
    "delivered",
    None,
    None,
    None,
    None,
    None,
)


@pytest.mark.parametrize(
    ("event", "name", "by", "facts"),
    [
        (EVENT, "发送验证码", "本人", "短信 · 138****1234 · 已发送 · 已送达"),
        (
            replace(EVENT, event="phone-changed", outcome=REPLACED + "138****0000", receipt=None),
            "变更手机号",
            "本人",
            "138****1234 · 原为138****0000",
        ),
        (
            replace(EVENT, event="refused-wrong-codes", occurrences=3),
            "超限拒绝：同一微信或网络一天内输错该账号验证码的次数（不影响他人）",
            "本人",
            "3次",
        ),
        (
            replace(EVENT, event="unheard-of", actor="arn:aws:iam::1:user/li"),
            "unheard-of",
            "user/li",
            "138****1234 · 已发送 · 已送达",
        ),
    ],
)
def test_an_audit_event_in_chinese(event: Event, name: str, by: str, facts: str) -> None:
    """Names that have no Chinese word are shown as they are."""
    shown = row("11010148", event)
    assert (shown["event"], shown["by"], shown["login"]) == (name, by, "11010148")
    assert shown["facts"] == facts


def observed(journal: Journal, path: str, sent: bytes, status: int, answer: str = "{}") -> None:
    builder = EnvironBuilder(path, method="POST", data=sent)
    environ = builder.get_environ()
    environ["RAW_URI"] = path
    journal.observe(Request(environ), Response(answer, status))


def test_the_journal_keeps_answers_and_acts() -> None:
    """Logins as people type them, codes of problems; nothing of what is malformed."""
    journal = Journal()
    observed(journal, "/recovery", '{"login":"１１０１０１４８_CW"}'.encode(), 201)
    observed(journal, "/recovery", b'{"login":"x"}', 422, '{"code":"invalid-input"}')
    observed(journal, "/credentials/verify", b'{"login":"11010148"}', 200)
    observed(journal, "/wechat/callback", b"<xml/>", 200, "success")
    observed(journal, "/recovery", b"[", 400, "no JSON")
    observed(journal, "/recovery", b'{"login":"11010148"}' + b" " * 5_000, 413)
    assert [(each.login, each.code) for each in journal.exchanges()] == [
        ("11010148_cw", ""),
        ("", "invalid-input"),
        ("11010148", ""),
        ("", ""),
        ("", ""),
        ("", ""),
    ]
    assert journal.recent_logins(5) == ["11010148", "11010148_cw"]
    assert journal.recent_logins(1) == ["11010148"]
    for number in range(KEPT + 5):
        journal.record_act("scan", str(number))
    assert len(journal.acts()) == KEPT
    assert journal.acts()[-1] == ("scan", str(KEPT + 4))
    journal.clear()
    assert (journal.acts(), journal.exchanges()) == ([], [])


def test_a_refused_body_is_not_read_again() -> None:
    """A request that is too long has an answer already, and the journal leaves it as it is."""
    environ = EnvironBuilder("/recovery", method="POST", data=b"x" * 100).get_environ()
    environ["RAW_URI"] = "/recovery"
    request = Request(environ)
    request.max_content_length = 10
    journal = Journal()
    journal.observe(request, Response("{}", 413))
    assert journal.exchanges() == [Exchange("/recovery", 413, "", "")]


class FullTable:
    """A client that leaves a part of each batch unprocessed."""

    def __init__(self, names: list[str]) -> None:
        self.items = {name: {"id": {"S": name}} for name in names}

    def describe_table(self, TableName: str) -> dict[str, Any]:
        return {"Table": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "scan"
        return self

    def paginate(self, TableName: str, ConsistentRead: bool) -> list[dict[str, Any]]:
        every = list(self.items.values())
        return [{"Items": every[:20]}, {"Items": every[20:]}]

    def batch_write_item(self, RequestItems: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        [(name, batch)] = RequestItems.items()
        assert 1 <= len(batch) <= 25
        first, rest = batch[0], batch[1:]
        if "DeleteRequest" in first:
            del self.items[first["DeleteRequest"]["Key"]["id"]["S"]]
        else:
            item = first["PutRequest"]["Item"]
            self.items[item["id"]["S"]] = item
        return {"UnprocessedItems": {name: rest} if rest else {}}


def test_the_contents_of_a_table_are_restored() -> None:
    """New items go, deleted and changed ones return; unprocessed writes are repeated."""
    table = FullTable([str(number) for number in range(30)])
    contents = TableContents(table, ["some"])
    contents.save()
    saved = dict(table.items)
    for number in range(28):
        del table.items[str(number)]
    table.items["28"] = {"id": {"S": "28"}, "more": {"S": "x"}}
    table.items["new"] = {"id": {"S": "new"}}
    contents.restore()
    assert table.items == saved
