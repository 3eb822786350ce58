"""Firms in number, written as raw items: the models would take longer than DynamoDB Local itself.

Names, heads and phones follow from the firm's number alone, so that a run can be repeated, and a
search can be made for any firm without having kept it.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chalicelib.domain.firms import FirmFacts
from chalicelib.domain.search_terms import beginnings, fold
from chalicelib.store.search import NUMBER_DIGITS, SearchIndex

FIRST = 50_000_000
"""The number of the first firm."""

CITIES = (
    "北京上海天津重庆广州深圳南京杭州成都武汉西安郑州长沙济南青岛沈阳大连长春合肥福州厦门南昌昆明贵阳"
    "南宁海口太原兰州银川西宁"
)
"""Two characters each."""

# The characters that occur in most firms' names, the common ones first.
_WORDS = (
    "信华天正中诚德永安和大立同达明众智恒瑞兴泰嘉鼎新公方君元致联合博文金汇海东南平宏远盛业长"
    "广博雅尚睿卓越凯通利晟源振国建民康佳欣悦容成铭锦京江山河岳川云星辰光辉普惠益才英杰贤良"
)
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红玲芬建国文辉力志"

_BATCH = 25
"""Items in one BatchWriteItem."""

_AT_ONCE = 3
"""Requests at once. DynamoDB Local inserts one after the other; reading and parsing overlap."""


@dataclass(frozen=True)
class Firm:
    """A firm, its main login's phone, and the parts of its name."""

    facts: FirmFacts
    phone: str
    """E.164."""
    openid: str
    city: str
    word: str
    """What distinguishes the name from others."""
    is_branch: bool
    """Whether the city is at the end of the name."""


def firm(number: int) -> Firm:
    """Return the firm of this number, from 0."""
    # An integer's own generator: its result does not depend on hashes of strings.
    chance = random.Random(number)
    cities = len(CITIES) // 2
    place = 2 * int(cities * chance.random() ** 2)
    city = CITIES[place : place + 2]
    word = "".join(_WORDS[int(len(_WORDS) * chance.random() ** 1.5)] for _ in range(2))
    branch = chance.random() < 0.1
    name = f"{word}会计师事务所{city}分所" if branch else f"{city}{word}会计师事务所（普通合伙）"
    head = chance.choice(_SURNAMES) + "".join(chance.choice(_GIVEN) for _ in range(2))
    facts = FirmFacts(
        firm_no=str(FIRST + number),
        name=name,
        province="11",
        approval_no=f"京财会许可〔2012〕{number % 10_000:04d}号",
        head_name=head,
        head_id_last4=f"{number % 1_000:03d}X",
    )
    return Firm(facts, f"+86139{number:08d}", f"b-{number:026d}", city, word, branch)


def items(one: Firm, index: SearchIndex) -> Iterator[tuple[str, str]]:
    """Yield the firm's items as kinds of tables and JSON: facts, login, follower, search entries.

    They are those of the models and of `store.search.entries_of`, which a test compares.
    """
    facts = one.facts
    number, name, head = facts.firm_no, fold(facts.name), fold(facts.head_name)
    yield (
        "firms",
        f'{{"firm_no":{{"S":"{number}"}},"name":{{"S":"{facts.name}"}},'
        f'"province":{{"S":"{facts.province}"}},"approval_no":{{"S":"{facts.approval_no}"}},'
        f'"head_name":{{"S":"{facts.head_name}"}},"head_id_last4":{{"S":"{facts.head_id_last4}"}}}}',
    )
    yield (
        "logins",
        f'{{"login":{{"S":"{number}"}},"firm_no":{{"S":"{number}"}},'
        f'"province":{{"S":"{facts.province}"}},"head_id_last4":{{"S":"{facts.head_id_last4}"}},'
        f'"phone":{{"S":"{one.phone}"}},"openid":{{"S":"{one.openid}"}},'
        '"password_hash":{"S":"old"},"password_version":{"N":"1"},"recovery_epoch":{"N":"0"},'
        '"changed_at":{"N":"1700000000"},"must_change":{"BOOL":false},"starts_by":{"M":{}}}',
    )
    yield (
        "followers",
        f'{{"openid":{{"S":"{one.openid}"}},"following":{{"BOOL":true}},"since":{{"N":"1700000000"}}}}',
    )
    phone = index.phone_entry(number, one.phone)
    yield "desk", _entry(phone.kind, phone.id)
    yield "desk", _entry(f"number#{number[:NUMBER_DIGITS]}", number)
    yield "desk", _entry(f"head#{head[0]}", f"{head}#{number}")
    for position in beginnings(name):
        kind, rest = f"name#{name[position]}", f"{name[position:]}#{number}"
        yield "desk", f'{_entry(kind, rest)[:-1]},"name":{{"S":"{name}"}}}}'


def _entry(kind: str, id_: str) -> str:
    return f'{{"kind":{{"S":"{kind}"}},"id":{{"S":"{id_}"}}}}'


def load(url: str, prefix: str, numbers: range, index: SearchIndex) -> int:
    """Write the items of these firms to the DynamoDB Local at `url`; return how many.

    Raises AssertionError where a batch is not written whole.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shares = [
            pool.submit(_load, url, prefix, numbers[start::_AT_ONCE], index, stop)
            for start in range(_AT_ONCE)
        ]
        try:
            return sum(share.result() for share in shares)
        finally:
            # Where one has failed, or the process is to end, the others need not go on.
            stop.set()


def _load(url: str, prefix: str, numbers: range, index: SearchIndex, stop: threading.Event) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    waiting: dict[str, list[str]] = defaultdict(list)
    written = 0
    for number in numbers:
        if stop.is_set():
            break
        for kind, item in items(firm(number), index):
            batch = waiting[kind]
            batch.append(f'{{"PutRequest":{{"Item":{item}}}}}')
            if len(batch) == _BATCH:
                written += _write(connection, f"{prefix}-{kind}", batch)
    for kind, batch in waiting.items():
        written += _write(connection, f"{prefix}-{kind}", batch)
    connection.close()
    return written


_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.BatchWriteItem",
    # DynamoDB Local keeps apart the tables of different keys and regions, and checks no signature.
    "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20270101/cn-north-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}


def _write(connection: http.client.HTTPConnection, table: str, batch: list[str]) -> int:
    """Write a batch, empty it, and return how many items it had."""
    if not batch:
        return 0
    body = f'{{"RequestItems":{{"{table}":[{",".join(batch)}]}}}}'
    connection.request("POST", "/", body.encode(), _HEADERS)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200 or json.loads(content).get("UnprocessedItems"):
        raise AssertionError(f"a batch was not written: {answer.status} {content[:300]!r}")
    written = len(batch)
    batch.clear()
    return written
