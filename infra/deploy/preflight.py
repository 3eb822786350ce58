"""`make preflight`: check an account and the package before a deployment; nothing is changed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import click
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.settings import SETTINGS, SettingsError, load
from infra.deploy import words
from infra.deploy.first_settings import read_settings
from infra.deploy.package import REGIONS, ROOT, additions
from infra.deploy.tables import load_template, parameters, resolve

# AWS's limits of a template: docs.aws.amazon.com, CloudFormation User Guide, "quotas".
_INLINE_BYTES = 51_200
_MAXIMUM_BYTES = 1_048_576
_MAXIMUM_RESOURCES = 500

# What a new account has; the peak of January needs more than its lowered value of ten.
_CONCURRENCY = 100
_ADDRESSES = 5
_NETWORKS = 5

# States in which a stack accepts neither an update nor another creation.
_DEAD_ENDS = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED")


@dataclass(frozen=True)
class Finding:
    """The result of one check: `level` is ok, warn or fail; `text` says what to do."""

    level: str
    text: str


@dataclass(frozen=True)
class Deployment:
    """What is to be deployed, and where; `given` holds the parameters as `sam deploy` gets them."""

    stack: str
    partition: str
    template: Path
    settings: Path | None
    given: dict[str, str]

    def __getitem__(self, parameter: str) -> str:
        """Return a parameter's value, given or by default."""
        return self.given.get(parameter, parameters(additions())[parameter])


Check = Callable[[Deployment], Iterator[Finding]]


def _ok(text: str, **values: Any) -> Finding:
    return Finding("ok", text.format(**values))


def _warn(text: str, **values: Any) -> Finding:
    return Finding("warn", text.format(**values))


def _fail(text: str, **values: Any) -> Finding:
    return Finding("fail", text.format(**values))


def identity(deployment: Deployment) -> Iterator[Finding]:
    """Check credentials, region, and the partition that the package was built for."""
    session = boto3.Session()
    if session.region_name is None:
        yield _fail(words.NO_REGION)
        return
    caller = boto3.client("sts").get_caller_identity()
    yield _ok(words.IDENTITY, account=caller["Account"], region=session.region_name)
    partition = session.get_partition_for_region(session.region_name)
    if partition != deployment.partition:
        yield _fail(words.PARTITION, region=session.region_name, partition=partition)


def package(deployment: Deployment) -> Iterator[Finding]:
    """Check the packaged template's size and number of resources."""
    if not deployment.template.is_file():
        yield _fail(words.NO_PACKAGE, path=deployment.template)
        return
    content = deployment.template.read_bytes()
    resources = len(yaml.safe_load(content)["Resources"])
    if len(content) > _MAXIMUM_BYTES or resources > _MAXIMUM_RESOURCES:
        yield _fail(words.TOO_LARGE, size=len(content), resources=resources)
    elif len(content) > _INLINE_BYTES:
        yield _ok(words.NEEDS_S3, size=len(content))
    else:
        yield _ok(words.SIZE, size=len(content))


def stack(deployment: Deployment) -> Iterator[Finding]:
    """Check the stack's state, and whether its tables are protected."""
    found = _stack(deployment)
    if found is None:
        yield _ok(words.NEW_STACK, stack=deployment.stack)
        return
    status = found["StackStatus"]
    if status in _DEAD_ENDS:
        yield _fail(words.DEAD_END, stack=deployment.stack, status=status)
    elif status.endswith("_IN_PROGRESS"):
        yield _fail(words.IN_PROGRESS, stack=deployment.stack, status=status)
    else:
        yield _ok(words.UPDATE, stack=deployment.stack, status=status)
    values = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
    if values.get("DeletionProtection") == "no":
        yield _warn(words.UNPROTECTED)


def _stack(deployment: Deployment) -> dict[str, Any] | None:
    try:
        answer = boto3.client("cloudformation").describe_stacks(StackName=deployment.stack)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    found: dict[str, Any] = answer["Stacks"][0]
    return found


