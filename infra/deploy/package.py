"""`make package`: the SAM package into `build/`, with what Chalice does not know merged in."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import click
import yaml

from chalicelib.handlers.openapi import document, route
from chalicelib.version import VERSION
from infra.deploy import archive, monitoring
from infra.deploy.tables import load_template

ROOT = Path(__file__).parents[2]
TEMPLATES = tuple(Path(__file__).with_name(name) for name in ("resources.yaml", "edge.yaml"))

# Chalice only warns of it, and deploys a function that cannot be imported.
_MISSING_WHEEL = "Could not install dependencies"

REGIONS = {"aws-cn": "cn-north-1", "aws": "ap-southeast-1"}
"""A region of each partition: the template's shape depends on the partition alone."""


def build(target: Path, partition: str = "aws-cn") -> None:
    """Run `chalice package`. Raises SystemExit where it fails or a dependency has no wheel."""
    target.mkdir(parents=True, exist_ok=True)
    merged = target / "merge.yaml"
    merged.write_text(yaml.safe_dump(additions(), allow_unicode=True), "utf-8")
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
        str(merged),
        str(target),
    ]
    environment = {**os.environ, "AWS_DEFAULT_REGION": REGIONS[partition]}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    printed = result.stdout + result.stderr
    print(printed, end="")
    if result.returncode or _MISSING_WHEEL in printed:
        raise SystemExit("the package was not built")
    merged.unlink()
    with zipfile.ZipFile(target / "deployment.zip", "a") as package:
        package.writestr(route.PACKAGED.relative_to(ROOT).as_posix(), document.text())
    archive.finish(target / "deployment.zip")
    path = target / "sam.yaml"
    template = finish(yaml.safe_load(path.read_text("utf-8")))
    path.write_text(yaml.safe_dump(template, allow_unicode=True, width=100), "utf-8")


def additions() -> dict[str, Any]:
    """What is merged into Chalice's template: the declared resources, and what watches them."""
    made: dict[str, Any] = {"Resources": monitoring.resources()}
    for path in TEMPLATES:
        for section, content in load_template(path).items():
            made.setdefault(section, {}).update(content)
    return made


def finish(template: dict[str, Any]) -> dict[str, Any]:
    """What Chalice cannot say: policies and the queue follow the stack's own names."""
    template["Description"] = f"Login recovery {VERSION}"
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role" and _is_a_functions(resource):
            for policy in resource["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    statement["Resource"] = _substituted(statement["Resource"])
            resource["Properties"]["ManagedPolicyArns"] = [_IN_NETWORK]
        elif resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["VpcConfig"] = _NETWORK
    events = template["Resources"]["ResetAccounts"]["Properties"]["Events"]
    source = events["ResetAccountsSqsEventSource"]["Properties"]
    # Chalice knows the queue by a fixed name only, which another TablePrefix does not have.
    source["Queue"] = {"Fn::GetAtt": ["ResetQueue", "Arn"]}
    return template


# Only where the stack has a network of its own, and a fixed address with it.
_NETWORK = {
    "Fn::If": [
        "WithFixedAddress",
        {
            "SubnetIds": [{"Ref": "PrivateSubnetA"}, {"Ref": "PrivateSubnetB"}],
            "SecurityGroupIds": [{"Ref": "Outgoing"}],
        },
        {"Ref": "AWS::NoValue"},
    ]
}
_ACCESS = "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
_IN_NETWORK = {"Fn::If": ["WithFixedAddress", {"Fn::Sub": _ACCESS}, {"Ref": "AWS::NoValue"}]}


def _is_a_functions(role: dict[str, Any]) -> bool:
    statement = role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    return bool(statement["Principal"].get("Service") == "lambda.amazonaws.com")


def _substituted(value: Any) -> Any:
    if isinstance(value, list):
        return [_substituted(item) for item in value]
    if isinstance(value, str) and "${" in value:
        return {"Fn::Sub": value}
    return value


@click.command(help="Build the SAM package.")
@click.option(
    "--target",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "build",
    help="Folder for the package.  [default: build]",
)
@click.option(
    "--partition",
    type=click.Choice(sorted(REGIONS)),
    default="aws-cn",
    show_default=True,
    help="AWS China, or global AWS.",
)
def main(target: Path, partition: str) -> None:
    """Build the package that the command line describes."""
    build(target, partition)


if __name__ == "__main__":
    main(prog_name="python -m infra.deploy.package")
