"""Secrets go through every story, among libraries that quote them all: none comes out of it.

What each story gets hold of is shown by the same test without the mask, which then finds it.
"""

# ruff: noqa: F811 - fixtures of other modules are imported by their names.
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from app import sms_receipts
from chalicelib import wiring
from chalicelib.settings import load
from chalicelib.telemetry import masking
from infra.local.aws import Resources
from infra.ops.command import ops
from infra.tables import create_tables, load_template
from tests import canaries, conftest
from tests.callbacks import TAPPED, post, signed
from tests.canaries import (
    CODE,
    DEFAULT,
    ID_NUMBER,
    LAST4,
    NEW_PHONE,
    OAUTH_CODE,
    OPENID,
    OPENING,
    PASSWORD,
    PHONE,
    RECEIPTS,
    WRONG,
    Hostile,
    Stage,
)
from tests.conftest import CheapHasher, Clock, Door, Phones, World, add_firm
from tests.loopback import Received, Reply, serving
from tests.receipt_cases import aliyun, logs, sns_line
from tests.reset_world import MIDNIGHT, REGION, YEAR, ResetWorld
from tests.serial_moto import serial_moto  # noqa: F401
from tests.sms_cases import aliyun_body, tencent_body
from tests.watching import watching
from tests.wechat_platform import playing

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

DETAILS = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}


def by_sms(stage: Stage) -> None:
    """A recovery inside WeChat, with a wrong code, a weak password, and another one that is right."""
    stage.prepare(None)
    token = stage.start()
    stage.step("code", {}, token)
    for code, password in ((CODE, DEFAULT), ("000000", PASSWORD), (CODE, PASSWORD)):
        stage.step("password", {"code": code, "password": password}, token)
    stage.call("GET", "/recovery", token=token)


def by_wechat(stage: Stage) -> None:
    """A recovery by a code that is pushed, or held until the person fetches it."""
    stage.prepare(OPENID)
    post(stage.world, signed(stage.world, {"MsgType": "event", "Event": "subscribe"}, OPENID))
    token = stage.start()
    stage.step("code", {}, token)
    post(stage.world, signed(stage.world, TAPPED, OPENID))
    stage.step("password", {"code": CODE, "password": PASSWORD}, token)


def from_a_pc(stage: Stage) -> None:
    """A QR code is shown, and scanned."""
    stage.prepare(None)
    token = stage.start(None)
    scene = stage.world.service.scenes.make("11010148", stage.world.clock.time + 60)
    event = {"MsgType": "event", "Event": "SCAN", "EventKey": scene}
    post(stage.world, signed(stage.world, event, OPENID))
    stage.call("GET", "/recovery", token=token)


def unbinding(stage: Stage) -> None:
    """Wrong details, right ones."""
    stage.prepare(OPENID)
    token = stage.start()
    for details in ({**DETAILS, "head_name": ID_NUMBER}, DETAILS):
        stage.step("unbinding", details, token)


def callbacks(stage: Stage) -> None:
    """A person tells the account everything, and WeChat tells what became of a message."""
    stage.prepare(OPENID)
    said = f"我的密码是{PASSWORD}，身份证{ID_NUMBER}，手机{PHONE}"
    event = {"MsgType": "event"}
    for fields in (
        {"MsgType": "text", "MsgId": 7, "Content": said},
        {**event, "Event": "unsubscribe"},
        {**event, "Event": "TEMPLATESENDJOBFINISH", "MsgID": 7, "Status": f"failed: {PHONE}"},
    ):
        post(stage.world, signed(stage.world, fields, OPENID))
    stage.call("POST", "/wechat/callback", said.encode(), headers={"Content-Type": "text/xml"})


def entering(stage: Stage) -> None:
    """OAuth there and back, and back once more."""
    stage.prepare(None)
    away = stage.call("GET", "/wechat/enter")
    if away.status_code != 302:
        return
    state = away.headers["Location"].partition("state=")[2].partition("#")[0]
    cookie = away.headers["Set-Cookie"].partition(";")[0]
    for _ in range(2):
        path = f"/wechat/enter?code={OAUTH_CODE}&state={state}"
        stage.call("GET", path, headers={"Cookie": cookie})


