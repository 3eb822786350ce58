"""The zip for Lambda: byte-compiled, with the descriptions of the used AWS services only.

Lambda's folder is read-only, so Python would compile every module again at each cold start, half of
its time. botocore describes four hundred services, of which four are used; the documentation in a
description is two thirds of what a client parses.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

SERVICES = frozenset({"dynamodb", "secretsmanager", "sns", "sqs"})
"""Services for which the functions create a client."""

DESCRIPTIONS = frozenset(
    {"service-2.json", "service-2.sdk-extras.json", "endpoint-rule-set-1.json"}
)
"""Files that botocore reads for a client; examples, paginators and waiters are not used."""

# Lambda's folder of the unpacked zip, for the paths in tracebacks.
_TASK_ROOT = "/var/task"

# The earliest time in the format; a fixed one makes the zip reproducible.
_TIME = (1980, 1, 1, 0, 0, 0)


def finish(package: Path, interpreter: str = sys.executable) -> None:
    """Trim and compile the content of the zip; `interpreter` is a Python of the functions' version.

    Raises SystemExit where a module does not compile.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
        _trim(folder)
        _compile(folder, interpreter)
        _pack(folder, package)


def _trim(folder: Path) -> None:
    for service in (folder / "botocore" / "data").iterdir():
        if not service.is_dir():
            continue
        if service.name not in SERVICES:
            shutil.rmtree(service)
            continue
        for path in service.rglob("*"):
            if path.is_file():
                _trim_description(path)


def _trim_description(path: Path) -> None:
    """Remove an unused description, or the documentation in a used one."""
    name, packed = path.name.removesuffix(".gz"), path.suffix == ".gz"
    if name not in DESCRIPTIONS:
        path.unlink()
        return
    content = path.read_bytes()
    described = json.loads(gzip.decompress(content) if packed else content)
    text = json.dumps(without_prose(described), separators=(",", ":"), ensure_ascii=False)
    # Uncompressed, which a cold start reads faster; the zip is compressed anyway.
    path.unlink()
    path.with_name(name).write_text(text, "utf-8")


def without_prose(described: Any) -> Any:
    """Return a description without the documentation of its service, operations and shapes.

    Documentation is always a string. A structure's member named `documentation` is an object and
    stays.
    """
    if isinstance(described, dict):
        return {
            name: without_prose(value)
            for name, value in described.items()
            if not (name == "documentation" and isinstance(value, str))
        }
    if isinstance(described, list):
        return [without_prose(value) for value in described]
    return described


def _compile(folder: Path, interpreter: str) -> None:
    # Byte code that is there already is of the checkout's Python, with the checkout's times.
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    # Unchecked hashes: Lambda unpacks with other times, and the files never change.
    command = [interpreter, "-m", "compileall", "-q", "-j", "0"]
    options = ["-s", str(folder), "-p", _TASK_ROOT, "--invalidation-mode", "unchecked-hash"]
    compiled = subprocess.run([*command, *options, str(folder)], check=False)
    if compiled.returncode:
        raise SystemExit("a module of the package cannot be compiled")


def _pack(folder: Path, package: Path) -> None:
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(str(path.relative_to(folder)), _TIME)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
