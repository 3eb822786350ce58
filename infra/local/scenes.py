"""The scenes of the guided tour: what to press next, and how each step is observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.store.accounts import Event

from .journal import Exchange
from .login_page import SignIn

NEW_PASSWORD = "Yanshi-Mima-7"
"""A password that the public rules accept, for people who do not want to invent one."""

# Of the demo firm 33990003: Hangzhou's area code and the end of the head's ID number.
_DEFAULT_PASSWORD = "05710007"

SUPPORT_PHONE = "13800001234"
"""The phone that technical support registers in the scene without a phone."""


@dataclass(frozen=True)
class Facts:
    """What has been observed since a scene began."""

    number: str
    exchanges: Sequence[Exchange] = ()
    acts: Sequence[tuple[str, str]] = ()
    """Act and phone number."""
    events: Sequence[Event] = ()
    """Audit events of the scene's login."""
    sign_ins: Sequence[SignIn] = ()
    drawn: bool = False
    """Whether a QR code for the scene's login exists."""
    following: bool = False
    bound: bool = False
    has_phone: bool = False
    reset_year: int | None = None
    year: int = 0
    """The year in Beijing on the demo's clock."""

    def answered(self, path: str, status: int, code: str = "") -> bool:
        """Return whether the service has answered a POST so."""
        return any(
            (each.path, each.status, each.code) == (path, status, code) for each in self.exchanges
        )

    def has_acted(self, act: str) -> bool:
        """Return whether the scene's phone has done this."""
        return (act, self.number) in self.acts

    def has_event(self, name: str, **values: str) -> bool:
        """Return whether the audit has such an event."""
        return any(
            event.event == name
            and all(getattr(event, key) == value for key, value in values.items())
            for event in self.events
        )

    def has_signed_in(self, outcome: str) -> bool:
        """Return whether the login page has seen this outcome."""
        return any(sign_in.outcome == outcome for sign_in in self.sign_ins)


@dataclass(frozen=True)
class Step:
    """A step. `check` returns whether it has been observed.

    `device` is `phone`, `pc`, or `demo` for the page itself. `offers` are buttons of the page, each
    with a `label` and one of `show` (an app of the phone), `fill` (values of fields by name), `code`
    (fill in the last code) and `act` (an act of the page, with its parameters).
    """

    text: str
    device: str
    check: Callable[[Facts], bool]
    offers: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Scene:
    """A scene. `bound` where the WeChat of the phone `number` is bound to `login` at the start.

    `follower` is `yes`, `no`, or `left` for one that no longer follows.
    """

    name: str
    title: str
    about: str
    login: str
    number: str
    steps: tuple[Step, ...]
    bound: bool = False
    follower: str = "no"
    pc_first: bool = False


def _show(app: str, label: str) -> dict[str, Any]:
    return {"label": label, "show": app}


def _fill(label: str, **fields: str) -> dict[str, Any]:
    return {"label": label, "fill": fields}


_NEW = _fill("填入新密码", password=NEW_PASSWORD)
_CODE = {"label": "填入验证码", "code": True}


def _named(facts: Facts) -> bool:
    return facts.answered("/recovery", 201)


