"""`make package`: the SAM package with `resources.yaml` merged in, into `build/`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "infra" / "resources.yaml"

# Chalice only warns of it, and deploys a function that cannot be imported.
_MISSING_WHEEL = "Could not install dependencies"


def build(target: Path) -> None:
    """Run `chalice package`. Raises SystemExit where it fails or a dependency has no wheel."""
    command = [
        sys.executable,
        "-c",
        "from chalice.cli import main; main()",
        "package",
        "--stage",
        "prod",
        "--template-format",
        "yaml",
        "--merge-template",
        str(TEMPLATE),
        str(target),
    ]
    # The template's shape depends on the partition: aws-cn has other service principals.
    environment = {"AWS_DEFAULT_REGION": "cn-north-1", **os.environ}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    printed = result.stdout + result.stderr
    print(printed, end="")
    if result.returncode or _MISSING_WHEEL in printed:
        raise SystemExit("the package was not built")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument("--target", type=Path, default=ROOT / "build")
    build(parser.parse_args().target)


if __name__ == "__main__":
    main()
