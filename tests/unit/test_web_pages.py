"""The page as it is served: size, policy, escaping, caching."""

from __future__ import annotations

import gzip
import re

import pytest
from chalice.test import HTTPResponse

from chalicelib.domain.catalogue import ACCOUNT_NAME, SUPPORT
from chalicelib.web.recovery import assets as page_assets
from tests.conftest import MakeWorld, World
from tests.support.page_files import Elements, declared_twice, directives, undeclared_calls

FIRST_VIEW = 14 * 1024
"""Bytes, compressed: what a server may send before the first acknowledgement (RFC 6928)."""


def get(world: World, path: str = "/", openid: str | None = None) -> HTTPResponse:
    """Send a GET that must succeed."""
    answer = world.call("GET", path, openid=openid)
    assert answer.status_code == 200, answer.body
    return answer


def document(world: World, path: str = "/", openid: str | None = None) -> Elements:
    """Return the page's elements."""
    return Elements(get(world, path, openid).body.decode())


def headers(answer: HTTPResponse) -> dict[str, str]:
    """Return the headers by name in lower case."""
    return {name.lower(): str(value) for name, value in answer.headers.items()}


def test_the_first_view_fits_into_the_first_round_trip(world: World) -> None:
    """Document, style, script and icon are under 14 KB compressed, with the heads of their responses."""
    answers = [get(world)]
    answers += [get(world, "/" + path) for path in document(world).addresses(("href", "src"))]
    assert len(answers) == 4
    assert (
        sum(len(gzip.compress(answer.body)) + len(head(answer)) for answer in answers) <= FIRST_VIEW
    )


def head(answer: HTTPResponse) -> str:
    """Return the status line and the headers of a response as HTTP/1.1 sends them."""
    lines = [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""])


def test_the_document_names_every_file(world: World) -> None:
    """No file loads another one, except for the script that is loaded already."""
    elements = document(world)
    script = next(path for path in elements.addresses() if "page." in path and path.endswith("js"))
    for path in elements.addresses():
        text = get(world, "/" + path).body.decode()
        assert not re.search(r"@import|\burl\(", text)
        imported = re.findall(r'\bfrom *"([^"]*)"', text)
        assert imported == (["./" + script.partition("/")[2]] if "screens." in path else [])


def test_the_policy_allows_nothing_inline(world: World) -> None:
    """It has no unsafe source and forbids frames, and the document has no inline part."""
    answer = get(world)
    policy = directives(headers(answer)["content-security-policy"])
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert "unsafe" not in str(policy)
    elements = Elements(answer.body.decode())
    assert elements.inline == []
    assert elements.with_code() == []


def test_the_document_is_not_cached(world: World) -> None:
    """It contains a login and its origin; it sends no Referer."""
    found = headers(get(world))
    assert found["cache-control"] == "no-store"
    assert found["x-content-type-options"] == "nosniff"
    assert found["referrer-policy"] == "no-referrer"
    assert found["content-type"] == "text/html; charset=utf-8"
    assert "max-age" in found["strict-transport-security"]


