"""`python -m infra.local` as a process: its output, its addresses and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from boto3.session import Session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from click.testing import CliRunner

from infra.local import command
from infra.local.aws import LocalAws
from infra.local.sms import SimulatedSms
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PHONE = "13800001234"
PASSWORD = "Neues-Kennwort-9"
TIMEOUT = 300
"""Seconds; a start needs two alone, and twenty on a busy machine."""

# What this machine has set must not decide over a test.
BARE = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AWS_", "SMS_", "WECHAT_", "LIMIT_", "SITE_", "SIGNING_", "CODE_"))
}


@dataclass
class Running:
    """A local stack that is ready."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def said(self, word: str) -> str:
        """Return the rest of the one line that begins with a word."""
        [line] = [line for line in self.lines if line.startswith(f"{word} ")]
        return line.removeprefix(f"{word} ").strip()

    @property
    def url(self) -> str:
        return self.said("ready")

    def state(self) -> dict[str, Any]:
        return dict(requests.get(self.url + "/_phone/state", timeout=TIMEOUT).json())

    def phone(self, number: str = PHONE) -> dict[str, Any]:
        return next(dict(one) for one in self.state()["phones"] if one["number"] == number)

    def act(self, **body: Any) -> dict[str, Any]:
        answer = requests.post(self.url + "/_phone/act", json=body, timeout=TIMEOUT)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def call(
        self, path: str, body: Any = None, token: str = "", session: Any = requests
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        method = "GET" if body is None else "POST"
        return session.request(  # type: ignore[no-any-return]
            method, self.url + path, json=body, headers=headers, timeout=TIMEOUT
        )

    def start(
        self, login: str = "11010148", session: Any = requests, **more: str
    ) -> dict[str, Any]:
        body = {"user_type": "firm", "login": login, **more}
        answer = self.call("/recovery", body, session=session)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(TIMEOUT)
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout.read().splitlines())
        return status


