"""What the browser tests need besides Python packages, fetched once, under a lock."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"

AXE = ("axe-core", "4.14.1")
AXE_DIGEST = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
"""SHA-256 of the package's axe.min.js: a check that runs in our pages is the one that was read."""

WEUI = ("weui", "2.6.26")
WEUI_DIGEST = "f88a8f1d22ceb94e802bf423bd477a4a0cfad4cf9d70a77eedbc3cb17511b435"
"""SHA-256 of the package, whose demo pages stand beside ours in the documents' pictures."""

_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_SHELL = "chromium-headless-shell"


class CannotHave(Exception):
    """Something is missing and cannot be fetched; the text names it."""


@contextmanager
def exclusively() -> Iterator[None]:
    """Hold the lock under which files are fetched into the cache."""
    # Every worker of a parallel run comes here; one fetches, the others find it done.
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "browser.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _found(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


def _has_chinese_type() -> bool:
    if shutil.which("fc-list") is None:
        return False
    listed = subprocess.run(["fc-list", ":lang=zh-cn"], capture_output=True, check=False)
    return bool(listed.stdout.strip())


def _install(packages: list[str]) -> None:
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise CannotHave(f"the browser tests need {wanted}, and only root with apt installs them")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, check=False
        )
        if done.returncode:
            raise CannotHave(f"apt-get {command[0]} failed: {done.stderr.decode()[-200:]}")


def browser() -> str:
    """Return the path of a Chromium, with Chinese fonts installed. Raises CannotHave."""
    return _installed(_BROWSERS, "chromium")


def headless_shell() -> str:
    """Return the path of Chromium's headless shell, with Chinese fonts installed. Raises CannotHave.

    It shows pages by the same engine without the browser around it: a new visit costs an eighth of the
    processor's time. Where it cannot be installed, any Chromium serves.
    """
    try:
        return _installed((_SHELL,), _SHELL)
    except CannotHave:
        return browser()


def _installed(names: tuple[str, ...], package: str) -> str:
    with exclusively():
        missing = [] if _found(names) else [package]
        # Other systems than Debian bring their own Chinese type.
        if shutil.which("apt-get") and not _has_chinese_type():
            missing += ["fontconfig", "fonts-noto-cjk"]
        if missing:
            _install(missing)
    found = _found(names)
    if found is None:
        raise CannotHave(f"there is no {package} after its installation")
    return found


def axe() -> str:
    """Return the source of axe-core. Raises CannotHave."""
    return _checked(AXE, AXE_DIGEST, ".js", "package/axe.min.js").decode()


def weui() -> bytes:
    """Return the archive of WeUI's package. Raises CannotHave."""
    return _checked(WEUI, WEUI_DIGEST, ".tgz", None)


def _checked(package: tuple[str, str], digest: str, suffix: str, member: str | None) -> bytes:
    """Return a file of an npm package, or its whole archive where `member` is None."""
    name, version = package
    kept = CACHE / f"{name}-{version}{suffix}"
    with exclusively():
        if not kept.exists():
            _fetch(f"{name}@{version}", member, kept)
    content = kept.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise CannotHave(f"{kept} is not the {name} {version} that is expected")
    return content


def _fetch(package: str, member: str | None, kept: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotHave(f"{package} comes from npm, and npm is not here")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        done = subprocess.run(
            [npm, "pack", "--silent", package],
            cwd=folder,
            capture_output=True,
            timeout=240,
            check=False,
        )
        if done.returncode:
            raise CannotHave(f"npm pack {package} failed: {done.stderr.decode()[-200:]}")
        packed = next(Path(folder).glob("*.tgz"))
        if member is not None:
            with tarfile.open(packed) as archive:
                archive.extract(member, folder, filter="data")
        # Renamed whole, so that a run that is killed leaves nothing half there.
        (packed if member is None else Path(folder) / member).rename(kept)
