"""Each Lambda function through every call that it makes of AWS, as its own role.

A function's process begins as it does in the cloud: its settings come out of the one secret, read
by the role. What Lambda does in the function's name, polling the queue and writing the log, is done
here by the same role.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

from app import sms_receipts
from chalicelib import runtime
from chalicelib.domain.staff import Role, Staff
from chalicelib.handlers import yearly_reset as reset_door
from chalicelib.handlers.http import cookies
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.services import yearly_reset
from chalicelib.services.canary import SiteResponse
from chalicelib.store import models
from chalicelib.store.models import LoginItem
from infra.deploy.tables import load_template
from infra.local.aws import Resources
from tests.conftest import SETTINGS, Clock, World, add_firm
from tests.package.iam import PREFIX, REGION, Account, Call, Ledger, arn, enforced
from tests.support.api_client import ApiClient
from tests.support.callbacks import TAPPED, send_message
from tests.support.cheap_hasher import cheap_hasher
from tests.support.receipt_cases import KEY, aliyun, logs, push, sns_line, tencent
from tests.support.wechat_platform import EXCHANGE, INFO, MENU, QR, SEND, SENT, WeChat, refusal
from tests.support.yearly_reset import MIDNIGHT, SCHEDULED, Context, ResetWorld, add_logins

CODE, OPENING = "000000", "Opening-password-1"
NEXT_YEAR = "2027-12-31T16:00:00Z"
# A number that SNS refuses.
NO_PHONE = "+86138000012340000"
DETAILS = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}


@dataclass
class Stage:
    """The account under IAM, and what the flows share."""

    account: Account
    ledger: Ledger
    wechat: WeChat
    resources: dict[str, str]
    clock: Clock

    @contextmanager
    def acting(self, function: str) -> Iterator[World]:
        """Start a new process of this function."""
        # The template gives the queue's address to the functions alone.
        queue = {} if function == "operators" else {"RESET_QUEUE_URL": self.resources["ResetQueue"]}
        environment = {"SECRETS_ID": f"{PREFIX}-settings", **queue}
        with self.account.role(function), patch.dict(os.environ, environment):
            runtime.install(None)
            service = runtime.service()
            service.clock = self.clock
            # Every budget is written, and every code known.
            service.randbelow = lambda _: 0
            service.hasher = cheap_hasher(service)
            yield World(service, self.clock, None, ApiClient())  # type: ignore[arg-type]

    @contextmanager
    def testing(self) -> Iterator[None]:
        """Bind the tables' models to the tester."""
        with self.account.tester():
            models.bind(PREFIX)
            yield

    def scan(self, table: str) -> list[dict[str, Any]]:
        """Return a table's items in DynamoDB's own form, read by the tester."""
        with self.account.tester():
            found = boto3.client("dynamodb").scan(
                TableName=f"{PREFIX}-{table}", ConsistentRead=True
            )
        return list(found["Items"])

    def advance(self, seconds: int = 61) -> None:
        """Advance the clock, so that one more code may be sent."""
        self.clock.time += seconds


def prepare(wechat: WeChat) -> None:
    """Accept every message at the platform."""
    wechat.answers |= {
        SEND: [SENT],
        INFO: [{"subscribe": 1}],
        MENU: [{"errcode": 0, "errmsg": "ok"}],
        QR: [{"url": "http://weixin.qq.com/q/0", "ticket": "t", "expire_seconds": 60}],
        EXCHANGE: [{"access_token": "t", "expires_in": 7200, "openid": "o-bob"}],
    }


