"""The actions of one person, repeated until the time is up."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat
from tests.browser.stack import Firm
from tests.perf.load.reckoning import Action, Responses
from tests.perf.proofs import start_with_proof

PATIENCE = 30
"""Seconds for one answer."""

ADMISSIBLE = {429}
"""A limit was met: the person goes on with something else. It must be a limit on this person."""


@dataclass
class Outside:
    """The surroundings that all people share."""

    services: list[str]
    sms: SimulatedSms
    wechat: SimulatedWeChat
    cookie: Callable[[str], str]
    key: Credentials
    responses: Responses
    ends_at: float
    pause: float
    proof: bool = False
    """Whether the service requires proofs of work."""


class TimeIsUp(Exception):
    """The end of the person's time."""


class Person:
    """Somebody at a firm, with a phone and the WeChat in it."""

    def __init__(self, firm: Firm, outside: Outside, seed: int) -> None:
        self.firm = firm
        self.login = firm.firm_no
        self.phone = "+86" + firm.number
        self.openid = f"oLoad_{firm.number}"
        self._outside = outside
        self._responses = outside.responses
        self._dice = random.Random(seed)
        self._session = requests.Session()
        self._session.trust_env = False
        self._passwords = 0

    def live(self) -> None:
        """Repeat flows until the time is up."""
        flows = (self.recover, self.recover_on_two_screens, self.log_in, self.unbind, self.chat)
        try:
            self._rest()
            while True:
                self._dice.choice(flows)()
        except TimeIsUp:
            return
        except Exception as error:
            self._fault(f"a person's own fault: {type(error).__name__} {error}")

    # Stories.

    def recover(self) -> None:
        """Start, get a code, mistype it now and then, set a password."""
        login = self._dice.choice([self.login, self.login, f"{self.login}_cw"])
        begun = self._code(login)
        if begun is None:
            return
        token, method, code = begun
        if self._dice.random() < 0.3:
            wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
            answer = self._confirm("wrong code", token, wrong, "Mistyped-code-7", {400})
            if answer is not None:
                with self._responses.guard:
                    self._responses.wrong_codes[login] += 1
        password = self._password()
        answer = self._confirm("confirm", token, code, password, {200})
        self._recovered(login, method, [password] if answer is not None else [])
        if answer is not None:
            self._verify(login, password, right=True)

    def recover_on_two_screens(self) -> None:
        """Confirm twice at once at two processes, with different passwords: one of them is set."""
        begun = self._code(self.login)
        if begun is None:
            return
        token, method, code = begun
        passwords = [self._password(), self._password()]
        with ThreadPoolExecutor(2) as screens:
            answers = screens.map(
                lambda password: self._confirm("confirm", token, code, password, {200, 401, 410}),
                passwords,
            )
            pairs = zip(passwords, answers, strict=True)
            self._recovered(
                self.login, method, [word for word, answer in pairs if answer == {"ok": True}]
            )

    def log_in(self) -> None:
        """Verify the last password; also for an unknown login."""
        words = self._responses.passwords.get(self.login)
        if words:
            self._verify(self.login, words[-1], right=True)
            if self._responses.wrong_passwords[self.login] < 3 and self._dice.random() < 0.2:
                self._verify(self.login, "Vergessen-oder-nie-7", right=False)
        else:
            self._verify("99999999", "Vergessen-oder-nie-7", right=False)

    def unbind(self) -> None:
        """Remove the binding with the firm's details, after a mistake now and then."""
        if self._responses.openids.get(self.login) is None:
            return
        started = self._start(self.login)
        if started is None:
            return
        details = {
            "firm_no": self.firm.firm_no,
            "approval_no": self.firm.approval_no,
            "head_name": self.firm.head_name,
        }
        if self._dice.random() < 0.3:
            slip = {**details, "head_name": "某某"}
            path = "recovery/unbinding"
            if self._post("wrong details", path, slip, started["token"], {403}) is not None:
                with self._responses.guard:
                    self._responses.wrong_details[self.login] += 1
        answer = self._post("unbind", "recovery/unbinding", details, started["token"], {200})
        if answer is not None:
            with self._responses.guard:
                self._responses.unbound[self.login] += 1
                self._responses.openids[self.login] = None

    def chat(self) -> None:
        """Follow the account, or write to it."""
        self._follow()
        self._say("你好")

    # Steps.

    def _code(self, login: str) -> tuple[str, str, str] | None:
        """A recovery's token, its code's method, and the code itself."""
        # Only a follower is bound, and only a follower gets a code in WeChat.
        self._follow()
        started = self._start(login)
        if started is None:
            return None
        sent = self._post("send", "recovery/code", {}, started["token"], {202})
        if sent is None:
            return None
        with self._responses.guard:
            self._responses.sent[login] += 1
        if sent["method"] == "sms":
            inbox = [sms for sms in self._outside.sms.inbox(self.phone) if sms.template == "code"]
            return started["token"], "sms", inbox[-1].params["code"]
        said = self._say("验证码") or ""
        found = re.findall(rf"账号{login}的登录密码，验证码([0-9]{{6,8}})", said)
        if not found:
            self._fault("the account did not tell the code that waits")
            return None
        return started["token"], "wechat", found[0]

    def _start(self, login: str) -> dict[str, Any] | None:
        if not self._outside.proof:
            body = {"user_type": "firm", "login": login}
            return self._post("start", "recovery", body, None, {201})
        self._rest()
        status, answer = start_with_proof(
            login,
            lambda path: self._call("proof", path.lstrip("/"), None, None),
            lambda body: self._call("start", "recovery", body, None),
        )
        return answer if self._is_expected("start", status, {201}, answer) else None

    def _confirm(
        self, step: str, token: str, code: str, password: str, expected: set[int]
    ) -> dict[str, Any] | None:
        body = {"code": code, "password": password}
        status, answer = self._call(step, "recovery/password", body, token)
        if not self._is_expected(step, status, expected, answer):
            return None
        return {"ok": status == 200}

    def _recovered(self, login: str, method: str, passwords: list[str]) -> None:
        with self._responses.guard:
            self._responses.passwords[login] += passwords
            if passwords and method == "sms":
                self._responses.openids[login] = self.openid

    def _verify(self, login: str, password: str, *, right: bool) -> None:
        self._rest()
        url = self._dice.choice(self._outside.services) + "/credentials/verify"
        body = json.dumps({"login": login, "password": password})
        request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(self._outside.key, "execute-api", "cn-north-1").add_auth(request)
        status, answer = self._send(
            "verify", "POST", url, body=body.encode(), headers=dict(request.headers)
        )
        if self._is_expected("verify", status, {200}, answer) and answer.get("valid") is not right:
            self._fault(f"verify: valid is {answer.get('valid')}, and ought to be {right}")
        if status == 200 and not right:
            with self._responses.guard:
                self._responses.wrong_passwords[login] += 1
                self._responses.actions[self.openid].append(Action("wrong password", time.time()))

    def _follow(self) -> None:
        if self._outside.wechat.account.follower(self.openid) is None:
            self._rest()
            self._called_back(lambda: self._outside.wechat.follow(self.openid))

    def _say(self, text: str) -> str | None:
        self._rest()
        return self._called_back(lambda: self._outside.wechat.say(self.openid, text))

    def _called_back(self, act: Callable[[], Any]) -> str | None:
        began = time.perf_counter()
        reply = act()
        self._took("callback", began)
        if reply.text is None:
            self._fault("callback: no answer in three deliveries")
        text: str | None = reply.text
        return text

    def _post(
        self, step: str, path: str, body: dict[str, Any], token: str | None, expected: set[int]
    ) -> dict[str, Any] | None:
        self._rest()
        status, answer = self._call(step, path, body, token)
        return answer if self._is_expected(step, status, expected, answer) else None

    def _is_expected(
        self, step: str, status: int, expected: set[int], answer: dict[str, Any]
    ) -> bool:
        action = Action(step, time.time())
        if status in expected:
            with self._responses.guard:
                self._responses.actions[self.openid].append(action)
            return True
        if status in ADMISSIBLE:
            with self._responses.guard:
                self._responses.refusals[self.openid].append(action)
        # A missing response has been counted as an error already.
        if status and status not in ADMISSIBLE:
            self._fault(f"{step}: {status} {answer.get('code')}")
        return False

    def _call(
        self, step: str, path: str, body: dict[str, Any] | None, token: str | None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Cookie": self._outside.cookie(self.openid)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self._dice.choice(self._outside.services)}/{path}"
        raw = None if body is None else json.dumps(body).encode()
        return self._send(step, "GET" if body is None else "POST", url, body=raw, headers=headers)

    def _send(
        self, step: str, method: str, url: str, *, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        began = time.perf_counter()
        try:
            answer = self._session.request(
                method, url, data=body, headers=headers, timeout=PATIENCE
            )
            found: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            self._fault(f"{step}: {type(error).__name__}")
            return 0, {}
        self._took(step, began)
        return answer.status_code, found

    def _took(self, step: str, began: float) -> None:
        with self._responses.guard:
            self._responses.times[step].append(time.perf_counter() - began)

    def _fault(self, what: str) -> None:
        with self._responses.guard:
            self._responses.errors[what] += 1

    def _password(self) -> str:
        self._passwords += 1
        return f"Correct-horse-{self.firm.number[-3:]}-{self._passwords}x"

    def _rest(self) -> None:
        left = self._outside.ends_at - time.monotonic()
        rest = self._dice.expovariate(1 / self._outside.pause)
        time.sleep(max(0, min(rest, left)))
        if rest >= left:
            raise TimeIsUp
