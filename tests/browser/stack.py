"""The local stack as a process, and what people do with the phones in it."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any
from urllib.parse import urlsplit

import altcha
import boto3
import requests

from infra.ops.enrolment.directory_row import COLUMN_NAMES
from tests.support import probes

ROOT = Path(__file__).parents[2]
FIRMS = 180
"""Enough for all tests in one process: each has a firm and a phone to itself, and so every limit too."""

LIGHT = "tests.browser.light_stack"

_ENOUGH = "100000"

TIMEOUT = 60
"""Seconds for one request, which needs milliseconds on an idle machine."""

START_TIMEOUT = 300
"""Seconds for the start, which needs three on an idle machine."""


@dataclass(frozen=True)
class Firm:
    """A made-up firm; `number` is the phone of both its logins, "" where it has none."""

    firm_no: str
    number: str
    approval_no: str
    head_name: str
    name: str = ""
    """A name of its own; "" for one made from the number."""
    opening_password: str = ""
    """The main login's first password; "" where it has none."""


def stranger_to(firm: Firm) -> Firm:
    """Return the owner of a phone that belongs to no firm, for the test of this firm alone."""
    return Firm("", f"139{firm.number[3:]}", "", "")


def made_up(count: int = FIRMS) -> list[Firm]:
    """Return the firms that tests may use; the first one has no phone, none has an opening password.

    Hashing one for each would be slow.
    """
    return [
        Firm(
            f"{11990000 + index}",
            f"{13100000000 + index}" if index else "",
            f"京财会许可〔2012〕{index:04d}号",
            f"阿依古丽·示例{index}",
        )
        for index in range(count)
    ]


def write_directory(path: Path, firms: list[Firm]) -> None:
    """Write a directory file of these firms."""
    with path.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.DictWriter(file, COLUMN_NAMES, restval="")
        sheet.writeheader()
        for firm in firms:
            sheet.writerow(
                {
                    "firm_no": firm.firm_no,
                    "name": firm.name or f"示例{firm.firm_no}会计师事务所",
                    "province": "11",
                    "approval_no": firm.approval_no,
                    "head_name": firm.head_name,
                    "head_id_last4": "123X",
                    "phone": firm.number,
                    "finance_phone": firm.number,
                    "opening_password": firm.opening_password,
                }
            )


