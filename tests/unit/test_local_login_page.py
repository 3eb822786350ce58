"""`/_login`, and the programs of docs/login-page.md, against a running local stack."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client, TestResponse

from infra.local.login_page import CredentialsClient, LoginPage
from infra.local.serving import application
from tests.support.local_process import running

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "login-page.md"
LOCAL, PC = "http://127.0.0.1:8000", "http://localhost:8000"
NOW = 1_790_000_000
TIMEOUT = 300
BARE = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AWS_", "SMS_", "WECHAT_", "LIMIT_", "SITE_", "SIGNING_", "CODE_"))
}
RIGHT = {"valid": True, "must_change": False, "changed_at": NOW}


class ScriptedClient(CredentialsClient):
    """Answers as scripted; an exception is raised."""

    def __init__(self, answer: tuple[int, dict[str, Any]] | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def verify(self, login: str, password: str) -> tuple[int, dict[str, Any]]:
        self.asked.append((login, password))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def login_page(answer: tuple[int, dict[str, Any]] | Exception = (200, RIGHT)) -> LoginPage:
    return LoginPage(
        ScriptedClient(answer), origins=frozenset([LOCAL, PC]), pc=PC, clock=lambda: NOW
    )


def visit(page: LoginPage, path: str = "/_login", **options: Any) -> TestResponse:
    return Client(application(page.answer)).open(path, **{"base_url": LOCAL, **options})


def sign_in(page: LoginPage, login: str, password: str, **headers: str) -> TestResponse:
    form = {"login": login, "password": password}
    return visit(page, method="POST", data=form, headers=headers)


def test_the_form_has_the_login_of_the_query() -> None:
    """A login is filled in, other text is not; 忘记密码 leads to the service's page."""
    page = login_page()
    assert 'value="11010148_cw"' in visit(page, "/_login?login=11010148_CW").text
    assert 'value=""' in visit(page, '/_login?login="><script>').text
    form = visit(page)
    assert '<a href="/">忘记密码</a>' in form.text
    assert "default-src 'none'" in str(form.headers["Content-Security-Policy"])
    assert visit(page, "/_login/login.css").headers["Content-Type"] == "text/css; charset=utf-8"
    assert visit(page, "/_login/other").status_code == 404
    assert visit(page, method="PUT").status_code == 405


@pytest.mark.parametrize(
    ("answer", "status", "words", "outcome"),
    [
        ((200, RIGHT), 200, "登录成功", "signed-in"),
        ((200, {**RIGHT, "must_change": True}), 200, 'href="/?login=11010148"', "must-change"),
        ((200, {**RIGHT, "valid": False}), 403, "登录账号或密码不正确。", "wrong"),
        ((429, {"detail": "错误次数过多，请在30分钟后再试。"}), 429, "请在30分钟后再试", "refused"),
        ((403, {"detail": "该接口仅供登录系统调用。"}), 403, "登录暂时不可用", "refused"),
        ((503, {}), 503, "登录暂时不可用", "refused"),
    ],
)
def test_each_answer_of_the_service_has_its_page(
    answer: tuple[int, dict[str, Any]], status: int, words: str, outcome: str
) -> None:
    """Only a right password that need not be changed signs in."""
    page = login_page(answer)
    reply = sign_in(page, " 11010148 ", "x")
    assert (reply.status_code, words in reply.text) == (status, True)
    assert ("登录成功" in reply.text) == (outcome == "signed-in")
    [recorded] = page.sign_ins()
    assert (recorded.at, recorded.login, recorded.outcome) == (NOW, "11010148", outcome)
    page.clear()
    assert page.sign_ins() == []


@pytest.mark.parametrize("error", [OSError("down"), ValueError("not JSON")])
def test_without_an_answer_nobody_is_signed_in(error: Exception) -> None:
    """The page says so and keeps the login."""
    reply = sign_in(login_page(error), "11010148", "x")
    assert (reply.status_code, "登录暂时不可用" in reply.text) == (503, True)
    assert 'value="11010148"' in reply.text


