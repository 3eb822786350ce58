"""The stories that canaries go through, and what each of them is given."""

from __future__ import annotations

from collections.abc import Callable

from app import sms_receipts
from chalicelib.store.models import LoginItem, RunItem
from tests.callbacks import TAPPED
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
    Stage,
)
from tests.receipt_cases import aliyun, logs, sns_line
from tests.reset_world import MIDNIGHT, YEAR

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


def sending(stage: Stage) -> None:
    """The code alone, by one of the other gateways."""
    stage.prepare(None)
    stage.step("code", {}, stage.start())


def by_wechat(stage: Stage) -> None:
    """A recovery by a code that is pushed, or held until the person fetches it."""
    stage.prepare(OPENID)
    stage.wechat({"MsgType": "event", "Event": "subscribe"})
    token = stage.start()
    stage.step("code", {}, token)
    stage.wechat({**TAPPED})
    stage.step("password", {"code": CODE, "password": PASSWORD}, token)


def from_a_pc(stage: Stage) -> None:
    """A QR code is shown, and scanned."""
    stage.prepare(None)
    token = stage.start(None)
    scene = stage.world.service.scenes.make("11010148", stage.world.clock.time + 60)
    event: dict[str, object] = {"MsgType": "event", "Event": "SCAN", "EventKey": scene}
    stage.wechat(event)
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
    event: dict[str, object] = {"MsgType": "event"}
    for fields in (
        {"MsgType": "text", "MsgId": 7, "Content": said},
        {**event, "Event": "unsubscribe"},
        {**event, "Event": "TEMPLATESENDJOBFINISH", "MsgID": 7, "Status": f"failed: {PHONE}"},
    ):
        stage.wechat(fields)
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
        for item in RunItem.scan():
            item.delete()
        LoginItem("11010148_cw").update(
            [LoginItem.reset_year.remove(), LoginItem.changed_at.set(1_700_000_000)]
        )
        stage.world.clock.time = MIDNIGHT
    stage.function(stage.reset.schedule)
    stage.function(stage.reset.work)


def enrolling(stage: Stage) -> None:
    """A directory file with passwords, phones and identity numbers, and one with a bad row."""
    stage.prepare(None)
    number = stage.hostile.fails_at
    header = (
        "firm_no,name,province,approval_no,head_name,head_id_last4,"
        "phone,finance_phone,opening_password\n"
    )
    row = f"3299{number:04d},示例所,32,苏财会〔2010〕0017号,甄示例,{LAST4},{PHONE},,{OPENING}\n"
    bad = f"x,示例所,32,{ID_NUMBER},甄示例,{LAST4},{PHONE},{NEW_PHONE},{OPENING}\n"
    path = stage.folder / "firms.csv"
    path.write_text(header + row + bad, "utf-8")
    stage.operate("import", str(path), "--reason", "年度名录")


Story = Callable[[Stage], None]

WHY = ("--reason", "本人来函")
COMMANDS = (
    ("account", "11010148"),
    ("phone", "11010148", NEW_PHONE, *WHY),
    ("unbind", "11010148", *WHY),
    ("unlock", "11010148", *WHY),
    ("audit", "11010148", "--json"),
    ("wechat-menu",),
    ("yearly-reset", "--year", str(YEAR), "--dry-run"),
)


def operating(*arguments: str) -> Story:
    """Another command of operators."""

    def operate(stage: Stage) -> None:
        stage.prepare(OPENID)
        stage.operate(*arguments)

    return operate


TEMPLATE = {"WECHAT_CODE_TEMPLATE_ID": "template"}
VENDORS = ("sns", "aliyun", "tencent")

STORIES: dict[str, tuple[Story, dict[str, str]]] = {
    "by SMS": (by_sms, {}),
    **{f"by {name}": (sending, {"SMS_GATEWAYS": name}) for name in VENDORS},
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
    **{command[0]: (operating(*command), {}) for command in COMMANDS},
}


COMMON = {"phone", "end of the identity number"}

# What each story is given at least, and shows where nothing hides it.
GIVEN: dict[str, set[str]] = {
    "by SMS": {"password", "default password", "code", "openid", "cookie", "token", *COMMON},
    **{f"by {name}": {"code", "cookie", "token", *COMMON} for name in VENDORS},
    "by WeChat, pushed": {"password", "code", "access token", "openid", "token", *COMMON},
    "by WeChat, held": {"password", "code", "openid", "token", *COMMON},
    "from a PC": {"access token", "token", *COMMON},
    "unbinding": {"identity number", "openid", "token", *COMMON},
    "callbacks": {"password", "identity number", "phone", "openid"},
    "entering": {"oauth code", "cookie"},
    "verifying": {"opening password", "wrong password", "default password", *COMMON},
    "receipts": {"phone"},
    "yearly reset": {"default password", *COMMON},
    "enrolling": COMMON,
    "account": {"openid", "access token", "phone"},
    "phone": {"new phone", "openid", "phone"},
    "unbind": {"openid", "phone"},
    "unlock": {"openid", "phone"},
    "audit": set(),
    "wechat-menu": {"access token"},
    "yearly-reset": COMMON,
}