def test_assets_are_cached_for_ever_under_their_hash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of one byte changes the name."""
    addresses = document(world).addresses()
    for address in addresses:
        found = headers(get(world, "/" + address))
        assert "immutable" in found["cache-control"]
        assert found["x-content-type-options"] == "nosniff"
        assert re.fullmatch(r"assets/[a-z]+\.[0-9a-f]{12}\.(css|js|svg)", address)
    read = page_assets.read
    monkeypatch.setattr(page_assets, "read", lambda name: read(name) + "\nlet changed;")
    for kept in (page_assets.assets, page_assets.by_name):
        kept.cache_clear()
    try:
        assert not set(addresses) & {asset.address for asset in page_assets.assets().values()}
        assert world.call("GET", "/" + addresses[0]).status_code == 404
    finally:
        for kept in (page_assets.assets, page_assets.by_name):
            kept.cache_clear()


# Browser globals that the modules call as functions or constructors.
GLOBALS = frozenset(
    [
        "AbortController",
        "Boolean",
        "Event",
        "Map",
        "Number",
        "Promise",
        "String",
        "URL",
        "URLSearchParams",
        "Worker",
        "addEventListener",
        "btoa",
        "clearTimeout",
        "encodeURIComponent",
        "fetch",
        "import",
        "scrollTo",
        "setInterval",
        "setTimeout",
    ]
)


def test_the_modules_call_only_functions_that_exist() -> None:
    """A call of an undeclared name would look like a lost network: its error is caught as one."""
    assert undeclared_calls(page_assets.read, page_assets.MODULES) <= GLOBALS


def test_a_script_loaded_later_exports_what_is_read_from_it() -> None:
    """Where an export is removed, the reader finds undefined, and a reload goes on with an ended recovery."""
    first = "".join(map(page_assets.read, page_assets.FIRST_MODULES))
    lists = re.findall(r"const \{([^}]*)\} = await loadScreens\(\)", first)
    names = {name for listed in lists for name in re.findall(r"[\w$]+", listed)}
    assert names
    served = page_assets.assets()["screens.js"].text
    assert names == set(re.findall(r"export (?:async )?(?:function|const|let) ([\w$]+)", served))


def test_the_modules_fit_into_one_scope() -> None:
    """Served as two scripts, each name is declared once and before its use."""
    assert declared_twice(page_assets.read, page_assets.MODULES) == []


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ""),
        ("?login=11010148", "11010148"),
        ("?login=11010148_CW", "11010148_cw"),
        ("?login=%EF%BC%91%EF%BC%91010148", "11010148"),
        ("?login=%22%3E%3Cscript%3E", ""),
        ("?login=1101014８%22", ""),
        ("?login=", ""),
        ("?log=11010148", ""),
    ],
)
def test_only_a_login_is_filled_in(world: World, query: str, shown: str) -> None:
    """Other parameters of the address are not in the page."""
    answer = get(world, "/" + query)
    assert Elements(answer.body.decode()).body()["data-login"] == shown
    assert b"<script>" not in answer.body


def test_values_are_escaped(make_world: MakeWorld) -> None:
    """A setting cannot end an attribute."""
    world = make_world(LOGIN_URL="https://login.example/a&b'\"><b>")
    html = get(world).body.decode()
    assert "&quot;&gt;&lt;b&gt;" in html
    assert "<b>" not in html


def test_the_page_has_its_settings(world: World, make_world: MakeWorld) -> None:
    """The password profile, the login address, the support's number, whether it is in WeChat."""
    known = document(world).body()
    assert (known["data-minimum"], known["data-maximum"], known["data-classes"]) == ("8", "64", "3")
    assert known["data-inside"] == "0"
    assert known["data-support"] == SUPPORT
    assert known["data-account"] == ACCOUNT_NAME
    assert known["data-proof"] == "0"
    assert document(world, openid="o-alice").body()["data-inside"] == "1"
    nist = make_world(
        PASSWORD_PROFILE="nist", LOGIN_URL="https://login.example/in", PROOF_OF_WORK="1"
    )
    page = document(nist)
    assert (page.body()["data-minimum"], page.body()["data-classes"]) == ("15", "0")
    assert page.body()["data-proof"] == "1"
    links = [values["href"] for tag, values in page.found if tag == "a"]
    assert "https://login.example/in" in links


def test_the_page_has_the_manual_s_words(world: World) -> None:
    """Screens and buttons are worded as in the printed manual."""
    everything = get(world).body.decode() + "".join(
        get(world, "/" + path).body.decode() for path in document(world).addresses()
    )
    for words in (
        "选择用户类型", "会计师事务所", "登录账号", "下一步", "手机号验证", "公众号验证", "获取验证码",
        "发送验证码", "确认重置", "解绑公众号", "解绑", "确认解绑", "会计师事务所编号", "成立批准文号",
        "主任会计师/首席合伙人", "扫码关注", "重置成功", "返回登录", "如果手机号码有误或收不到验证码请联系",
    ):  # fmt: skip
        assert words in everything, words


def test_wechat_finds_its_verification_file(make_world: MakeWorld) -> None:
    """The configured file is at the root; another name, or no setting, is a 404."""
    world = make_world(WECHAT_VERIFY="aBcD1234")
    answer = get(world, "/MP_verify_aBcD1234.txt")
    assert answer.body == b"aBcD1234"
    assert headers(answer)["content-type"].startswith("text/plain")
    for other in ("/MP_verify_.txt", "/MP_verify_abcd1234.txt", "/MP_verify_other.txt", "/x"):
        assert world.call("GET", other).status_code == 404, other
    assert make_world().call("GET", "/MP_verify_.txt").status_code == 404


def test_an_unknown_asset_is_not_found(world: World) -> None:
    """A problem of the service's own, never a path into its files."""
    for name in ("page.js", "page.000000000000.js", "..%2fassets.py", "index.html"):
        answer = world.call("GET", f"/assets/{name}")
        assert answer.status_code == 404, name
        assert answer.json_body["code"] == "not-found"


def test_the_icon_is_where_browsers_look_for_it(world: World) -> None:
    """/favicon.ico redirects to the icon's hashed address."""
    answer = world.call("GET", "/favicon.ico")
    assert answer.status_code == 302
    assert get(world, "/" + headers(answer)["location"].lstrip("/")).body.startswith(b"<svg")


def test_crawlers_may_read_only_the_page(world: World) -> None:
    """robots.txt excludes the API."""
    assert b"Disallow: /" in get(world, "/robots.txt").body


def test_a_site_without_tls_does_not_require_it(make_world: MakeWorld) -> None:
    """The local stack's; a browser would refuse its next visit."""
    plain = headers(get(make_world(SITE_URL="http://127.0.0.1:8000")))
    secure = headers(get(make_world()))
    assert "strict-transport-security" not in plain
    assert secure["strict-transport-security"] == "max-age=31536000"
