"""The manual's sections 1.3, 2.1 and 2.2, sentence by sentence, through the HTTP API."""

from __future__ import annotations

import pytest
import segno

from chalicelib.domain.catalogue import NOTICE_TITLES
from tests.conftest import PASSWORD, World
from tests.support.official_account import (
    LINK,
    MakeWechatWorld,
    WechatWorld,
    code_in,
    login_of,
    scene_of,
)

DETAILS = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}
NEW = "Another-horse-8"


def bind(wechat_world: WechatWorld, openid: str = "o-alice") -> None:
    """Follow, and recover once by SMS; then wait until the next code may be sent."""
    wechat_world.phone(openid).follow()
    token = wechat_world.world.token(openid=openid)
    wechat_world.world.send(token)
    assert wechat_world.world.confirm(token, wechat_world.world.phones.codes[-1]).status_code == 200
    wechat_world.world.clock.time += 60


# 已绑定公众号时，默认公众号验证码找回。
@pytest.mark.parametrize("openid", ["o-alice", "o-other", None])
def test_a_bound_login_s_method_is_the_official_account(
    wechat_world: WechatWorld,
    openid: str | None,
) -> None:
    """On the bound phone, on any other and on a PC; no phone number is shown."""
    bind(wechat_world)
    started = wechat_world.world.start(openid=openid).json_body
    assert started["method"] == "wechat"
    assert started["destination"] == "中国注册会计师协会行业管理系统"
    assert "qr" not in started


# 点击【获取验证码】可在“中国注册会计师协会行业管理系统”公众号接收到验证码，
# 输入验证码及新密码点击【确认重置】即可重置成功。
def test_the_code_is_pushed_and_resets_the_password(wechat_world: WechatWorld) -> None:
    """The template has the login and the code; no SMS is sent."""
    bind(wechat_world)
    token, before = wechat_world.world.token(), len(wechat_world.world.phones.codes)
    sent = wechat_world.world.send(token)
    assert (sent.status_code, sent.json_body["delivery"]) == (202, "sent")
    card = wechat_world.phone("o-alice").chat[-1]
    assert card.splitlines()[0] == "11010148"
    assert "5分钟内有效" in card
    done = wechat_world.world.confirm(token, code_in(card), NEW)
    assert (done.status_code, done.json_body["wechat_bound"]) == (200, True)
    assert wechat_world.world.service.hasher.verify(
        wechat_world.world.login_item().password_hash, NEW
    )
    assert len(wechat_world.world.phones.codes) == before


@pytest.mark.parametrize("way", ["获取验证码", "验证码", " 获取验证码\n"])
def test_a_code_is_fetched_where_it_cannot_be_pushed(
    pulling_wechat_world: WechatWorld,
    way: str,
) -> None:
    """By the menu item or by text, with its login."""
    wechat_world = pulling_wechat_world
    bind(wechat_world)
    token, alice = wechat_world.world.token(), wechat_world.phone("o-alice")
    assert wechat_world.world.send(token).json_body["delivery"] == "pull"
    tapped = way == "获取验证码"
    text = alice.tap(way) if tapped else wechat_world.wechat.say("o-alice", way).text or ""
    assert "账号11010148的" in text
    assert wechat_world.world.confirm(token, code_in(text), NEW).status_code == 200
    # A used code cannot be fetched.
    assert "没有可领取的验证码" in alice.tap("获取验证码")


# 接收不到公众号验证码时，点击【解绑公众号】按钮，会计师事务所用户输入会计师事务所编号、成立批准文号、
# 主任会计师/首席合伙人等信息点击【确认解绑】，信息校验成功即可解除绑定。
@pytest.mark.parametrize(
    "typed",
    [
        DETAILS,
        {
            "firm_no": " １１０１ ０１４８ ",
            "approval_no": "京财会许可（２０１２）第００８４號",
            "head_name": "阿依古丽 • 买买提",
        },
    ],
    ids=["as registered", "as typed"],
)
def test_the_firm_s_details_undo_the_binding(
    wechat_world: WechatWorld,
    typed: dict[str, str],
) -> None:
    """Also as people type them; phone and WeChat are notified."""
    bind(wechat_world)
    phone = wechat_world.phone("o-alice")
    phone.browse(phone.tap("找回密码"))
    token = phone.start("11010148").json_body["token"]
    answer = wechat_world.world.call("POST", "/recovery/unbinding", typed, token=token)
    assert (answer.status_code, answer.json_body) == (200, {"login": "11010148", "method": "sms"})
    assert wechat_world.world.login_item().openid is None
    assert wechat_world.world.phones.sent[-1].template == "wechat-unbound"
    assert phone.chat[-1].splitlines()[:2] == [NOTICE_TITLES["wechat-unbound"], "11010148"]


@pytest.mark.parametrize("name", DETAILS)
def test_a_wrong_detail_undoes_nothing(wechat_world: WechatWorld, name: str) -> None:
    """The problem does not name the wrong detail."""
    bind(wechat_world)
    wrong = {**DETAILS, name: {"firm_no": "11010149"}.get(name, DETAILS[name] + "1")}
    answer = wechat_world.world.call(
        "POST", "/recovery/unbinding", wrong, token=wechat_world.world.token()
    )
    assert (answer.status_code, answer.json_body["code"]) == (403, "details-do-not-match")
    members = {"type", "code", "title", "detail", "status", "attempts_left"}
    assert set(answer.json_body) == members
    assert wechat_world.world.login_item().openid == "o-alice"


