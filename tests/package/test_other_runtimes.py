"""The package for another Python and architecture: its wheels, its byte code and its template."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from infra.deploy import package

OTHERS = [("3.12", "x86_64"), ("3.13", "arm64")]
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


def interpreter(version: str) -> str:
    """Return a Python of a version, or skip the test."""
    path = shutil.which(f"python{version}")
    if path is None or package._version(path) != version:
        # Debian has one Python. The example pipeline in .github/workflows installs the others.
        pytest.skip(f"there is no Python {version}")
    return path


@pytest.mark.parametrize(("version", "architecture"), OTHERS)
def test_the_package_is_for_that_runtime_alone(
    tmp_path: Path, version: str, architecture: str
) -> None:
    """Every library of its ABI and machine, or of the stable ABI; every module compiled for it."""
    runtime = package.Runtime(version, architecture, interpreter(version))
    package.build(tmp_path, "aws-cn", runtime)
    tag = version.replace(".", "")
    with zipfile.ZipFile(tmp_path / "deployment.zip") as archive:
        names = archive.namelist()
        libraries = [name for name in names if name.endswith(".so")]
        machines = {archive.read(name)[18:20] for name in libraries}
    assert len(libraries) >= 4
    for name in libraries:
        tagged = re.search(r"cpython-(\d+)-(\w+)-linux", name)
        if tagged:
            assert (tagged[1], tagged[2]) == (tag, MACHINES[architecture])
    # The machine in the header of an ELF file: 62 is x86-64, 183 is AArch64.
    assert machines == {bytes([62 if architecture == "x86_64" else 183, 0])}
    compiled = [name for name in names if name.endswith(".pyc")]
    assert len(compiled) > 100
    assert all(f".cpython-{tag}.pyc" in name for name in compiled)
    template = yaml.safe_load((tmp_path / "sam.yaml").read_text("utf-8"))
    functions = [
        body["Properties"]
        for body in template["Resources"].values()
        if body["Type"] == "AWS::Serverless::Function"
    ]
    assert {body["Runtime"] for body in functions} == {f"python{version}"}
    assert {tuple(body["Architectures"]) for body in functions} == {(architecture,)}


def test_a_missing_interpreter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte code of another Python would be compiled again at each cold start."""
    monkeypatch.setattr(package, "_version", lambda _: "2.7")
    with pytest.raises(SystemExit, match="there is no python3"):
        package._interpreter("3.13")
    monkeypatch.setattr(package, "_version", lambda _: "3.13")
    assert package._interpreter("3.13") == sys.executable