@contextmanager
def staged(wechat: WeChat) -> Iterator[Stage]:
    """Yield a new account with the declared resources and one firm's logins, under IAM."""
    # moto's tables are not made for several threads at once.
    with mock_aws(), runtime.using(None), patch.object(reset_door, "AT_ONCE", 1):
        resources = Resources(load_template(), PREFIX, REGION)
        resources.make_tables(boto3.client("dynamodb"))
        resources.make_queues(boto3.client("sqs"))
        resources.make_topics(boto3.client("sns"))
        settings = {
            **SETTINGS,
            "WECHAT_API_URL": wechat.url,
            "WECHAT_CODE_TEMPLATE_ID": "template",
            "WECHAT_NOTICE_TEMPLATE_ID": "notice",
            "SMS_GATEWAYS": "sns",
            "RECEIPTS_PATH": KEY,
            "OIDC_ISSUER": "https://127.0.0.1:9",
            "OIDC_CLIENT_ID": "desk",
            "OPS_TOPIC_ARN": resources.values["OpsTopic"],
            "LIMIT_SENDS_PER_DESTINATION_HOUR": "50",
        }
        resources.make_secrets(boto3.client("secretsmanager"), lambda: settings)
        _add_firms()
        account = Account()
        with enforced() as ledger:
            yield Stage(account, ledger, wechat, resources.values, Clock(MIDNIGHT))


def _add_firms() -> None:
    models.bind(PREFIX)
    # Hashes of other parameters are made anew at the first right password.
    old = PasswordHasher({1: SETTINGS["CODE_PEPPER"].encode()}, memory_kib=16, passes=1)
    add_firm(old)
    add_firm(old, "31000001", phone=NO_PHONE)
    # Lists of long ago, which the next start and the next password cut.
    LoginItem("31000001_cw").update(
        [
            LoginItem.starts.set([1] * 170),
            LoginItem.failures.set([1] * 20),
            LoginItem.openid.set("o-carol"),
        ]
    )


def api(stage: Stage) -> None:
    """Call every route, as people, the login page's server, WeChat and the vendors do."""
    with stage.acting("api") as world:
        for flow in (_by_sms, _by_wechat, _refused, _by_details, _entering, _verifying, _receipts):
            flow(stage, world)
            stage.advance()
    _log(stage, "api", "APIHandler")


