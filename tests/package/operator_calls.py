"""The operators through every command, with the policy that the stack has for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import boto3

from chalicelib.messaging import queue
from infra.ops import __main__ as commands
from tests.package import service_calls
from tests.package.service_calls import Stage, step

FILE = (
    "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,opening_password\n"
    "32990002,江苏样例会计师事务所有限公司,32,苏财会〔2010〕0017号,甄示例,4321,13800005678,,Opening-1\n"
)


def operate(stage: Stage) -> None:
    """Run every command of the operators but `restore`, which has a policy of its own."""
    with stage.acting("api") as world:
        step(world.send(world.token()), 202)
    stage.advance()
    with (
        stage.acting("operators"),
        TemporaryDirectory() as folder,
        # moto's queue is one server: a long poll would only wait for letters that never come.
        patch.object(queue, "WAIT_SECONDS", 0),
    ):
        file = Path(folder, "firms.csv")
        for text in (FILE, FILE.replace("江苏样例", "江苏示例")):
            file.write_text(text, "utf-8")
            run_command("import", str(file), "--reason", "名录")
        for arguments in OPERATIONS:
            run_command(*arguments)
        with stage.account.tester():
            dead = stage.resources["ResetDeadLetters"]
            for body in ({"year": 2028, "chunk": "chunk#00000000"}, {"year": 2000}):
                boto3.client("sqs").send_message(QueueUrl=dead, MessageBody=json.dumps(body))
        run_command("yearly-reset", "--year", "2028", "--redrive", "--yes", "--reason", "补做")
        stage.advance(3_600)
        run_command("yearly-reset", "--status", "2028")


OPERATIONS = (
    ("search-index", "--reason", "更新"),
    ("account", "11010148"),
    ("account", "31000001_cw"),
    ("find", "示例"),
    ("find", "13800001234"),
    ("unlock", "11010148", "--reason", "来电"),
    ("unbind", "31000001_cw", "--reason", "来电"),
    ("phone", "11010148", "13900002222", "--reason", "来函"),
    ("freeze", "11010148", "--reason", "来电"),
    ("unfreeze", "11010148", "--reason", "来电"),
    ("audit", "11010148"),
    ("audit", "--by", "person"),
    ("export", "11010148"),
    ("close", "32990002", "--reason", "注销"),
    ("close", "32990002", "--undo", "--reason", "误办"),
    ("wechat-menu", "--reason", "更新"),
    ("yearly-reset", "--year", "2028", "--yes", "--reason", "补做"),
    ("yearly-reset", "--status", "2028"),
)


def run_command(*arguments: str) -> None:
    """Run a command, which must succeed."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(out):
        status = commands.main([*arguments, "--json"])
    assert status == 0, (arguments, out.getvalue())


FLOWS: dict[str, Callable[[Stage], None]] = {**service_calls.FLOWS, "operators": operate}
"""What each function does, and what the operators do."""