def _code_by(method: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.has_event("code-sent", method=method)


def _recovered(facts: Facts) -> bool:
    return facts.has_event("password-recovered")


def _name_step(login: str, device: str) -> Step:
    first = "公众号菜单点【找回密码】" if device == "phone" else "登录页点【忘记密码】"
    apps = (_show("chat", "公众号"),) if device == "phone" else ()
    return Step(
        f"{first}，填入账号，点【下一步】", device, _named, (*apps, _fill(login, login=login))
    )


def _finish_step(device: str) -> Step:
    return Step("填入验证码和新密码，点【确认重置】", device, _recovered, (_CODE, _NEW))


def _sign_in_step(login: str) -> Step:
    return Step(
        "点【返回登录】，用新密码登录",
        "pc",
        lambda facts: facts.has_signed_in("signed-in"),
        (_fill("填入账号密码", login=login, password=NEW_PASSWORD),),
    )


_SCAN = Step(
    "手机“扫一扫”对准电脑上的二维码",
    "phone",
    lambda facts: facts.has_acted("scan"),
    (_show("scan", "扫一扫"),),
)
_FOLLOW = Step(
    "点【关注公众号】", "phone", lambda facts: facts.following, (_show("chat", "公众号"),)
)
_SMS = Step(
    "点公众号消息里的“点此继续”，再点【获取验证码】",
    "phone",
    _code_by("sms"),
    (_show("chat", "公众号"),),
)

SCENES = (
    Scene(
        "sms",
        "首次找回：短信",
        "手机，未绑定公众号",
        "11010148",
        "13800001234",
        (
            Step(
                "点【关注公众号】",
                "phone",
                lambda facts: facts.following,
                (_show("chat", "公众号"),),
            ),
            _name_step("11010148", "phone"),
            Step("点【获取验证码】，短信到达", "phone", _code_by("sms")),
            _finish_step("phone"),
            Step(
                "公众号通知：已绑定本微信",
                "phone",
                lambda facts: facts.bound and _recovered(facts),
                (_show("chat", "公众号"),),
            ),
        ),
    ),
    Scene(
        "wechat",
        "公众号验证码",
        "手机，已绑定公众号",
        "65990006",
        "13700003333",
        (
            _name_step("65990006", "phone"),
            Step("点【获取验证码】，验证码发到公众号", "phone", _code_by("wechat")),
            _finish_step("phone"),
        ),
        bound=True,
        follower="yes",
    ),
    Scene(
        "qr-code",
        "电脑与二维码",
        "电脑开始，手机完成",
        "11010148",
        "13800001234",
        (
            Step(
                "登录页点【忘记密码】，填入账号，点【下一步】",
                "pc",
                lambda facts: facts.drawn,
                (_fill("11010148", login="11010148"),),
            ),
            _SCAN,
            _FOLLOW,
            _SMS,
            _finish_step("phone"),
            _sign_in_step("11010148"),
        ),
        pc_first=True,
    ),
    Scene(
        "unbinding",
        "取消关注与解绑",
        "微信已取消关注",
        "54990007",
        "13700003333",
        (
            Step(
                "登录页点【忘记密码】，填入账号，点【下一步】，点【发送验证码】：收不到",
                "pc",
                lambda facts: facts.answered("/recovery/code", 409, "not-following"),
                (_fill("54990007", login="54990007"),),
            ),
            Step(
                "点【解绑】，填写登记信息，点【确认解绑】",
                "pc",
                lambda facts: facts.has_event("wechat-unbound"),
                (
                    _fill(
                        "填入登记信息",
                        firm_no="54990007",
                        approval_no="藏财会〔2016〕5号",
                        head_name="次仁·示例顿珠",
                    ),
                ),
            ),
            _SCAN,
            _FOLLOW,
            _SMS,
            _finish_step("phone"),
        ),
        bound=True,
        follower="left",
        pc_first=True,
    ),
    Scene(
        "no-phone",
        "未绑定手机号",
        "技术支持来登记",
        "44990005",
        SUPPORT_PHONE,
        (
            Step(
                "公众号菜单点【找回密码】，填入账号，点【下一步】：提示联系技术支持",
                "phone",
                lambda facts: facts.answered("/recovery", 409, "phone-not-bound"),
                (_show("chat", "公众号"), _fill("44990005", login="44990005")),
            ),
            Step(
                "技术支持核实身份后登记手机号",
                "demo",
                lambda facts: facts.has_phone,
                ({"label": f"登记{SUPPORT_PHONE}", "act": {"act": "register-phone"}},),
            ),
            Step(
                "再点【下一步】，点【获取验证码】",
                "phone",
                _code_by("sms"),
                (_show("web", "网页"),),
            ),
            _finish_step("phone"),
        ),
        follower="yes",
    ),
    Scene(
        "yearly-reset",
        "年度重置",
        "财务账号恢复默认",
        "33990003_cw",
        "13900002222",
        (
            Step(
                "时间拨到1月1日零点，财务账号全部重置",
                "demo",
                lambda facts: facts.reset_year == facts.year and facts.has_event("yearly-reset"),
                ({"label": "拨到1月1日", "act": {"act": "new-year"}},),
            ),
            Step(
                "登录页用默认密码登录：要求设置新密码",
                "pc",
                lambda facts: facts.has_signed_in("must-change"),
                (_fill("填入账号和默认密码", login="33990003_cw", password=_DEFAULT_PASSWORD),),
            ),
            Step(
                "点【设置新密码】、【下一步】、【发送验证码】",
                "pc",
                _code_by("wechat"),
                (_show("chat", "公众号"),),
            ),
            _finish_step("pc"),
            _sign_in_step("33990003_cw"),
        ),
        bound=True,
        follower="yes",
        pc_first=True,
    ),
)


def scene(name: str) -> Scene | None:
    """Return the scene with a name."""
    return next((each for each in SCENES if each.name == name), None)
