"""The manual's sections 1 to 1.2, sentence by sentence: recovery on the phone by SMS."""

from __future__ import annotations

import pytest

from chalicelib.domain.catalogue import PROBLEMS
from tests.conftest import PASSWORD, World, add_firm
from tests.support.official_account import LINK, MakeWechatWorld, WechatWorld, code_in, login_of

PAGE = "https://recovery.example/"


def recovered(wechat_world: WechatWorld, openid: str = "o-alice") -> None:
    """Follow, recover by SMS, and wait until the next code may be sent."""
    phone = wechat_world.phone(openid)
    phone.follow()
    phone.browse(phone.tap("找回密码"))
    token = phone.start("11010148").json_body["token"]
    wechat_world.world.send(token)
    assert wechat_world.world.confirm(token, wechat_world.world.phones.codes[-1]).status_code == 200
    wechat_world.world.clock.time += 60


# 用户可通过微信搜索公众号“中国注册会计师协会行业管理系统”或者扫描下方二维码关注公众号。
def test_a_new_follower_receives_the_link_to_the_page(wechat_world: WechatWorld) -> None:
    """The link in the welcome opens the page inside WeChat."""
    alice = wechat_world.phone("o-alice")
    welcome = alice.follow()
    assert "中国注册会计师协会行业管理系统" in welcome
    link = LINK.search(welcome)
    assert link is not None
    assert alice.browse(link[1]) == PAGE


# 通过微信公众号“找回密码”菜单跳转到找回密码界面。
def test_the_menu_opens_the_page(wechat_world: WechatWorld) -> None:
    """The browser is identified by its WeChat without any input."""
    alice = wechat_world.phone("o-alice")
    alice.follow()
    assert alice.browse(alice.tap("找回密码")) == PAGE
    assert alice.start("11010148").json_body["method"] == "sms"


# 选择要找回登录账号的用户类型（用户类型为会计师事务所），点击【下一步】按钮。
def test_the_user_type_is_a_firm(world: World) -> None:
    """Other users receive the number of the support."""
    assert world.start().status_code == 201
    answer = world.call("POST", "/recovery", {"user_type": "person", "login": "11010148"})
    assert (answer.status_code, answer.json_body["field"]) == (422, "user_type")
    assert "010-88250337" in answer.json_body["detail"]


# 登录账号在系统中未绑定手机号时，系统提示“查询到您未绑定手机号，请联系技术支持010-88250337(0338)”修改密码。
@pytest.mark.parametrize("openid", ["o-alice", None], ids=["phone", "PC"])
def test_a_login_without_a_phone_gets_the_number_of_the_support(
    world: World, openid: str | None
) -> None:
    """The manual's exact sentence, on the phone and on a PC."""
    add_firm(world.service.hasher, "31000001", phone=None)
    answer = world.start("31000001", openid)
    assert (answer.status_code, answer.json_body["code"]) == (409, "phone-not-bound")
    assert answer.json_body["detail"] == "查询到您未绑定手机号，请联系技术支持010-88250337(0338)"


# 未绑定公众号时，默认手机号验证码找回。点击手机号验证，输入新密码后点击【获取验证码】接收短信验证码并输入，
# 点击【确认重置】按钮即可重置成功。
def test_an_unbound_login_is_recovered_by_sms(wechat_world: WechatWorld) -> None:
    """The code is sent to the bound phone, and the new password is stored."""
    alice = wechat_world.phone("o-alice")
    alice.follow()
    alice.browse(alice.tap("找回密码"))
    started = alice.start("11010148").json_body
    assert (started["method"], started["destination"]) == ("sms", "138****1234")
    sent = wechat_world.world.send(started["token"]).json_body
    assert (sent["method"], sent["delivery"]) == ("sms", "sent")
    done = wechat_world.world.confirm(started["token"], wechat_world.world.phones.codes[0])
    assert (done.status_code, done.json_body) == (200, {"login": "11010148", "wechat_bound": True})
    stored = wechat_world.world.login_item().password_hash
    assert wechat_world.world.service.hasher.verify(stored, PASSWORD)


# 注：如果手机号码有误或收不到验证码请联系010-88250337/0338。
def test_a_failed_sms_shows_the_number_of_the_support() -> None:
    """The problem of a failed delivery has the number."""
    assert "010-88250337/0338" in PROBLEMS["delivery-failed"][1]


# 使用手机号找回过密码成功后会自动将微信绑定关注的中国注册会计师协会行业管理系统公众号，下次找回密码默认使用公众号验证码找回。
def test_a_recovery_by_sms_binds_the_wechat(wechat_world: WechatWorld) -> None:
    """Later recoveries of the login are by the Official Account, on every device."""
    recovered(wechat_world)
    assert wechat_world.world.login_item().openid == "o-alice"
    for openid in ("o-alice", "o-other", None):
        assert wechat_world.world.start(openid=openid).json_body["method"] == "wechat"


# 如果取消关注或使用其他微信重新关注则不能接收到公众号验证码。
def test_an_unfollowed_wechat_receives_no_code(wechat_world: WechatWorld) -> None:
    """The problem says that the WeChat does not follow, and nothing is counted."""
    recovered(wechat_world)
    alice = wechat_world.phone("o-alice")
    alice.leave()
    token = wechat_world.world.token()
    for _ in range(2):
        answer = wechat_world.world.send(token)
        assert (answer.status_code, answer.json_body["code"]) == (409, "not-following")
        assert "解绑公众号" in answer.json_body["detail"]


# 只能使用初次使用手机号验证码找回密码时微信关注的公众号。
@pytest.mark.parametrize("template", [True, False], ids=["push", "pull"])
def test_only_the_bound_wechat_receives_the_code(
    make_wechat_world: MakeWechatWorld,
    template: bool,
) -> None:
    """Another follower receives nothing; the bound one does once it follows again."""
    wechat_world = make_wechat_world(template=template)
    recovered(wechat_world)
    alice, other = wechat_world.phone("o-alice"), wechat_world.phone("o-other")
    alice.leave()
    other.follow()
    token = wechat_world.world.token(openid="o-other")
    assert wechat_world.world.send(token).json_body["code"] == "not-following"
    alice.follow()
    assert wechat_world.world.send(token).status_code == 202
    assert "没有可领取的验证码" in other.tap("获取验证码")
    text = alice.chat[-1] if template else alice.tap("获取验证码")
    assert wechat_world.world.confirm(token, code_in(text), "Another-horse-8").status_code == 200


def test_the_account_s_own_qr_code_has_no_login(wechat_world: WechatWorld) -> None:
    """The QR code in the manual has no scene, so that no login is filled in."""
    alice = wechat_world.phone("o-alice")
    link = LINK.search(alice.follow())
    assert link is not None
    assert login_of(alice.browse(link[1])) is None
