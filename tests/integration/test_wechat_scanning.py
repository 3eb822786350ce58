"""QR codes from the PC to the phone: their content, and what they do not contain."""

from __future__ import annotations

import segno

from chalicelib.services.qr_scenes import page_of
from tests.conftest import World
from tests.support.official_account import (
    LINK,
    MakeWechatWorld,
    Phone,
    WechatWorld,
    login_of,
    scene_of,
)


def ticket_of(wechat_world: WechatWorld) -> str:
    """Return the URL of the newest QR code."""
    return wechat_world.wechat.account.live_tickets(wechat_world.world.clock())[0].url


def filled_in(phone: Phone) -> str | None:
    """Open the link in the account's last message; return the login on its page."""
    link = LINK.search(phone.chat[-1])
    assert link is not None
    return login_of(phone.browse(link[1]))


def test_new_and_old_followers_receive_the_link(wechat_world: WechatWorld) -> None:
    """With the login, and with a warning to ignore it if it is not theirs."""
    wechat_world.pc("11010148")
    stranger, follower = wechat_world.phone("o-stranger"), wechat_world.phone("o-follower")
    follower.follow()
    for phone in (stranger, follower):
        phone.scan(ticket_of(wechat_world))
        assert "账号11010148" in phone.chat[-1]
        assert "如非本人操作请忽略" in phone.chat[-1]
        assert filled_in(phone) == "11010148"
    assert wechat_world.world.service.followers.is_following("o-stranger") is True


def test_each_pc_has_its_own_qr_code(wechat_world: WechatWorld) -> None:
    """The scene leads to the login of its recovery."""
    codes = {}
    for login in ("11010148", "11010148_cw"):
        wechat_world.pc(login)
        codes[login] = ticket_of(wechat_world)
    alice = wechat_world.phone("o-alice")
    for login, code in codes.items():
        alice.scan(code)
        assert filled_in(alice) == login


def test_a_qr_code_ends_with_its_recovery(wechat_world: WechatWorld) -> None:
    """Both the QR code and its link are valid for half an hour."""
    pc = wechat_world.pc("11010148")
    code = ticket_of(wechat_world)
    alice = wechat_world.phone("o-alice")
    alice.scan(code)
    link = LINK.search(alice.chat[-1])
    assert link is not None
    wechat_world.world.clock.time += pc["expires_in"]
    assert login_of(alice.browse(link[1])) is None
    bob = wechat_world.phone("o-bob")
    bob.scan(code)
    assert "欢迎关注" in bob.chat[-1]
    assert filled_in(bob) is None


def test_a_forged_scene_is_ignored(wechat_world: WechatWorld) -> None:
    """Another login, a later end, another key, random text: the reply is the plain welcome."""
    good = wechat_world.world.service.scenes.make("11010148", wechat_world.world.clock() + 60)
    login, end, mac = good.split(".")
    alice = wechat_world.phone("o-alice")
    alice.follow()
    forged = [
        f"11010149.{end}.{mac}",
        f"{login}.{int(end, 16) + 1:x}.{mac}",
        f"{login}.{end}.{mac[:-1]}",
        f"{login}.{end}.{'0' * len(mac)}",
        f"{login}.{end}.",
        "..",
        "123",
        "号.号.号",
    ]
    for scene in forged:
        ticket = wechat_world.wechat.account.draw(scene, wechat_world.world.clock() + 60)
        alice.scan(ticket.url)
        assert "欢迎关注" in alice.chat[-1], scene
        assert filled_in(alice) is None
        assert login_of(alice.browse(f"/wechat/enter?scene={scene}")) is None