def names(deployment: Deployment) -> Iterator[Finding]:
    """Find fixed names that a new stack needs and something else has, or that it adopts."""
    if _stack(deployment) is not None:
        return
    template = load_template()
    adopted = deployment["ExistingTables"]
    prefix = adopted or deployment["TablePrefix"]
    values = parameters(template, TablePrefix=prefix)
    declared = [
        (resource["Type"], resolve(resource.get("Properties", {}), values))
        for resource in template["Resources"].values()
        if "Type" in resource
    ]
    tables = [found["TableName"] for kind, found in declared if kind == "AWS::DynamoDB::Table"]
    present = [name for name in tables if _table_exists(name)]
    missing = [name for name in tables if name not in present]
    if adopted and missing:
        yield _fail(words.TABLES_MISSING, names=", ".join(missing))
    elif present and not adopted:
        yield _fail(words.TABLES_TAKEN, names=", ".join(present), prefix=prefix)
    else:
        yield _ok(words.TABLES_ADOPTED if adopted else words.NAMES_FREE, prefix=prefix)
    yield from _secret(deployment)
    for kind, properties in declared:
        if kind == "AWS::SQS::Queue":
            name = properties["QueueName"].replace(prefix, deployment["TablePrefix"], 1)
            if _queue_exists(name):
                yield _fail(words.QUEUE_TAKEN, name=name)


def _secret(deployment: Deployment) -> Iterator[Finding]:
    name = f"{deployment['TablePrefix']}-settings"
    adopts = deployment["ExistingSecret"] == "yes"
    state = _secret_state(name)
    if state == "deleted":
        yield _fail(words.SECRET_DELETED, name=name)
    elif state and not adopts:
        yield _fail(words.SECRET_TAKEN, name=name)
    elif adopts and not state:
        yield _fail(words.SECRET_MISSING, name=name)