def step(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.body
    return answer


def _by_sms(stage: Stage, world: World) -> None:
    assert "欢迎" in send_message(world, {"MsgType": "event", "Event": "subscribe"})
    token = world.token()
    step(world.send(token), 202)
    step(world.confirm(token, "111111"), 400)
    step(world.call("GET", "/recovery", token=token), 200)
    step(world.confirm(token, CODE), 200)
    step(world.confirm(token, CODE), 200)


def _by_wechat(stage: Stage, world: World) -> None:
    """Recover through the WeChat that the recovery by SMS has bound."""
    stage.wechat.answers[SEND] = [
        {"errcode": 0, "errmsg": "ok", "msgid": number} for number in (101, 102)
    ] + [refusal(45009)]
    token = world.token()
    listed = step(world.call("GET", "/recovery/logins", openid="o-alice"), 200).json_body
    assert [each["login"] for each in listed["logins"]] == ["11010148", "11010148_cw"]
    for _ in range(3):
        step(world.send(token), 202)
        stage.advance()
    # The last one is no longer the first send's: it is looked for among the events.
    for number in (102, 101):
        told = {"MsgType": "event", "Event": "TEMPLATESENDJOBFINISH", "Status": "success"}
        send_message(world, {**told, "MsgID": number})
    assert CODE in send_message(world, TAPPED)
    step(world.confirm(token, CODE, "Another-horse-8"), 200)


def _refused(stage: Stage, world: World) -> None:
    """Let the sending of a code fail: by SMS, and to a WeChat that has unfollowed."""
    step(world.send(world.token("31000001")), 502)
    stage.wechat.answers[SEND] = [refusal(43004)]
    step(world.send(world.token()), 409)
    send_message(world, {"MsgType": "event", "Event": "unsubscribe"})


def _by_details(stage: Stage, world: World) -> None:
    token = world.token()
    step(
        world.call("POST", "/recovery/unbinding", {**DETAILS, "head_name": "甲"}, token=token), 403
    )
    step(world.call("POST", "/recovery/unbinding", DETAILS, token=token), 200)


def _entering(stage: Stage, world: World) -> None:
    step(world.start(openid=None), 201)
    away = step(world.call("GET", "/wechat/enter"), 302)
    state = away.headers["Location"].partition("state=")[2].partition("#")[0]
    cookie = {"Cookie": away.headers["Set-Cookie"].partition(";")[0]}
    step(world.call("GET", f"/wechat/enter?code=abc&state={state}", headers=cookie), 302)


def _verifying(stage: Stage, world: World) -> None:
    for login in ("11010148_cw", "31000001_cw"):
        for password, valid in (("wrong", False), (OPENING, True)):
            body = {"login": login, "password": password}
            answer = step(world.call("POST", "/credentials/verify", body), 200)
            assert answer.json_body["valid"] is valid
    step(world.start("31000001_cw"), 201)


def _receipts(stage: Stage, world: World) -> None:
    send = next(item for item in stage.scan("audit") if item["event"]["S"] == "code-sent")
    reference = f"{send['login']['S']}/{send['at']['S']}"
    step(push(world, "aliyun", aliyun(reference), aliyun(None)), 200)
    step(push(world, "tencent", tencent()), 200)


def desk(stage: Stage) -> None:
    """Work a day at the support desk; signing in itself calls nothing of AWS but the session's table."""
    with stage.acting("api") as world:
        step(world.send(world.token()), 202)
    stage.advance()
    with stage.acting("desk") as world:
        _at_the_desk(world)
    _log(stage, "desk", "DeskHandler")


def _at_the_desk(world: World) -> None:
    login = {"reason": "来电申请"}
    facts = {"approval_no": "84", "head_name": "甲", "head_id_last4": "123X"}
    right = {**facts, **{name: DETAILS[name] for name in ("approval_no", "head_name")}}
    agent, supervisor = (_staff(world, name) for name in ("agent", "supervisor"))
    for shown in ("11010148", "31000001_cw"):
        step(agent("GET", f"/support/api/logins/{shown}"), 200)
    for act in ("unlock", "unbind", "freeze"):
        step(agent("POST", f"/support/api/logins/11010148/{act}", login), 200)
    step(supervisor("POST", "/support/api/logins/11010148/unfreeze", login), 200)
    for said in (facts, right):
        step(agent("POST", "/support/api/firms/11010148/identity", said), 200)
    named = {"head_name": DETAILS["head_name"], "document": "公函", **login}
    step(supervisor("POST", "/support/api/firms/11010148/facts", named), 200)
    body = {"phone": "13900002222", "document": "公函", **login}
    proposed = step(agent("POST", "/support/api/logins/11010148/phone", body), 202).json_body
    path = f"/support/api/proposals/{proposed['id']}"
    step(supervisor("POST", f"{path}/approve", {}), 200)
    step(agent("POST", f"{path}/confirm", {"code": CODE}), 200)
    step(supervisor("POST", f"{path}/undo", {}), 200)
    # Undoing has written the search entry of the former phone.
    assert step(agent("GET", "/support/api/find?q=13800001234"), 200).json_body["firms"]
    for name in ("proposals", "audit", "today"):
        step(supervisor("GET", f"/support/api/{name}"), 200)
    step(agent("POST", "/support/sign-out", {}), 200)


def _staff(world: World, role: str) -> Callable[..., Any]:
    """Return the calls of a member of the staff who has signed in."""
    staff = Staff(role, role, frozenset([Role(role)]), "0" * 31 + role[0], world.clock() + 60)
    cookie = cookies.keep_staff(world.service, staff).partition(";")[0]
    headers = {"Cookie": cookie, "Origin": SETTINGS["SITE_URL"], "X-Support-Desk": "1"}

    def call(method: str, path: str, body: Any = None) -> Any:
        return world.call(method, path, body, headers=headers)

    return call


def receipts(stage: Stage) -> None:
    """Invoke the function with SNS's log of a code, as CloudWatch Logs does."""
    with stage.acting("api") as world:
        step(world.send(world.token("11010148_cw")), 202)
    (message,) = (item for item in stage.scan("ephemera") if item["id"]["S"].startswith("message#"))
    with stage.acting("sms_receipts"):
        told = sns_line(message["id"]["S"].rpartition("#")[2])
        assert sms_receipts(logs(told), None) == {"receipts": 1, "found": 1}
    assert any(item.get("receipt") == {"S": "delivered"} for item in stage.scan("audit"))
    _log(stage, "sms_receipts", "SmsReceipts")


class StagedSite:
    """The site whose functions act in their own roles, as the canary's requests reach it."""

    def __init__(self, stage: Stage, openid: str) -> None:
        self._stage = stage
        self._openid = openid

    def request(
        self, path: str, body: Mapping[str, str] | None = None, token: str | None = None
    ) -> SiteResponse:
        """Send the visitor's request."""
        with self._stage.acting("api") as world:
            method = "GET" if body is None else "POST"
            answer = world.call(method, path, body, token=token, openid=self._openid)
        # As after the end of an invocation, the tables' connection is the canary's again.
        models.bind(PREFIX)
        return SiteResponse(answer.status_code, answer.json_body)

    def verify(self, body: Mapping[str, str]) -> SiteResponse:
        """Send the login page's request, which API Gateway authorizes."""
        path = "/credentials/verify"
        resource = arn("execute-api", f"api/prod/POST{path}")
        self._stage.ledger.asked.add(Call("canary", "execute-api:Invoke", resource))
        return self.request(path, body)


def recover_test_firm(stage: Stage) -> None:
    """Recover the test firm's password."""
    with stage.acting("canary") as world:
        result = world.service.canary.run(lambda openid: StagedSite(stage, openid))
        assert result.problem is None, result
    _log(stage, "canary", "Canary")


def _reset(stage: Stage, world: World) -> ResetWorld:
    """Poll the queue by the role with which the world was made."""
    return ResetWorld(world, stage.resources["ResetQueue"], stage.resources["ResetDeadLetters"], "")


def plan(stage: Stage) -> None:
    """Plan a year without logins and one with logins, whose planning is interrupted and continued."""
    with stage.testing():
        for item in list(LoginItem.scan()):
            item.delete()
    with stage.acting("yearly_reset") as world:
        _reset(stage, world).schedule()
    with stage.testing():
        add_logins(3)
    stage.advance(365 * 86_400)
    with patch.object(yearly_reset, "CHUNK", 2), stage.acting("yearly_reset") as world:
        reset = _reset(stage, world)
        reset.schedule(NEXT_YEAR, Context(left=1))
        for _ in range(2):
            reset.schedule(NEXT_YEAR)
        assert len(stage.scan("runs")) == 4
        _failed_event(stage)
    _log(stage, "yearly_reset", "YearlyReset")


def _failed_event(stage: Stage) -> None:
    """Put a finally failed event into the dead-letter queue, as Lambda does with the role."""
    url = stage.resources["ResetQueue"].rpartition("/")[0] + f"/{PREFIX}-reset-schedule-dead"
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"time": SCHEDULED}))


