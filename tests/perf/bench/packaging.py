"""The unpacked package, and variants of it that each lack one of the packaging's measures.

A variant shares the runtime client and the Python of the package as built, so that nothing but its
content differs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import botocore

from tests.package import built, runtime

CACHE = built.ROOT / ".cache" / "bench"

AS_BUILT = "as built"


def _with_prose(task: Path) -> None:
    """Put the used services' descriptions back as botocore ships them."""
    for service in _services(task):
        shutil.rmtree(service)
        shutil.copytree(_shipped(task) / service.name, service)


def _with_all_services(task: Path) -> None:
    """Add the descriptions of all other services; those there stay as built."""
    target = task / "botocore" / "data"
    for source in _shipped(task).iterdir():
        if source.is_dir() and not (target / source.name).exists():
            shutil.copytree(source, target / source.name)


def _without_byte_code(task: Path) -> None:
    for cache in list(task.rglob("__pycache__")):
        shutil.rmtree(cache)


VARIANTS: dict[str, Callable[[Path], None]] = {
    AS_BUILT: lambda _: None,
    "with botocore's prose": _with_prose,
    "with all of botocore's services": _with_all_services,
    "without byte code": _without_byte_code,
}
"""What changes the content of each, by name."""


def _services(task: Path) -> list[Path]:
    return [path for path in (task / "botocore" / "data").iterdir() if path.is_dir()]


def _shipped(task: Path) -> Path:
    """Return botocore's own descriptions, of the very version that the package holds."""
    installed = version("botocore")
    if not (task / f"botocore-{installed}.dist-info").exists():
        raise AssertionError(f"the package does not hold botocore {installed}")
    return Path(botocore.__file__).parent / "data"


def unpacked(variant: str = AS_BUILT) -> Path:
    """Return the folder of a variant of today's package, unpacked once: `task`, `runtime`, `venv`."""
    package = built.folder() / "deployment.zip"
    digest = hashlib.sha256(package.read_bytes()).hexdigest()[:16]
    folder = CACHE / f"lambda-{variant.replace(' ', '-')}-{digest}"
    if folder.exists():
        return folder
    for old in CACHE.glob(f"lambda-{variant.replace(' ', '-')}-{'?' * 16}"):
        shutil.rmtree(old)
    CACHE.mkdir(parents=True, exist_ok=True)
    # Made aside and renamed: a half-made folder of an interrupted run is never used.
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        staging = Path(place) / "lambda"
        if variant == AS_BUILT:
            runtime.unpack(package, staging)
            _compile_runtime(staging)
        else:
            base = unpacked()
            shutil.copytree(base / "task", staging / "task")
            for shared in ("runtime", "venv"):
                (staging / shared).symlink_to(base / shared)
            VARIANTS[variant](staging / "task")
        staging.rename(folder)
    return folder


def _compile_runtime(folder: Path) -> None:
    # The runtime client is AWS's, and lies ready in Lambda with its byte code.
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-j", "0", "runtime"],
        cwd=folder,
        check=True,
        timeout=300,
    )


def zip_mb(folder: Path) -> float:
    """Return the size that a variant's zip has, in MB of 10^6 bytes."""
    task = folder / "task"
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(task.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(task))
        return round(file.tell() / 1e6, 2)


def missing_libraries(folder: Path) -> list[str]:
    """Return where `requests` is found if the package does not hold it: last on the path."""
    if (folder / "task" / "requests").exists():
        return []
    import requests

    return [str(Path(requests.__file__).parent.parent)]