def test_a_scan_discloses_the_login_only(wechat_world: WechatWorld) -> None:
    """Neither the PC's token nor its code; the phone begins its own recovery."""
    pc = wechat_world.pc("11010148")
    scanner = wechat_world.phone("o-scanner")
    scanner.scan(ticket_of(wechat_world))
    text = scanner.chat[-1]
    link = LINK.search(text)
    assert link is not None
    assert pc["token"] not in text
    landed = scanner.browse(link[1])
    assert landed == f"https://recovery.example/?login=11010148&scene={scene_of(landed)}"
    assert {name.split("-")[1] for name in scanner.cookies} == {"oauth_state", "wechat"}
    phone = scanner.start("11010148", scene_of(landed)).json_body
    assert phone["token"] != pc["token"]
    # The PC's recovery cannot use the phone's code.
    wechat_world.world.send(phone["token"])
    code = wechat_world.world.phones.codes[0]
    refused = wechat_world.world.confirm(pc["token"], code)
    assert (refused.status_code, refused.json_body["code"]) == (410, "code-expired")
    assert wechat_world.world.confirm(phone["token"], code).status_code == 200


def test_an_attacker_s_page_learns_the_state_only(wechat_world: WechatWorld) -> None:
    """An attacker begins a recovery of a victim's login, and the victim scans its QR code.

    The attacker's page shows `done` when the victim has recovered; its token allows nothing.
    """
    attacker = wechat_world.pc("11010148")
    victim = wechat_world.phone("o-victim")
    victim.scan(ticket_of(wechat_world))
    link = LINK.search(victim.chat[-1])
    assert link is not None
    scene = scene_of(victim.browse(link[1]))
    token = victim.start("11010148", scene).json_body["token"]
    wechat_world.world.send(token)
    code = wechat_world.world.phones.codes[0]
    assert wechat_world.world.confirm(token, code).status_code == 200
    assert wechat_world.state(attacker["token"]) == {
        "login": "11010148",
        "method": "follow",
        "state": "done",
    }
    wechat_world.world.clock.time += 61
    for answer in (
        wechat_world.world.send(attacker["token"]),
        wechat_world.world.confirm(attacker["token"], code, "Mallory-horse-9"),
        wechat_world.world.call(
            "POST",
            "/recovery/unbinding",
            {
                "firm_no": "11010148",
                "approval_no": "京财会许可〔2012〕0084号",
                "head_name": "阿依古丽·买买提",
            },
            token=attacker["token"],
        ),
    ):
        assert answer.status_code in (401, 410, 422)
    item = wechat_world.world.login_item()
    assert item.openid == "o-victim"
    assert wechat_world.world.service.hasher.verify(item.password_hash, "Correct-horse-7")


def test_a_pc_never_sends_an_sms(wechat_world: WechatWorld) -> None:
    """An SMS is sent only inside a WeChat, which is bound by the code."""
    pc = wechat_world.pc("11010148")
    answer = wechat_world.world.send(pc["token"])
    assert (answer.status_code, answer.json_body["field"]) == (422, "method")
    assert wechat_world.world.phones.sent == []


def test_without_a_qr_code_of_wechat_the_page_draws_its_own(
    make_wechat_world: MakeWechatWorld,
) -> None:
    """Where the platform fails, the QR code leads directly to the page with the login."""
    wechat_world = make_wechat_world()
    wechat_world.wechat.fail(45009, path="/cgi-bin/qrcode/create")
    pc = wechat_world.pc("11010148")
    assert not wechat_world.wechat.account.live_tickets(wechat_world.world.clock())
    claims = wechat_world.world.service.recovery.read(pc["token"])
    scene = wechat_world.world.service.scenes.make(
        "11010148", wechat_world.world.clock() + pc["expires_in"], page_of(claims.recovery)
    )
    url = f"https://recovery.example/wechat/enter?scene={scene}"
    drawn = segno.make(url, error="m").svg_data_uri(scale=4, border=2, dark="#000", light="#fff")
    assert pc["qr"] == drawn
    assert login_of(wechat_world.phone("o-alice").browse(url)) == "11010148"


def test_a_scene_has_at_most_64_characters(world: World) -> None:
    """WeChat's limit, for the longest login."""
    scene = world.service.scenes.make("1" * 20 + "_cw", 2**33, page_of("0" * 32))
    assert len(scene) <= 64
    assert world.service.scenes.read(scene) == ("1" * 20 + "_cw", "0" * 8)