# 再次找回密码默认手机号验证码找回。
def test_after_unbinding_the_method_is_sms_again(wechat_world: WechatWorld) -> None:
    """The code goes to the bound phone, and the WeChat of the new recovery is bound."""
    bind(wechat_world)
    token = wechat_world.world.token()
    wechat_world.world.call("POST", "/recovery/unbinding", DETAILS, token=token)
    wechat_world.phone("o-new").follow()
    started = wechat_world.world.start(openid="o-new").json_body
    assert (started["method"], started["destination"]) == ("sms", "138****1234")
    assert wechat_world.world.send(started["token"]).status_code == 202
    assert (
        wechat_world.world.confirm(
            started["token"], wechat_world.world.phones.codes[-1], NEW
        ).status_code
        == 200
    )
    assert wechat_world.world.login_item().openid == "o-new"


# 访问行业管理系统（cmis.cicpa.org.cn）点击登录页面【忘记密码】按钮进行操作。
def test_the_page_links_to_the_login_page(world: World) -> None:
    """The page opens without cookies and parameters."""
    page = world.call("GET", "/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "https://cmis.cicpa.org.cn" in page.body.decode()


# 用户类型选择会计师事务所并输入要找回的账号，点击【下一步】按钮。
@pytest.mark.parametrize("login", ["11010148", "11010148_cw", " １１０１０１４８＿ＣＷ "])
def test_a_recovery_begins_on_a_pc(wechat_world: WechatWorld, login: str) -> None:
    """Of either login of the firm, as people type it."""
    started = wechat_world.pc(login)
    assert started["login"] in ("11010148", "11010148_cw")
    assert started["method"] == "follow"


# 点击【发送验证码】会自动发送验证码到关注的公众号。输入公众号验证码并输入新密码后点击【确认重置】提示重置成功即可。
@pytest.mark.parametrize("template", [True, False], ids=["push", "pull"])
def test_a_pc_resets_a_bound_login_s_password(
    make_wechat_world: MakeWechatWorld,
    template: bool,
) -> None:
    """The code arrives in the Official Account on the phone, and is typed on the PC."""
    wechat_world = make_wechat_world(template=template)
    bind(wechat_world)
    token = wechat_world.pc("11010148")["token"]
    assert wechat_world.world.send(token).json_body["method"] == "wechat"
    assert wechat_world.state(token)["state"] == "code_sent"
    alice = wechat_world.phone("o-alice")
    text = alice.chat[-1] if template else alice.tap("获取验证码")
    assert wechat_world.world.confirm(token, code_in(text), NEW).status_code == 200
    state = wechat_world.state(token)
    assert (state["login"], state["method"], state["state"]) == ("11010148", "wechat", "done")
    assert wechat_world.world.login_item().openid == "o-alice"


# 接收不到公众号验证码时点击【解绑】按钮，会计师事务所用户输入会计师事务所编号、成立批准文号、
# 主任会计师/首席合伙人等信息点击【确认解绑】，信息校验成功即可解除绑定。
# 注：再次操作找回密码参考【1手机端找回】。
def test_unbinding_on_a_pc_leads_to_the_phone(wechat_world: WechatWorld) -> None:
    """The next step is to scan the QR code, since an SMS is sent only inside WeChat."""
    bind(wechat_world)
    wechat_world.phone("o-alice").leave()
    token = wechat_world.pc("11010148")["token"]
    assert wechat_world.world.send(token).json_body["code"] == "not-following"
    answer = wechat_world.world.call("POST", "/recovery/unbinding", DETAILS, token=token)
    assert (answer.status_code, answer.json_body["method"]) == (200, "follow")
    assert wechat_world.pc("11010148")["method"] == "follow"


# 未绑定行业管理系统公众号时扫码关注系统弹出公众号二维码，后续操作参考【1手机端找回】。
def test_a_qr_code_continues_the_recovery_on_the_phone(wechat_world: WechatWorld) -> None:
    """Scan, follow, open the link, recover by SMS; the PC shows that it is done."""
    pc = wechat_world.pc("11010148_cw")
    (ticket,) = wechat_world.wechat.account.live_tickets(wechat_world.world.clock())
    assert ticket.expires_at == wechat_world.world.clock() + pc["expires_in"]
    drawn = segno.make(ticket.url, error="m")
    assert pc["qr"] == drawn.svg_data_uri(scale=4, border=2, dark="#000", light="#fff")
    alice = wechat_world.phone("o-alice")
    alice.scan(ticket.url)
    link = LINK.search(alice.chat[-1])
    assert link is not None
    page = alice.browse(link[1])
    assert login_of(page) == "11010148_cw"
    phone = alice.start("11010148_cw", scene_of(page)).json_body
    assert phone["method"] == "sms"
    assert wechat_world.state(pc["token"])["state"] == "followed"
    wechat_world.world.send(phone["token"])
    assert wechat_world.state(pc["token"])["state"] == "code_sent"
    done = wechat_world.world.confirm(phone["token"], wechat_world.world.phones.codes[-1])
    assert done.status_code == 200
    assert wechat_world.state(pc["token"])["state"] == "done"
    assert wechat_world.world.service.hasher.verify(
        wechat_world.world.login_item("11010148_cw").password_hash, PASSWORD
    )
