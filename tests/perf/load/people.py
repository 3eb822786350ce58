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

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat
from tests.browser.stack import Firm
from tests.perf.load.answers import Answers
from tests.perf.load.calls import Caller, Reply
from tests.perf.load.outages import Outage
from tests.perf.load.reckoning import Action, Responses
from tests.perf.proofs import start_with_proof

_TRIES = 3
"""Tries of a step whose outcome a fault leaves unknown."""
_SOON = 3
"""Seconds after which such a step is tried again, on average."""
_A_MINUTE = 61
"""Seconds that a person waits for another code at the end."""

_LIMIT = 429
_ENDED = {401, 410}
"""The yearly run ends the recoveries and the code of the login that it resets."""

_COUNTED_AS = {"confirm": "wrong code", "wrong code": "wrong code", "verify": "wrong password"}
"""What the service counts a step as before it is done; a step that is not named, as itself."""


@dataclass
class Outside:
    """The surroundings that all people share."""

    services: list[str]
    sms: SimulatedSms
    wechat: SimulatedWeChat
    cookie: Callable[[str], str]
    key: Credentials
    responses: Responses
    answers: Answers
    ends_at: float
    pause: float
    proof: bool = False
    """Whether the service requires proofs of work."""
    is_yearly: bool = False
    """Whether finance logins are reset meanwhile."""


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
        self._caller = Caller(outside.services, outside.answers, self._dice)
        self._passwords = 0
        self._last: Reply | None = None
        self._chat_outage: Outage | None = None

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

    def finish(self) -> str:
        """Recover the main login once more, as soon as the limits permit it.

        Returns `recovered`, `limited` where the person's own limits do not permit it soon, or the last
        answer.
        """
        try:
            for _ in range(_TRIES):
                if self._recover(self.login):
                    return "recovered"
                wait = self._last.body.get("retry_after") if self._last is not None else None
                if wait is not None and wait > _A_MINUTE:
                    return "limited"
                time.sleep(wait or 0)
        except TimeIsUp:
            return "not done in time"
        except Exception as error:
            return f"{type(error).__name__} {error}"
        return "no answer" if self._last is None else f"{self._last.step}: {self._last.name}"

    # Stories.

    def recover(self) -> None:
        """Start, get a code, mistype it now and then, set a password."""
        self._recover(self._dice.choice([self.login, self.login, f"{self.login}_cw"]))

    def _recover(self, login: str) -> bool:
        """Return whether the password was set."""
        begun = self._code(login)
        if begun is None:
            return False
        token, method, code = begun
        if self._dice.random() < 0.3:
            wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
            reply = self._confirm("wrong code", token, wrong, "Mistyped-code-7")
            if self._is_expected(reply, {400, *self._ends(login)}) and reply.status == 400:
                with self._responses.guard:
                    self._responses.wrong_codes[login] += 1
        password = self._password()
        for _ in range(_TRIES):
            reply = self._confirm("confirm", token, code, password)
            if self._is_expected(reply, {200, *self._ends(login)}) and reply.status == 200:
                self._recovered(login, method, password, reply)
                self._verify(login, password, right=True)
                return True
            if not reply.is_in_doubt:
                return False
            self._responses.doubt_password(login, password, self._bound_by(method))
            self._rest(_SOON)
        return False

    def recover_on_two_screens(self) -> None:
        """Confirm twice at once at two processes, with different passwords: one of them is set."""
        begun = self._code(self.login)
        if begun is None:
            return
        token, method, code = begun
        passwords = [self._password(), self._password()]
        with ThreadPoolExecutor(2) as screens:
            replies = list(
                screens.map(
                    lambda password: self._confirm("confirm", token, code, password), passwords
                )
            )
        for password, reply in zip(passwords, replies, strict=True):
            if not self._is_expected(reply, {200, 401, 410}) and reply.is_in_doubt:
                self._responses.doubt_password(self.login, password, self._bound_by(method))
        # Last, since a certain answer ends the doubt about the other one.
        for password, reply in zip(passwords, replies, strict=True):
            if reply.status == 200:
                self._recovered(self.login, method, password, reply)

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
        login = self.login
        # A binding that is in doubt is left alone until a recovery has settled it.
        if self._responses.openids.get(login) is None or self._responses.doubtful_openids[login]:
            return
        started = self._start(login)
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
            reply = self._post("wrong details", path, slip, started["token"])
            if self._is_expected(reply, {403}):
                with self._responses.guard:
                    self._responses.wrong_details[login] += 1
        reply = self._post("unbind", "recovery/unbinding", details, started["token"])
        if self._is_expected(reply, {200}):
            with self._responses.guard:
                self._responses.unbound[login] += 1
                self._responses.openids[login] = None
        elif reply.is_in_doubt:
            with self._responses.guard:
                self._responses.doubts[login]["wechat-unbound"] += 1
                self._responses.doubtful_openids[login].add(None)

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
        before = len(self._sms_codes())
        reply = self._post("send", "recovery/code", {}, started["token"])
        if not self._is_expected(reply, {202, *(self._ends(login) & {401})}):
            if reply.is_in_doubt:
                with self._responses.guard:
                    self._responses.doubts[login]["code-sent"] += 1
            return None
        if reply.status != 202:
            return None
        with self._responses.guard:
            self._responses.sent[login] += 1
        method = str(reply.body["method"])
        code = self._sms_code(before) if method == "sms" else self._wechat_code(login)
        if code is not None:
            self._outside.answers.succeeded(f"code by {method}", time.monotonic())
            return started["token"], method, code
        # Only during a fault may a code not arrive. The person requests another one later.
        if reply.outage is None and (method == "sms" or self._chat_outage is None):
            self._fault(f"a code by {method} did not arrive")
        with self._responses.guard:
            self._responses.lost_codes[method] += 1
        return None

    def _sms_codes(self) -> list[str]:
        inbox = self._outside.sms.inbox(self.phone)
        return [sms.params["code"] for sms in inbox if sms.template == "code"]

    def _sms_code(self, before: int) -> str | None:
        codes = self._sms_codes()
        return codes[-1] if len(codes) > before else None

    def _wechat_code(self, login: str) -> str | None:
        said = self._say("验证码") or ""
        found = re.findall(rf"账号{login}的登录密码，验证码([0-9]{{6,8}})", said)
        return found[0] if found else None

    def _start(self, login: str) -> dict[str, Any] | None:
        self._rest()
        if self._outside.proof:
            replies: list[Reply] = []

            def called(step: str, path: str, body: dict[str, Any] | None) -> Any:
                replies.append(self._call(step, path.lstrip("/"), body, None))
                return replies[-1].status, replies[-1].body

            start_with_proof(
                login,
                lambda path: called("proof", path, None),
                lambda body: called("start", "recovery", body),
            )
            reply = replies[-1]
        else:
            body = {"user_type": "firm", "login": login}
            reply = self._call("start", "recovery", body, None)
        return reply.body if self._is_expected(reply, {201}) else None

    def _confirm(self, step: str, token: str, code: str, password: str) -> Reply:
        return self._call(step, "recovery/password", {"code": code, "password": password}, token)

    def _ends(self, login: str) -> set[int]:
        """Return the answers that the yearly run may cause to a recovery of this login."""
        return _ENDED if self._outside.is_yearly and login.endswith("_cw") else set()

    def _bound_by(self, method: str) -> str | None:
        """Return the openid that a recovery by this method binds, or None."""
        return self.openid if method == "sms" else None

    def _recovered(self, login: str, method: str, password: str, reply: Reply) -> None:
        # A repeat says what is stored, which the first attempt may have left without a binding.
        binds = method == "sms" or bool(self._responses.doubtful_openids[login])
        bound = (self.openid if reply.body["wechat_bound"] else None,) if binds else ()
        self._responses.set_password(login, password, *bound)

    def _verify(self, login: str, password: str, *, right: bool) -> None:
        self._rest()
        url = self._caller.service() + "/credentials/verify"
        body = json.dumps({"login": login, "password": password})
        request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(self._outside.key, "execute-api", "cn-north-1").add_auth(request)
        headers = dict(request.headers)
        reply = self._caller.send("verify", "POST", url, body=body.encode(), headers=headers)
        if not self._is_expected(reply, {200}):
            return
        valid = reply.body.get("valid")
        # A password that is in doubt, or the yearly run's, may have replaced the right one.
        is_certain = not self._responses.doubtful_passwords[login] and not self._ends(login)
        if valid is not right and (is_certain or not right):
            self._fault(f"verify: valid is {valid}, and ought to be {right}")
        if not valid:
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
        began = time.monotonic()
        text: str | None = act().text
        ended = time.monotonic()
        answer = "no reply" if text is None else "200" if text else "empty reply"
        self._chat_outage = self._outside.answers.record("callback", answer, began, ended)
        if text is None or (not text and self._chat_outage is None):
            self._fault(f"callback: {answer}")
        return text

    def _post(self, step: str, path: str, body: dict[str, Any], token: str) -> Reply:
        self._rest()
        return self._call(step, path, body, token)

    def _is_expected(self, reply: Reply, expected: set[int]) -> bool:
        self._last = reply
        action = Action(reply.step, time.time())
        if reply.is_in_doubt:
            action = Action(_COUNTED_AS.get(reply.step, reply.step), action.at)
        with self._responses.guard:
            if reply.status in expected or reply.is_in_doubt:
                self._responses.actions[self.openid].append(action)
            elif reply.status == _LIMIT:
                # It must be a limit on this person.
                self._responses.refusals[self.openid].append(action)
        # A missing response has been counted as an error already.
        is_known = reply.status in (0, _LIMIT, *expected) or reply.is_excused
        if not is_known:
            self._fault(f"{reply.step}: {reply.name}")
        return reply.status in expected

    def _call(self, step: str, path: str, body: dict[str, Any] | None, token: str | None) -> Reply:
        headers = {"Cookie": self._outside.cookie(self.openid)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        raw = None if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        url = f"{self._caller.service()}/{path}"
        return self._caller.send(step, method, url, body=raw, headers=headers)

    def _fault(self, what: str) -> None:
        self._outside.answers.error(what)

    def _password(self) -> str:
        self._passwords += 1
        return f"Correct-horse-{self.firm.number[-3:]}-{self._passwords}x"

    def _rest(self, pause: float | None = None) -> None:
        left = self._outside.ends_at - time.monotonic()
        average = self._outside.pause if pause is None else min(pause, self._outside.pause)
        rest = self._dice.expovariate(1 / average)
        time.sleep(max(0, min(rest, left)))
        if rest >= left:
            raise TimeIsUp