def verifying(stage: Stage) -> None:
    """The login page asks."""
    stage.prepare(OPENID)
    for password in (OPENING, WRONG, DEFAULT):
        body = {"login": "11010148_cw", "password": password}
        stage.call("POST", "/credentials/verify", body)


def receipts(stage: Stage) -> None:
    """Vendors push to the secret address, and near it; SNS writes to its log."""
    told = {**aliyun(None), "phone_number": PHONE, "err_msg": f"to {PHONE}"}
    for body in ([told], [f"{PHONE}"]):
        stage.call("POST", f"/receipts/aliyun/{RECEIPTS}", body)
    stage.call("POST", f"/receipts/tencent/{RECEIPTS}x", [told])
    line = sns_line("m-1")
    line["delivery"]["destination"] = f"+86{PHONE}"
    stage.function(lambda: sms_receipts(logs(line), None))
    stage.function(lambda: sms_receipts({"awslogs": {"data": PHONE}}, None))


def yearly(stage: Stage) -> None:
    """The default passwords of a year, planned and worked."""
    stage.prepare(None)
    with stage.calm():
        from chalicelib.store.models import LoginItem, RunItem

        for item in RunItem.scan():
            item.delete()
        LoginItem("11010148_cw").update(
            [LoginItem.reset_year.remove(), LoginItem.changed_at.set(1_700_000_000)]
        )
        stage.world.clock.time = MIDNIGHT
    stage.function(stage.reset.schedule)
    stage.function(stage.reset.work)


def enrolling(stage: Stage, number: int = 0) -> None:
    """A directory file with passwords, phones and identity numbers, and one with a bad row."""
    stage.prepare(None)
    number = stage.hostile.fails_at
    header = (
        "firm_no,name,province,approval_no,head_name,head_id_last4,"
        "phone,finance_phone,opening_password\n"
    )
    row = f"3299{number:04d},示例所,32,苏财会〔2010〕0017号,甄示例,{LAST4},{PHONE},,{OPENING}\n"
    bad = f"x,示例所,32,{ID_NUMBER},甄示例,{LAST4},{PHONE},{NEW_PHONE},{OPENING}\n"
    path = Path(stage.learnt["folder"]) / "firms.csv"
    path.write_text(header + row + bad, "utf-8")
    stage.operate("import", str(path), "--reason", "年度名录")


def operating(stage: Stage) -> None:
    """Every other command of operators."""
    stage.prepare(OPENID)
    why = ("--reason", "本人来函")
    for arguments in (
        ("account", "11010148"),
        ("phone", "11010148", NEW_PHONE, *why),
        ("unbind", "11010148", *why),
        ("unlock", "11010148", *why),
        ("audit", "11010148", "--json"),
        ("wechat-menu",),
        ("yearly-reset", "--year", str(YEAR), "--dry-run"),
        ("yearly-reset", "--status", str(YEAR)),
    ):
        stage.operate(*arguments)


Story = Callable[[Stage], None]
TEMPLATE = {"WECHAT_CODE_TEMPLATE_ID": "template"}

STORIES: dict[str, tuple[Story, dict[str, str]]] = {
    "by SMS": (by_sms, {}),
    **{f"by {name}": (by_sms, {"SMS_GATEWAYS": name}) for name in ("sns", "aliyun", "tencent")},
    "by WeChat, pushed": (by_wechat, TEMPLATE),
    "by WeChat, held": (by_wechat, {}),
    "from a PC": (from_a_pc, {}),
    "unbinding": (unbinding, {}),
    "callbacks": (callbacks, {}),
    "entering": (entering, {}),
    "verifying": (verifying, {}),
    "receipts": (receipts, {}),
    "yearly reset": (yearly, {}),
    "enrolling": (enrolling, {}),
    "operating": (operating, {}),
}


