"""The service with the deployment's settings, and the operator's AWS identity."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import container, runtime
from chalicelib.domain.catalogue import fill
from chalicelib.domain.errors import Unavailable
from chalicelib.services.diagnosis import Diagnosis
from chalicelib.services.support import Support
from chalicelib.settings import SettingsError
from infra.deploy.alarms import BREAK_GLASS, BREAK_GLASS_DIMENSION, OWN
from infra.deploy.tables import load_template, parameters, resolve

from . import change_words, words
from .aws_errors import described, kind
from .command import Failed
from .environment import open_profile, open_session, settle_credentials

LOCAL_REGION = "cn-north-1"
"""Region of the local stack where its environment names none."""

_QUICK = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})


def service() -> container.Service:
    """Return the service with the settings of the environment or of the deployment's secret.

    Raises Failed where neither provides them.
    """
    _settle_region()
    try:
        return runtime.service()
    except SettingsError as error:
        if os.environ.get("SECRETS_ID"):
            raise _unsettled(error) from None
        return _service_from(_deployment_secret(), error)
    except Unavailable as error:
        raise _secret_unread(os.environ["SECRETS_ID"], error) from None


def _service_from(secret: str, missing: SettingsError) -> container.Service:
    os.environ["SECRETS_ID"] = secret
    try:
        return runtime.service()
    except SettingsError as error:
        raise _unsettled(error) from None
    except Unavailable as error:
        del os.environ["SECRETS_ID"]
        if kind(error.__cause__) != "ResourceNotFoundException":
            raise _secret_unread(secret, error) from None
        # Either the settings were to be in the environment, or the secret is in another place.
        text = fill(
            words.ERRORS["settings-nowhere"],
            secret=secret,
            region=os.environ["AWS_DEFAULT_REGION"],
            what="; ".join(missing.faults),
        )
        raise Failed("settings", text) from None


def _secret_unread(secret: str, error: Unavailable) -> Failed:
    text = described(words.ERRORS["secret"], error.__cause__, secret=secret)
    return Failed("secret", text)


def _unsettled(error: SettingsError) -> Failed:
    return Failed("settings", fill(words.ERRORS["settings"], what="; ".join(error.faults)))


def _deployment_secret() -> str:
    """Return the name of the secret with the deployment's settings.

    Where the template does not name it, the name is `PREFIX-settings`, as in the local stack.
    """
    template = load_template()
    prefix = os.environ.get("TABLE_PREFIX")
    values = parameters(template, **({"TablePrefix": prefix} if prefix else {}))
    for resource in template["Resources"].values():
        if resource.get("Type") == "AWS::SecretsManager::Secret":
            name = resolve(resource.get("Properties", {}).get("Name"), values)
            if isinstance(name, str) and "${" not in name:
                return name
    return f"{values['TablePrefix']}-settings"


def _settle_region() -> None:
    # boto3 reads AWS_DEFAULT_REGION; Lambda functions get AWS_REGION.
    region = open_session().region_name or os.environ.get("AWS_REGION")
    host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname
    if region is None and host in ("127.0.0.1", "localhost", "::1"):
        region = LOCAL_REGION
    if region is None:
        raise Failed("region", words.ERRORS["region"], 2)
    os.environ.setdefault("AWS_DEFAULT_REGION", region)
    os.environ.setdefault("AWS_REGION", region)
    settle_credentials()


def caller() -> str:
    """Return the ARN of the AWS identity that runs this command. Raises Failed."""
    _settle_region()
    return _identity()[0]


def begin_change() -> str:
    """Print where a change acts, on stderr, and return the caller's ARN. Raises Failed.

    To be called before the first write.
    """
    prefix = service().settings.table_prefix
    arn, account = _identity()
    place = fill(
        words.PLACE, account=account, region=os.environ["AWS_DEFAULT_REGION"], prefix=prefix
    )
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        place += fill(words.PLACE_ENDPOINT, url=endpoint)
    click.echo(place, err=True)
    return arn


def second_identity(profile: str) -> str:
    """Return the ARN of the AWS identity of another person's profile.

    Another user or role session of the caller's account; whoever has two identities there passes, so
    that each person must have one. Raises Failed, with status 2 where it is the caller's own, or of
    another account, in which anybody may have one.
    """
    _settle_region()
    own, own_account = _identity()
    arn, account = _identity(open_profile(profile))
    if arn == own:
        raise Failed("same-identity", fill(change_words.SAME_IDENTITY, profile=profile), 2)
    if account != own_account:
        raise Failed("foreign-identity", fill(change_words.FOREIGN_IDENTITY, profile=profile), 2)
    return arn


def report_break_glass() -> None:
    """Count a change without a second pair of eyes, which raises an alarm. Raises Failed."""
    dimension = {"Name": BREAK_GLASS_DIMENSION, "Value": service().settings.table_prefix}
    figure = {"MetricName": BREAK_GLASS, "Dimensions": [dimension], "Value": 1, "Unit": "Count"}
    try:
        client = boto3.client("cloudwatch", config=_QUICK)
        client.put_metric_data(Namespace=OWN, MetricData=[figure])
    except (BotoCoreError, ClientError, ValueError) as error:
        raise Failed("alarm", described(change_words.ALARM_FAILED, error)) from None


def _identity(other: boto3.Session | None = None) -> tuple[str, str]:
    """Return ARN and account of the caller, or of another session."""
    try:
        client = (other or boto3).client("sts", config=_QUICK)
        identity = client.get_caller_identity()
        return str(identity["Arn"]), str(identity["Account"])
    except (BotoCoreError, ClientError, ValueError) as error:
        # botocore raises ValueError if a configured endpoint is not a URL.
        raise Failed("identity", described(words.ERRORS["identity"], error)) from None


def diagnosis() -> Diagnosis:
    """Return the diagnosis of logins. Raises Failed."""
    return service().diagnosis


def support() -> Support:
    """Return the changes that operators may make to a login. Raises Failed."""
    return service().desk.support
