"""The zip for Lambda: byte-compiled, with botocore's descriptions of the used services alone.

Lambda's own folder cannot be written, so Python would compile every module anew at every cold start:
half of its time. Of botocore's descriptions of four hundred services four are used, and of those
nothing but what a client is made from: their prose is two thirds of what it would parse.
"""

from __future__ import annotations

import compileall
import gzip
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

SERVICES = frozenset({"dynamodb", "secretsmanager", "sns", "sqs"})
"""Those for which the functions may make a client."""

DESCRIPTIONS = frozenset(
    {"service-2.json", "service-2.sdk-extras.json", "endpoint-rule-set-1.json"}
)
"""What botocore makes a client from; examples, paginators and waiters are not used."""

# Where Lambda unpacks the zip; tracebacks name it.
_TASK_ROOT = "/var/task"

# The earliest time that a zip can hold: the same content gives the same file.
_TIME = (1980, 1, 1, 0, 0, 0)


def finish(package: Path) -> None:
    """Put the finished content in the place of the package's own. Raises SystemExit where a module
    cannot be compiled."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
        _trim(folder)
        _compile(folder)
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
    """Remove a description that no client is made from, or its prose."""
    name, packed = path.name.removesuffix(".gz"), path.suffix == ".gz"
    if name not in DESCRIPTIONS:
        path.unlink()
        return
    content = path.read_bytes()
    described = json.loads(gzip.decompress(content) if packed else content)
    text = json.dumps(without_prose(described), separators=(",", ":"), ensure_ascii=False)
    # Not compressed again: the zip is, and a cold start has less to do.
    path.unlink()
    path.with_name(name).write_text(text, "utf-8")


def without_prose(described: Any) -> Any:
    """Return a description without the documentation of its service, operations and shapes.

    A member of a structure may be called `documentation` too: it is described by an object, and
    prose is always a string.
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


def _compile(folder: Path) -> None:
    # By hash and unchecked: Lambda unpacks with other times, and nothing there ever changes.
    compiled = compileall.compile_dir(
        folder,
        stripdir=str(folder),
        prependdir=_TASK_ROOT,
        quiet=1,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        workers=0,
    )
    if not compiled:
        raise SystemExit("a module of the package cannot be compiled")


def _pack(folder: Path, package: Path) -> None:
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(str(path.relative_to(folder)), _TIME)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
