"""The zip that Lambda gets: byte-compiled, and without what botocore knows of services not used here.

Lambda's own folder cannot be written, so Python would compile every module at every cold start anew:
half of its time. Of botocore's descriptions of four hundred services, four are asked for.
"""

from __future__ import annotations

import compileall
import shutil
import tempfile
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode

SERVICES = frozenset({"dynamodb", "secretsmanager", "sns", "sqs"})
"""Those for which the functions may make a client."""

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
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)


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
