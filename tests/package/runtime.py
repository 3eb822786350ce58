"""Lambda's runtime API on this machine, and the real runtime client over an unpacked package.

The API is that of AWS's "Using the Lambda runtime API" (version 2018-06-01). The client is AWS's own,
`awslambdaric`, in a virtual environment that holds nothing else but the zip.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
import time
import venv
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

_PREFIX = "/2018-06-01/runtime/"

# What AWS's own base images bring beside the function.
_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


class Failed(AssertionError):
    """The function, or its start, ended with an error."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore that a stopped function breaks its pending request."""


class RuntimeApi:
    """Pass events to one function and receive its responses."""

    def __init__(self) -> None:
        self._events: queue.Queue[Any] = queue.Queue()
        self._answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._initialised = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: the second would wait for the first one's receipt.
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                api._initialised.set()
                number, event = api._events.get()
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", f"request-{number}")
                self.send_header(
                    "Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000)
                )
                self.send_header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws-cn:lambda:cn-north-1:123456789012:function:recovery",
                )
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                api._answers.put((self.path.removeprefix(_PREFIX), body))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._count = 0
        self.pid = 0
        """The function's process."""

    def invoke(self, event: Any, timeout: float = 60) -> Any:
        """Return the function's response to an event. Raises Failed."""
        self._count += 1
        self._events.put((self._count, event))
        path, body = self._answers.get(timeout=timeout)
        if not path.endswith("/response"):
            raise Failed(body.decode())
        return json.loads(body)

    def await_initialised(self, timeout: float = 60) -> None:
        """Return once the function has requested its first event: its module is imported.

        Raises Failed after `timeout` seconds.
        """
        if not self._initialised.wait(timeout):
            raise Failed("the function was not initialised in time")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def api_event(
    method: str, path: str, body: Any = None, *, source: str = "203.0.113.7", **headers: str
) -> dict[str, Any]:
    """Return an event of API Gateway's REST proxy integration, with a browser's headers.

    On the route with IAM authorization it names a caller, as it does behind API Gateway.
    """
    signer = "arn:aws-cn:sts::123456789012:assumed-role/login-page/server"
    given = {
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate, br",
        "Accept-Language": "zh-CN,zh;q=0.9",
        "Content-Type": "application/json",
        "Host": "recovery.example",
        "Origin": "https://recovery.example",
        "User-Agent": "Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0.49",
        "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
        "X-Forwarded-For": source,
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": path,
            "httpMethod": method,
            "path": f"/prod{path}",
            "stage": "prod",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {
                "sourceIp": source,
                "userAgent": given["User-Agent"],
                "userArn": signer if path == "/credentials/verify" else None,
            },
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def unpack(package: Path, folder: Path) -> Path:
    """Return the Python of a clean environment beside the unpacked zip and the runtime client."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder / "task")
    for name in _CLIENT:
        for file in distribution(name).files or ():
            if file.suffix != ".pyc" and not str(file).startswith(".."):
                target = folder / "runtime" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    venv.create(folder / "venv", with_pip=False)
    return folder / "venv" / "bin" / "python"


@contextmanager
def running(
    folder: Path,
    handler: str,
    environment: Mapping[str, str],
    cores: Collection[int] | None = None,
) -> Iterator[RuntimeApi]:
    """A function of an unpacked package, ready for events until the block ends.

    It has these cores alone, if given.
    """
    api = RuntimeApi()
    process = subprocess.Popen(
        [str(folder / "venv" / "bin" / "python"), "-m", "awslambdaric", handler],
        cwd=folder / "task",
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{folder / 'task'}:{folder / 'runtime'}",
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "LAMBDA_TASK_ROOT": str(folder / "task"),
            "AWS_LAMBDA_FUNCTION_NAME": "recovery",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            **environment,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    api.pid = process.pid
    if cores is not None:
        os.sched_setaffinity(process.pid, cores)
    try:
        yield api
    finally:
        process.kill()
        process.wait(20)
        api.close()