def vendor(request: Received) -> Reply:
    """Every vendor in one, taking every message."""
    if "x-acs-action" in request.headers:
        return 200, aliyun_body("OK")
    return 200, tencent_body("Ok") if "x-tc-action" in request.headers else b'{"id":"m-1"}'


@pytest.fixture
def make(
    serial_moto: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[dict[str, str]], Stage]]:
    """Builds the stage of a story, with these settings beside the canaries."""
    for name, value in canaries.KEYS.items():
        monkeypatch.setitem(conftest.SETTINGS, name, value)
    # The mask must know the keys of this process from its settings alone.
    monkeypatch.setattr(masking, "_always", frozenset())
    with mock_aws(), serving(vendor) as sms, playing() as wechat, wiring.using(None):
        canaries.answer_kindly(wechat)
        create_tables(boto3.client("dynamodb"), "recovery")
        resources = Resources(load_template(), "recovery", REGION)
        resources.make_queues(boto3.client("sqs"))
        resources.make_topics(boto3.client("sns"))
        urls = {
            "SMS_HTTP_URL": sms.url,
            "SMS_ALIYUN_URL": sms.url,
            "SMS_TENCENT_URL": sms.url,
            "WECHAT_API_URL": wechat.url,
            "RESET_QUEUE_URL": resources.values["ResetQueue"],
            "OPS_TOPIC_ARN": resources.values["OpsTopic"],
        }

        def made(settings: dict[str, str]) -> Stage:
            clock = Clock(MIDNIGHT)
            service = wiring.Service(
                load({**conftest.SETTINGS, **canaries.SETTINGS, **urls, **settings}),
                clock=clock,
                randbelow=lambda most: int(CODE) % most,
                pause=lambda _: None,
            )
            service.__dict__["hasher"] = CheapHasher(service._peppers)
            wiring.install(service)
            add_firm(service.hasher, phone=f"+86{PHONE}", finance_phone=f"+86{PHONE}")
            from chalicelib.store.models import LoginItem

            for login in ("11010148", "11010148_cw"):
                LoginItem(login).update([LoginItem.head_id_last4.set(LAST4)])
            world = World(service, clock, Phones(), Door())
            reset = ResetWorld(world, urls["RESET_QUEUE_URL"], "", "")
            hostile = Hostile()
            hostile.install(monkeypatch)
            stage = Stage(reset, hostile)
            stage.learnt["folder"] = str(tmp_path)
            return stage

        yield made


def told(stage: Stage, story: Story, fails_at: int = 0) -> str:
    """Everything that comes out of a story, whose libraries fail at this call, or not at all."""
    stage.hostile.fails_at, stage.hostile.calls = fails_at, 0
    stage.said.clear()
    canaries.started.clear()
    canaries.listening.append(True)
    try:
        with watching() as watched:
            service = stage.world.service
            keys = [setting.encode() for setting in service.settings.secrets()]
            stage.hostile.quote(f"{service._keys} {service._peppers} {keys}")
            story(stage)
    finally:
        canaries.listening.clear()
    # Each line once as it is written, once as a reader of the JSON has it.
    read = [str(line) for line in watched.lines + watched.documents]
    return "\n".join([watched.text, *read, *stage.said, *canaries.started])


@pytest.mark.parametrize(("story", "settings"), STORIES.values(), ids=STORIES)
def test_no_secret_comes_out_of_a_story(
    make: Callable[[dict[str, str]], Stage], story: Story, settings: dict[str, str]
) -> None:
    """In no line, figure, exception, answer or argument; whole, and failing at each call in turn."""
    stage = make(settings)
    folder = stage.learnt.pop("folder") if story is not enrolling else None
    text = told(stage, story)
    calls = stage.hostile.calls
    assert calls > 0 or story is receipts
    assert stage.shown(text) == set()
    for number in range(1, calls + 1):
        text = told(stage, story, fails_at=number)
        assert stage.shown(text) == set(), f"failing at call {number}"
    assert folder is None or "folder" not in stage.learnt