@dataclass
class LocalStack:
    """A running local stack; `aws_url` is the endpoint of its AWS."""

    url: str
    aws_url: str

    # What its phones show and do.

    def state(self) -> dict[str, Any]:
        """Return everything that the phone page shows."""
        found: dict[str, Any] = requests.get(f"{self.url}/_phone/state", timeout=TIMEOUT).json()
        return found

    def act(self, act: str, **words: Any) -> dict[str, Any]:
        """Perform an act on the phone page; `phone` is the actor."""
        answer = requests.post(
            f"{self.url}/_phone/act", json={"act": act, **words}, timeout=TIMEOUT
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def phone(self, number: str) -> dict[str, Any]:
        """Return a phone with its `sms` and its `chat`."""
        phones = self.state()["phones"]
        return next(phone for phone in phones if phone["number"] == number)

    def sms_code(self, number: str) -> str:
        """Return the code of the last SMS that contains one."""
        return self.sms_code_of(number, "code")

    def sms_code_of(self, number: str, template: str) -> str:
        """Return the code of the last SMS of this template."""
        inbox = [sms for sms in self.phone(number)["sms"] if sms["template"] == template]
        return str(inbox[-1]["params"]["code"])

    def wechat_code(self, number: str) -> str:
        """Return the last code that the Official Account has pushed or replied."""
        told = [
            " ".join([entry["text"], *(value for _, value in entry["fields"])])
            for entry in self.phone(number)["chat"]
            if entry["kind"] in ("account", "card")
        ]
        codes = [match[0] for text in told for match in re.finditer(r"(?<!\d)\d{6}(?!\d)", text)]
        return codes[-1]

    def freeze_link(self, number: str) -> str:
        """Return the address in the last notice of a phone's WeChat, by which its owner freezes the login."""
        links = [entry["url"] for entry in self.phone(number)["chat"] if entry["kind"] == "card"]
        return str(next(link for link in reversed(links) if "/freeze?" in link))

    def freeze(self, number: str) -> None:
        """Freeze the login of the last notice of a phone's WeChat."""
        token = self.freeze_link(number).partition("token=")[2]
        answer = requests.post(f"{self.url}/freeze", data={"token": token}, timeout=TIMEOUT)
        assert answer.status_code == 200, answer.text

    def follow(self, number: str) -> None:
        """Follow the Official Account by a phone."""
        self.act("follow", phone=number)

    def follow_by_qr(self, number: str) -> str:
        """Scan the newest QR code and follow; return the address in the account's welcome."""
        scanned = self.act("scan", phone=number, code=self.state()["codes"][0]["url"])
        if not scanned["following"]:
            self.act("follow", phone=number, scene=scanned["scene"])
        texts = [e["text"] for e in self.phone(number)["chat"] if e["kind"] == "account"]
        found = re.search(r'href="([^"]+)"', texts[-1])
        assert found is not None, texts
        return found[1].replace("&amp;", "&")

    # What a program does in place of a person, where a test begins later in the story.

    def recover(
        self, firm: Firm, password: str = "Vorher-gesetzt-7", login: str | None = None
    ) -> None:
        """Recover the firm's main login, or `login`, in the WeChat of its phone, which binds that WeChat."""
        api = Api(self.url, firm.number)
        token = api.start(login or firm.firm_no)["token"]
        sent = api.post("recovery/code", {}, token)
        by_sms = sent["method"] == "sms"
        code = self.sms_code(firm.number) if by_sms else self.wechat_code(firm.number)
        api.post("recovery/password", {"code": code, "password": password}, token)

    def crowd(self, login: str) -> int:
        """Make strangers' starts of a login; return the factor of work that its next start needs."""
        starts = [{"N": str(int(time.time()) - 60)}] * 45
        self._set(login, "starts", {"L": starts})
        return 4

    def freeze_at_the_desk(self, login: str) -> None:
        """Freeze a login without a notice's link."""
        self._set(login, "frozen_at", {"N": str(int(time.time()))})

    def must_change(self, login: str) -> bool:
        """Return whether a login has its default password."""
        found = self._table().get_item(TableName="recovery-logins", Key={"login": {"S": login}})
        return bool(found["Item"]["must_change"]["BOOL"])

    def _table(self) -> Any:
        return boto3.client(
            "dynamodb",
            endpoint_url=self.aws_url,
            region_name="cn-north-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def _set(self, login: str, attribute: str, value: dict[str, Any]) -> None:
        self._table().update_item(
            TableName="recovery-logins",
            Key={"login": {"S": login}},
            UpdateExpression=f"SET {attribute} = :value",
            ExpressionAttributeValues={":value": value},
        )

    def bind(self, firm: Firm) -> None:
        """Bind a WeChat to the firm's main login, so that codes go there."""
        self.follow(firm.number)
        self.recover(firm)


class Api:
    """The service's API, called from the WeChat of a phone."""

    def __init__(self, url: str, number: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set("_phone", number, domain=urlsplit(url).hostname)
        self._session.get(f"{url}/wechat/enter", timeout=TIMEOUT)

    def post(self, path: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        """Send a POST that must succeed."""
        answer = self.answer(path, body, token)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def answer(
        self, path: str, body: dict[str, Any], token: str | None = None
    ) -> requests.Response:
        """Send a POST and return its answer, whatever it is."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._session.post(
            f"{self._url}/{path}", json=body, headers=headers, timeout=TIMEOUT
        )

    def start(self, login: str) -> dict[str, Any]:
        """Begin a recovery, with its proof of work."""
        challenge = altcha.Challenge.from_dict(
            self._session.get(f"{self._url}/proof", params={"login": login}, timeout=TIMEOUT).json()
        )
        solution = altcha.solve_challenge(challenge)
        assert solution is not None
        proof = altcha.Payload(challenge, solution).to_base64()
        return self.post("recovery", {"user_type": "firm", "login": login, "proof": proof})


@contextmanager
def running(
    folder: Path,
    firms: list[Firm] | None = None,
    arguments: Sequence[str] = (),
    *,
    module: str = "infra.local",
    **settings: str,
) -> Iterator[LocalStack]:
    """Run a local stack with the made-up firms until the block ends; `settings` are added to its own.

    With the module LIGHT, hashes and proofs of work cost little.
    """
    directory = folder / "firms.csv"
    write_directory(directory, made_up() if firms is None else firms)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LIMIT_"))
    }
    # All tests come from one address; every other limit is the one that people meet.
    environment["LIMIT_STARTS_PER_ADDRESS_HOUR"] = _ENOUGH
    environment["LIMIT_LOGINS_PER_REQUESTER_DAY"] = _ENOUGH
    environment.update(settings)
    log = (folder / "stack.log").open("w+")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            module,
            "--port",
            "0",
            "--firms",
            str(directory),
            *arguments,
        ],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield LocalStack(*_ready(process, folder / "stack.log"))
    finally:
        # It keeps nothing, so it need not end in order, unless it is to report its coverage.
        process.send_signal(SIGTERM if probes.REPORTS_VARIABLE in os.environ else SIGKILL)
        process.wait(TIMEOUT)
        log.close()


def _ready(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    for _ in range(10 * START_TIMEOUT):
        found = dict(re.findall(r"^(ready|aws) (http://\S+)$", log.read_text(), re.MULTILINE))
        if "ready" in found:
            return found["ready"], found["aws"]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"the local stack did not start:\n{log.read_text()[-2000:]}")