def spawn(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=ROOT,
        env={**BARE, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[Running]:
    process = spawn("--port", "0", *arguments, **environment)
    local_stack = Running(process)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            local_stack.lines.append(line.rstrip("\n"))
            if line.startswith("  click here "):
                break
        else:
            pytest.fail("the local stack did not start:\n" + "\n".join(local_stack.lines))
        yield local_stack
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def local_stack() -> Iterator[Running]:
    with running(
        "--no-proof", AWS_ACCESS_KEY_ID="AKIDLOCAL", AWS_SECRET_ACCESS_KEY="aa"
    ) as local_stack:
        yield local_stack


def test_the_recovery_by_sms_binds_the_wechat_and_the_next_one_uses_it(
    local_stack: Running,
) -> None:
    """From the QR code on the PC to the code in the Official Account, through every simulator."""
    with requests.Session() as browser:
        on_pc = local_stack.start()
        assert on_pc["method"] == "follow"
        [code] = local_stack.state()["codes"]
        assert local_stack.act(act="scan", code=code["url"])["following"] is False
        greeting = local_stack.act(act="follow", scene=code["scene"])["reply"]
        assert "11010148" in greeting

        link = greeting.partition('href="')[2].partition('"')[0]
        arrived = browser.get(link, timeout=TIMEOUT)
        assert arrived.status_code == 200
        page = f"{local_stack.url}/?login=11010148&scene={code['scene']}"
        assert arrived.url.partition("#")[0] == page
        opened = local_stack.start(session=browser, scene=code["scene"])
        assert opened["method"] == "sms"
        sent = local_stack.call("/recovery/code", {}, opened["token"])
        assert (sent.status_code, sent.json()["delivery"]) == (202, "sent")
        digits = local_stack.phone()["sms"][-1]["params"]["code"]
        done = local_stack.call(
            "/recovery/password", {"code": digits, "password": PASSWORD}, opened["token"]
        )
        assert (done.status_code, done.json()["wechat_bound"]) == (200, True)
        assert local_stack.call("/recovery", token=on_pc["token"]).json()["state"] == "done"

    cards = [entry for entry in local_stack.phone()["chat"] if entry["kind"] == "card"]
    assert ["登录账号", "11010148"] in cards[-1]["fields"]
    by_wechat = local_stack.start()
    assert by_wechat["method"] == "wechat"
    assert local_stack.call("/recovery/code", {}, by_wechat["token"]).json()["delivery"] == "sent"
    card = [entry for entry in local_stack.phone()["chat"] if entry["kind"] == "card"][-1]
    digits = dict(card["fields"])["验证码"]
    assert digits in local_stack.act(act="say", text="验证码")["reply"]
    local_stack.act(act="tap", item="获取验证码")
    assert digits in local_stack.phone()["chat"][-1]["text"]
    assert local_stack.act(act="tap", item="找回密码")["open"] == f"{local_stack.url}/wechat/enter"
    confirm = {"code": digits, "password": PASSWORD + "x"}
    assert local_stack.call("/recovery/password", confirm, by_wechat["token"]).status_code == 200


def test_the_output_names_every_address(local_stack: Running) -> None:
    """One line each for the service and AWS, and the pages to open."""
    assert requests.get(local_stack.url + "/health", timeout=TIMEOUT).json()["status"] == "ok"
    text = "\n".join(local_stack.lines)
    assert f"{local_stack.url}/_phone" in local_stack.lines[-1]
    assert f"{local_stack.url}/_login" in text
    assert "aa" not in [word for line in local_stack.lines for word in line.split()]
    page = requests.get(local_stack.url + "/_phone", timeout=TIMEOUT)
    assert "手机" in page.text


def test_its_aws_can_be_used_from_outside(local_stack: Running) -> None:
    """It has the tables with the demo firms, and the settings for operators' commands."""
    session = boto3.Session("AKIDLOCAL", "aa", region_name="cn-north-1")
    dynamodb = session.client("dynamodb", endpoint_url=local_stack.said("aws"))
    assert "recovery-logins" in dynamodb.list_tables()["TableNames"]
    key = {"login": {"S": "4499000501_cw"}}
    assert "Item" in dynamodb.get_item(TableName="recovery-logins", Key=key)
    assert session.client("sts", endpoint_url=local_stack.said("aws")).get_caller_identity()[
        "Account"
    ]


def test_the_credential_check_requires_a_signature(local_stack: Running) -> None:
    """Without one, or with one for other credentials or another body, it is refused."""
    url = local_stack.url + "/credentials/verify"

    def ask(password: str, secret: str = "aa", instead_of: str = "") -> requests.Response:
        body = json.dumps({"login": "32990002", "password": password}).encode()
        signed = body.replace(password.encode(), (instead_of or password).encode())
        request: Any = AWSRequest(
            method="POST", url=url, data=signed, headers={"Content-Type": "application/json"}
        )
        if secret:
            credentials = Credentials("AKIDLOCAL", secret)
            SigV4Auth(credentials, "execute-api", "cn-north-1").add_auth(request)
        return requests.post(url, data=body, headers=dict(request.headers), timeout=TIMEOUT)

    right = "Demo-2026-yangli"
    for refused in (ask(right, ""), ask(right, "bb"), ask(right, instead_of="x")):
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert "valid" not in refused.json()
    assert ask("x").json() == {"valid": False, "must_change": False, "changed_at": 0}
    told = ask(right)
    assert (told.status_code, told.json()["valid"], told.json()["must_change"]) == (
        200,
        True,
        False,
    )
    assert told.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_frees_its_ports(number: signal.Signals) -> None:
    """Exit status 0, and both ports can be bound again."""
    with running() as local_stack:
        ports = [int(local_stack.said(word).rpartition(":")[2]) for word in ("ready", "aws")]
        with socket.create_connection(("127.0.0.1", ports[0])):
            assert local_stack.end(number) == 0
        for port in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        assert not [line for line in local_stack.lines if "Traceback" in line]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux's /proc")
def test_a_signal_during_the_start_ends_it() -> None:
    """It ends with status 0 before it is ready."""
    process = spawn("--port", "0")
    # SigCgt of /proc shows when the interpreter has installed its signal handlers.
    status = Path(f"/proc/{process.pid}/status")
    wait_until(lambda: _listens(status.read_text(), signal.SIGTERM))
    process.terminate()
    out, _ = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in out
    assert "ready" not in out
    assert process.returncode == 0


def _listens(status: str, number: int) -> bool:
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def refused(*arguments: str, **environment: str) -> str:
    """Return the one line with which an impossible start ends."""
    process = spawn(*arguments, **environment)
    out, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 2, out
    assert "Traceback" not in out
    [line] = [line for line in out.splitlines() if line.lower().startswith("error: ")]
    return line


def test_an_impossible_start_ends_with_one_line(tmp_path: Path) -> None:
    """A used port, an unreadable directory, bad settings and a silent DynamoDB: status 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port}" in refused("--port", port)
    assert "nothing.csv" in refused("--port", "0", "--firms", str(tmp_path / "nothing.csv"))
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n", "utf-8")
    assert "wrong.csv" in refused("--port", "0", "--firms", str(wrong))
    line = refused("--port", "0", WECHAT_AES_KEY="short", PASSWORD_PROFILE="lax")
    assert "WECHAT_AES_KEY" in line
    assert "PASSWORD_PROFILE" in line
    assert "short" not in line
    assert "dynamodb" in refused("--port", "0", "--dynamodb", "http://127.0.0.1:9")
    assert "--nonsense" in refused("--nonsense")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "99999"),
        ("--sms-url", "elsewhere"),
        ("--sms-url", "http://[x/"),
        ("--sms-url", "http://a:b/"),
        ("--sms-url", "http://a/?b=c"),
    ],
)
def test_a_wrong_value_names_its_option(option: str, value: str) -> None:
    """Before anything is started."""
    ran = CliRunner().invoke(command.local, [option, value])
    assert (ran.exit_code, f"Invalid value for '{option}'" in ran.output) == (2, True)


def test_outside_platforms_and_settings_replace_the_simulators(tmp_path: Path) -> None:
    """DynamoDB, the SMS endpoint, WeChat, the directory and a setting."""
    firms = tmp_path / "firms.csv"
    firms.write_text(
        "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,opening_password\n"
        "31990099,示例,31,沪财会〔2020〕1号,甄示例,123x,13800009999,,Demo-2026-x\n"
        "bad,示例,31,沪财会〔2020〕1号,甄示例,123x,,,\n",
        "gb18030",
    )
    dynamodb = LocalAws()
    dynamodb.start()
    try:
        with (
            SimulatedSms("outside-secret") as sms,
            running(
                "--no-proof",
                *("--firms", str(firms)),
                *("--dynamodb", dynamodb.url),
                *("--sms-url", sms.url + "/send"),
                *("--wechat-url", "http://127.0.0.1:9"),
                SMS_HTTP_SECRET="outside-secret",
                TABLE_PREFIX="elsewhere",
                WECHAT_APP_ID="wxoutside000001",
                SECRETS_ID="elsewhere/settings",
                OIDC_ISSUER="",
            ) as local_stack,
        ):
            assert any("row 3" in line for line in local_stack.lines)
            assert not any("support desk" in line for line in local_stack.lines)
            client = Session("testing", "testing", region_name="cn-north-1").client
            tables = client("dynamodb", endpoint_url=dynamodb.url)
            assert "elsewhere-logins" in tables.list_tables()["TableNames"]
            own = local_stack.said("aws")
            secrets = client("secretsmanager", endpoint_url=own)
            secret = secrets.get_secret_value(SecretId="elsewhere/settings")["SecretString"]
            assert json.loads(secret)["WECHAT_APP_ID"] == "wxoutside000001"
            shown = local_stack.state()
            assert (shown["sms"], shown["wechat"]) == (False, False)
            assert [firm["firm_no"] for firm in shown["firms"]] == ["31990099", "bad"]
            enter = requests.get(
                local_stack.url + "/wechat/enter", allow_redirects=False, timeout=TIMEOUT
            )
            location = enter.headers["Location"]
            assert location.startswith("http://127.0.0.1:9/connect/oauth2/authorize?")
            assert "wxoutside000001" in location
            # WeChat is not there, so the QR code leads straight to the page.
            assert local_stack.start("31990099")["method"] == "follow"
            assert local_stack.end() == 0
    finally:
        dynamodb.close()