def test_a_form_that_is_no_login_is_not_sent() -> None:
    """Text that is no login, an empty password, a foreign origin and a huge body."""
    page = login_page()
    assert sign_in(page, '<"x', "x").status_code == 422
    assert "&lt;&quot;x" in sign_in(page, '<"x', "x").text
    assert sign_in(page, "11010148", "").status_code == 422
    assert sign_in(page, "11010148", "x", Origin="https://elsewhere.example").status_code == 403
    assert sign_in(page, "11010148", "x" * 5_000).status_code == 413
    assert sign_in(page, "11010148", "x", Origin=PC).status_code == 200
    assert len(page.sign_ins()) == 1


def test_the_demo_s_pc_keeps_its_host() -> None:
    """返回登录 names the service's host, under which the PC would have the phone's cookies."""
    page = login_page()
    headers = {"Sec-Fetch-Site": "cross-site"}
    moved = visit(page, "/_login?login=11010148", headers=headers)
    assert (moved.status_code, moved.headers["Location"]) == (302, f"{PC}/_login?login=11010148")
    assert visit(page, headers=headers).headers["Location"] == f"{PC}/_login"
    assert visit(page, base_url=PC, headers=headers).status_code == 200
    assert visit(page, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


# The programs of the document.


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with running("--no-proof", environment=BARE) as address:
        yield address


def program(language: str) -> str:
    """Return the document's one program in a language."""
    [text] = re.findall(
        rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(text)


COMMANDS = {
    "python": ("verify.py", [sys.executable, "verify.py"]),
    "js": ("verify.mjs", ["node", "verify.mjs"]),
    "java": ("Verify.java", ["java", "Verify"]),
    "sh": ("verify.sh", ["sh", "verify.sh"]),
}
TOOLS = {"python": sys.executable, "js": "node", "java": "javac", "sh": "curl"}


@pytest.mark.parametrize("language", list(COMMANDS))
def test_the_document_s_programs_verify_passwords(site: str, tmp_path: Path, language: str) -> None:
    """Right, wrong, and default passwords, and another secret; characters are escaped."""
    if shutil.which(TOOLS[language]) is None:
        if os.environ.get("CI") == "true" and language in ("python", "js"):
            pytest.fail(f"{TOOLS[language]} is missing")
        pytest.skip(f"{TOOLS[language]} is missing")
    name, command = COMMANDS[language]
    (tmp_path / name).write_text(program(language), "utf-8")
    if language == "java":
        # `java Verify.java` would compile it for each of its runs.
        subprocess.run(["javac", name], cwd=tmp_path, timeout=TIMEOUT, check=True)

    def verify(login: str, password: str, secret: str = "testing") -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=BARE
            | {
                "VERIFY_URL": f"{site}/credentials/verify",
                "AWS_REGION": "cn-north-1",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": secret,
                "NO_PROXY": "127.0.0.1",
            },
            input=f"{login}\n{password}\n",
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        )
        printed = done.stderr + done.stdout if language == "sh" else done.stdout
        status, _, answer = printed.partition("\n" if language == "sh" else " ")
        return int(status), dict(json.loads(answer))

    status, answer = verify("32990002", "Demo-2026-yangli")
    assert (status, answer["valid"], answer["must_change"]) == (200, True, False)
    assert verify("32990002", "假的")[1]["valid"] is False
    status, answer = verify("33990003_cw", "05710007")
    assert (status, answer["valid"], answer["must_change"]) == (200, True, True)
    status, answer = verify("32990002", "Demo-2026-yangli", "other")
    assert (status, answer["code"]) == (403, "forbidden")
    if language != "sh":
        assert verify("11999999", 'x"\\\tx')[0] == 200


def test_the_served_page_signs_its_requests(site: str) -> None:
    """The local stack's page accepts a demo firm's opening password and no other."""
    form = {"login": "65990006", "password": "Demo-2026-huyang"}
    reply = requests.post(f"{site}/_login", data=form, timeout=TIMEOUT)
    assert "登录成功" in reply.text
    reply = requests.post(f"{site}/_login", data={**form, "password": "x"}, timeout=TIMEOUT)
    assert (reply.status_code, "登录账号或密码不正确" in reply.text) == (403, True)