def work(stage: Stage) -> None:
    """Continue the planning in the worker, and reset every login."""
    with stage.acting("yearly_reset") as world:
        _reset(stage, world).schedule(context=Context(left=1))
    with stage.testing():
        LoginItem("11010148_cw").update([LoginItem.province.set("")])
    with stage.acting("reset_accounts") as world:
        reset = _reset(stage, world)
        reset.sqs.get_queue_attributes(QueueUrl=reset.queue, AttributeNames=["All"])
        first = reset.receive()
        reset.delete(first, {message["MessageId"] for message in first})
        reset.work()
    runs = {item["part"]["S"]: item for item in stage.scan("runs")}
    assert "told_at" in runs["run"], runs
    _log(stage, "reset_accounts", "ResetAccounts")


def _log(stage: Stage, function: str, name: str) -> None:
    """Write the function's log, as Lambda does with the role."""
    group = f"/aws/lambda/stack-{name}-1A2B3C"
    with stage.account.tester():
        boto3.client("logs").create_log_group(logGroupName=group)
    with stage.account.role(function):
        client = boto3.client("logs")
        stream = {"logGroupName": group, "logStreamName": "1"}
        client.create_log_stream(**stream)
        client.put_log_events(**stream, logEvents=[{"timestamp": 1, "message": "a line"}])


FLOWS: dict[str, Callable[[Stage], None]] = {
    "api": api,
    "desk": desk,
    "yearly_reset": plan,
    "reset_accounts": work,
    "sms_receipts": receipts,
    "canary": recover_test_firm,
}