def _table_exists(name: str) -> bool:
    client = boto3.client("dynamodb")
    try:
        client.describe_table(TableName=name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def _secret_state(name: str) -> str:
    client = boto3.client("secretsmanager")
    try:
        secret = client.describe_secret(SecretId=name)
    except client.exceptions.ResourceNotFoundException:
        return ""
    return "deleted" if secret.get("DeletedDate") else "present"


def _queue_exists(name: str) -> bool:
    client = boto3.client("sqs")
    try:
        client.get_queue_url(QueueName=name)
    except client.exceptions.QueueDoesNotExist:
        return False
    return True


def log_role(deployment: Deployment) -> Iterator[Finding]:
    """Check the role with which API Gateway writes logs, one for an account and region."""
    if deployment["ApiGatewayLogRole"] == "yes":
        yield _ok(words.MAKES_LOG_ROLE)
        return
    role = boto3.client("apigateway").get_account().get("cloudwatchRoleArn")
    yield _ok(words.LOG_ROLE, role=role) if role else _fail(words.NO_LOG_ROLE)


def addresses(deployment: Deployment) -> Iterator[Finding]:
    """Check that there is room for a further network and a further fixed address."""
    if _stack(deployment) is not None or deployment["FixedAddress"] == "no":
        return
    client = boto3.client("ec2")
    used = len(client.describe_addresses()["Addresses"])
    networks = len(client.describe_vpcs()["Vpcs"])
    for text, count, code, service, usual in (
        (words.ADDRESSES, used, "L-0263D0A3", "ec2", _ADDRESSES),
        (words.NETWORKS, networks, "L-F678F1CE", "vpc", _NETWORKS),
    ):
        if text == words.ADDRESSES and deployment["ExistingAddress"]:
            continue
        limit = _quota(service, code, usual)
        finding = _ok if count < limit else _fail
        yield finding(text, used=count, limit=limit)


def _quota(service: str, code: str, usual: int) -> int:
    """Return a quota of the account, or the usual one where Service Quotas cannot be read."""
    try:
        client = boto3.client("service-quotas")
        quota = client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
        return int(quota["Value"])
    except (BotoCoreError, ClientError):
        return usual


def concurrency(_: Deployment) -> Iterator[Finding]:
    """Check the account's concurrent executions of Lambda."""
    limits = boto3.client("lambda").get_account_settings()["AccountLimit"]
    free = limits["UnreservedConcurrentExecutions"]
    finding = _ok if free >= _CONCURRENCY else _fail
    yield finding(words.CONCURRENCY, free=free, wanted=_CONCURRENCY)


def settings(deployment: Deployment) -> Iterator[Finding]:
    """Run the loader on trial over the file of settings."""
    if deployment.settings is None:
        yield _warn(words.NO_SETTINGS)
        return
    given = read_settings(deployment.settings)
    # Keys that the first write generates.
    text = given.with_generated_keys().text()
    try:
        loaded = load(_environment(deployment), text)
    except SettingsError as error:
        for fault in error.faults:
            yield _fail(words.SETTING_WRONG, fault=fault)
        return
    known = {setting.name for setting in SETTINGS}
    for name in given.names():
        if name not in known:
            yield _fail(words.SETTING_UNKNOWN, name=name)
    if deployment.partition == "aws-cn" and "sns" in loaded.sms_gateways:
        yield _fail(words.SNS_IN_CHINA)
    domain = deployment["DomainName"]
    if domain and loaded.site_url != f"https://{domain}":
        yield _fail(words.SITE_URL, url=loaded.site_url, domain=domain)
    yield _ok(words.SETTINGS_WHOLE, count=len(given.names()))


def _environment(deployment: Deployment) -> dict[str, str]:
    """Return the functions' environment, with the prefix of the tables that their roles may use."""
    prefix = deployment["TablePrefix"]
    return {
        "SECRETS_ID": f"{prefix}-settings",
        "TABLE_PREFIX": deployment["ExistingTables"] or prefix,
    }


def certificate(deployment: Deployment) -> Iterator[Finding]:
    """Check the domain's certificate: issued, of this region, and for the domain."""
    domain, arn = deployment["DomainName"], deployment["CertificateArn"]
    if not domain:
        yield _warn(words.NO_DOMAIN)
        return
    if not arn:
        yield _fail(words.NO_CERTIFICATE, domain=domain)
        return
    region = arn.split(":")[3:4]
    if region != [boto3.Session().region_name]:
        yield _fail(words.CERTIFICATE_ELSEWHERE)
        return
    found = boto3.client("acm").describe_certificate(CertificateArn=arn)
    described = found["Certificate"]
    covered = {described["DomainName"], *described.get("SubjectAlternativeNames", [])}
    parent = "*." + domain.partition(".")[2]
    if not covered & {domain, parent}:
        yield _fail(words.CERTIFICATE_OTHER, domain=domain)
    elif described["Status"] != "ISSUED":
        yield _fail(words.CERTIFICATE_PENDING, status=described["Status"])
    else:
        yield _ok(words.CERTIFICATE, domain=domain)


def known_parameters(deployment: Deployment) -> Iterator[Finding]:
    """Check names and patterns of the given parameters."""
    declared = additions()["Parameters"]
    for name, value in deployment.given.items():
        if name not in declared:
            yield _fail(words.PARAMETER_UNKNOWN, name=name)
            continue
        allowed = declared[name].get("AllowedValues", [value])
        pattern = declared[name].get("AllowedPattern", ".*")
        if value not in allowed or not re.fullmatch(pattern, value):
            yield _fail(words.PARAMETER_WRONG, name=name)


CHECKS: dict[str, Check] = {
    "parameters": known_parameters,
    "identity": identity,
    "package": package,
    "stack": stack,
    "names": names,
    "log-role": log_role,
    "addresses": addresses,
    "concurrency": concurrency,
    "certificate": certificate,
    "settings": settings,
}


def run(deployment: Deployment) -> Iterator[tuple[str, Finding]]:
    """Carry out every check, and yield its name with each finding.

    A check that AWS does not answer is a warning, since the operator's role may not be allowed to read;
    without an identity, no other call is sent.
    """
    for name, check in CHECKS.items():
        found = []
        try:
            for finding in check(deployment):
                found.append(finding)
                yield name, finding
        except (BotoCoreError, ClientError) as error:
            code = (
                error.response["Error"]["Code"]
                if isinstance(error, ClientError)
                else type(error).__name__
            )
            level = "fail" if name == "identity" else "warn"
            found.append(Finding(level, words.UNCHECKED.format(code=code)))
            yield name, found[-1]
        if name == "identity" and any(finding.level == "fail" for finding in found):
            return


@click.command(help=words.PREFLIGHT)
@click.option("--stack", default="recovery", show_default=True, help=words.STACK)
@click.option(
    "--partition", type=click.Choice(sorted(REGIONS)), default="aws-cn", show_default=True
)
@click.option(
    "--template", type=click.Path(path_type=Path), default=ROOT / "build" / "sam.yaml", hidden=True
)
@click.option("--settings", type=click.Path(path_type=Path, exists=True), help=words.SETTINGS)
@click.argument("overrides", nargs=-1, metavar="[NAME=VALUE]...")
def main(overrides: tuple[str, ...], **options: Any) -> None:
    """Print every finding; the exit status is 1 if one of them prevents the deployment."""
    pairs = (override.partition("=") for override in overrides)
    options["given"] = {name: value for name, _, value in pairs}
    failed = False
    for name, finding in run(Deployment(**options)):
        failed |= finding.level == "fail"
        click.echo(f"{words.LEVELS[finding.level]} {name}: {finding.text}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(prog_name="python -m infra.deploy.preflight")
