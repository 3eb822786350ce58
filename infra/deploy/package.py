"""`make package`: build the SAM package in `build/` from Chalice's and the declared resources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from chalicelib.handlers.openapi import document, route
from chalicelib.version import VERSION
from infra.deploy import archive, monitoring
from infra.deploy.desk_function import API, DESK, split_desk
from infra.deploy.policies import operators, substituted
from infra.deploy.tables import load_template

ROOT = Path(__file__).parents[2]
TEMPLATES = tuple(
    Path(__file__).with_name(name)
    for name in ("resources.yaml", "edge.yaml", "domain.yaml", "releases.yaml", "canary.yaml")
)

# Chalice prints it as a warning and packages a function that cannot be imported.
_MISSING_WHEEL = "Could not install dependencies"

REGIONS = {"aws-cn": "cn-north-1", "aws": "ap-southeast-1"}
"""A region for each partition: the template depends only on the partition."""


RUNTIMES = ("3.11", "3.12", "3.13")
"""Versions of Python that the package can be built for."""

ARCHITECTURES = ("x86_64", "arm64")

# Chalice builds for the version that it runs under, and pip selects wheels of its own version unless
# it is told another; both are replaced for the time of this one call.
_CHALICE = """
from chalice.cli import main
from chalice.config import Config
from chalice.deploy import packager
Config.lambda_python_version = property(lambda self: "python{version}")
Config.lambda_architecture = property(lambda self: "{architecture}")
execute = packager.PipRunner._execute
def for_version(self, command, args, *more, **options):
    if "--abi" in args:
        args = [*args, "--python-version", "{version}"]
    return execute(self, command, args, *more, **options)
packager.PipRunner._execute = for_version
main()
"""


@dataclass(frozen=True)
class Runtime:
    """What the functions run on; `interpreter` compiles the byte code and is of that version."""

    version: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    architecture: str = "x86_64"
    interpreter: str = sys.executable


def build(target: Path, partition: str = "aws-cn", runtime: Runtime | None = None) -> None:
    """Run `chalice package`. Raises SystemExit where it fails or a dependency has no wheel."""
    runtime = runtime or Runtime()
    target.mkdir(parents=True, exist_ok=True)
    merged = target / "merge.yaml"
    merged.write_text(text(additions()), "utf-8")
    command = [
        sys.executable,
        "-c",
        _CHALICE.format(version=runtime.version, architecture=runtime.architecture),
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
    archive.finish(target / "deployment.zip", runtime.interpreter)
    path = target / "sam.yaml"
    template = finish(yaml.safe_load(path.read_text("utf-8")))
    path.write_text(text(template), "utf-8")


def additions() -> dict[str, Any]:
    """Return the resources that Chalice merges into its template: declared ones and monitoring."""
    added: dict[str, Any] = {"Resources": monitoring.resources()}
    for path in TEMPLATES:
        _merge(added, load_template(path))
    return added


def _merge(into: dict[str, Any], template: dict[str, Any]) -> None:
    """Add a template's members; where both have a mapping, its members are merged."""
    for name, value in template.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


class _WithoutAliases(yaml.SafeDumper):
    """CloudFormation reads no YAML aliases, which a value that occurs twice would become."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text(template: dict[str, Any]) -> str:
    """Return a template as YAML that CloudFormation reads."""
    return yaml.dump(template, Dumper=_WithoutAliases, allow_unicode=True, width=100)


def finish(template: dict[str, Any]) -> dict[str, Any]:
    """Complete Chalice's template: names from the stack in policies and the queue, and the network."""
    template["Description"] = f"Login recovery {VERSION}"
    # Chalice's address of the default endpoint, which may be switched off; SiteUrl replaces it.
    del template["Outputs"]["EndpointURL"]
    split_desk(template)
    _merge(template, operators())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role" and _is_function_role(resource):
            for policy in resource["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    statement["Resource"] = substituted(statement["Resource"])
            resource["Properties"]["ManagedPolicyArns"] = [_IN_NETWORK, _TRACED]
        elif resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["VpcConfig"] = _NETWORK
            resource["Properties"]["Tracing"] = {"Fn::If": ["WithTracing", "Active", "PassThrough"]}
    api = template["Resources"]["RestAPI"]["Properties"]
    # CloudWatch's metrics of an API have its name, and two stacks of an account need two.
    api["DefinitionBody"]["info"]["title"] = {"Ref": "AWS::StackName"}
    api["TracingEnabled"] = {"Fn::If": ["WithTracing", True, False]}
    for function in (API, DESK):
        permission = template["Resources"][f"{function}InvokePermission"]["Properties"]
        permission["SourceArn"] = {"Fn::Sub": _STAGE}
    template["Resources"][f"{API}InvokePermission"]["Properties"]["FunctionName"] = _ALIAS
    for path in api["DefinitionBody"]["paths"].values():
        for method in path.values():
            # API Gateway calls the alias, whose versions a release exchanges.
            integration = method["x-amazon-apigateway-integration"]
            uri = integration["uri"]["Fn::Sub"]
            if f"${{{API}.Arn}}" in uri:
                uri = uri.replace(f"${{{API}.Arn}}", "${Alias}")
                integration["uri"] = {"Fn::Sub": [uri, {"Alias": _ALIAS}]}
    events = template["Resources"]["ResetAccounts"]["Properties"]["Events"]
    source = events["ResetAccountsSqsEventSource"]["Properties"]
    # Chalice supports a fixed queue name only, but the name depends on TablePrefix.
    source["Queue"] = {"Fn::GetAtt": ["ResetQueue", "Arn"]}
    return template


_ALIAS = {"Ref": f"{API}.Alias"}

# Any method and route of the one stage, and nothing of another.
_STAGE = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${RestAPI}/prod/*"

# Functions are attached to a network only for the sake of a fixed address.
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
_TRACES = "arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess"
_TRACED = {"Fn::If": ["WithTracing", {"Fn::Sub": _TRACES}, {"Ref": "AWS::NoValue"}]}


def _is_function_role(role: dict[str, Any]) -> bool:
    statement = role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    return bool(statement["Principal"].get("Service") == "lambda.amazonaws.com")


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
@click.option(
    "--python",
    "version",
    type=click.Choice(RUNTIMES),
    default=Runtime.version,
    show_default=True,
    help="Python of the functions; another than this one requires its interpreter.",
)
@click.option(
    "--architecture", type=click.Choice(ARCHITECTURES), default="x86_64", show_default=True
)
def main(target: Path, partition: str, version: str, architecture: str) -> None:
    """Build the package that the command line describes."""
    build(target, partition, Runtime(version, architecture, _interpreter(version)))


def _interpreter(version: str) -> str:
    """Return the path of a Python of a version. Raises SystemExit where there is none."""
    for command in (sys.executable, f"python{version}"):
        path = shutil.which(command)
        if path and _version(path) == version:
            return path
    raise SystemExit(f"there is no python{version} to compile the package with")


def _version(path: str) -> str:
    asked = "import sys; print('{0.major}.{0.minor}'.format(sys.version_info))"
    ran = subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False)
    return ran.stdout.strip()


if __name__ == "__main__":
    main(prog_name="python -m infra.deploy.package")
