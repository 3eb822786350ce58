"""AWS on this machine: moto at one address, and the template's resources created in it."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)

from infra.deploy.tables import create_tables, parameters, resolve

from . import moto_expressions, moto_transactions
from .serving import HOST, Handler, LocalServer, Wsgi

REGION = "cn-north-1"
KEY = "testing"
"""Access key and secret of the local credentials, where the environment sets none."""


class _MotoHandler(Handler, MotoRequestHandler):
    """Moto's parsing of headers, on our connections."""


def _serialized(application: Wsgi) -> Wsgi:
    # moto checks a condition and writes in two steps; two threads in between would both pass. Its
    # queues iterate over sets that other threads change.
    lock = threading.Lock()

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _is_long_poll(environ):
            # It sleeps until a message arrives, which no other request could then send.
            return application(environ, start_response)
        with lock:
            return application(environ, start_response)

    return serve


def _is_long_poll(environ: dict[str, Any]) -> bool:
    """Return whether the request is a ReceiveMessage with a wait; its body can be read again."""
    if not str(environ.get("HTTP_X_AMZ_TARGET", "")).endswith(".ReceiveMessage"):
        return False
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    try:
        return bool(json.loads(body).get("WaitTimeSeconds"))
    except (ValueError, AttributeError):
        return False


class LocalAws(LocalServer):
    """Moto at `url`, for every AWS service."""

    def __init__(self) -> None:
        moto_expressions.install()
        moto_transactions.install()
        moto = DomainDispatcherApplication(create_backend_app)
        super().__init__(_serialized(moto), handler=_MotoHandler)


def point_at(
    environ: MutableMapping[str, str], aws_url: str, dynamodb_url: str | None = None
) -> None:
    """Direct every AWS client of this process to these addresses, and none to a real account."""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or REGION
    # A profile or a configuration file of the machine may set other addresses and keys.
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        environ.pop(name, None)
    for name in [name for name in environ if name.startswith("AWS_ENDPOINT_URL")]:
        del environ[name]
    environ.update(
        AWS_ENDPOINT_URL=aws_url,
        AWS_REGION=region,
        AWS_DEFAULT_REGION=region,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )
    if dynamodb_url is not None:
        environ["AWS_ENDPOINT_URL_DYNAMODB"] = dynamodb_url
    if not (environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY")):
        environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=KEY)
        environ.pop("AWS_SESSION_TOKEN", None)
    # botocore uses a configured proxy even for 127.0.0.1.
    hosts = [host for host in environ.get("NO_PROXY", "").split(",") if host]
    environ["NO_PROXY"] = environ["no_proxy"] = ",".join([*hosts, HOST, "localhost"])


_QUEUE = ("VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds")


class Resources:
    """The template's resources, created in the local AWS.

    `values` maps parameters, resources and `Resource.Attribute` to what references resolve to.
    """

    def __init__(self, template: dict[str, Any], prefix: str, region: str) -> None:
        self._template = template
        self._prefix = prefix
        self.values = {
            **parameters(template, TablePrefix=prefix),
            "AWS::Region": region,
            "AWS::AccountId": DEFAULT_ACCOUNT_ID,
            "AWS::Partition": "aws-cn" if region.startswith("cn-") else "aws",
            "AWS::StackName": prefix,
        }

    def _declared(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [
            (name, resolve(resource.get("Properties", {}), self.values))
            for name, resource in self._template["Resources"].items()
            if resource.get("Type") == kind
        ]

    def _add_values(self, name: str, ref: str, arn: str, label: str) -> None:
        self.values.update({name: ref, f"{name}.Arn": arn, f"{name}.Label": label})

    def make_tables(self, client: Any) -> list[str]:
        """Create the tables and return their names."""
        for name, properties in self._declared("AWS::DynamoDB::Table"):
            self.values[name] = properties["TableName"]
        return create_tables(client, self._prefix, self._template)

    def make_queues(self, client: Any) -> None:
        """Create the queues, then their redrive policies, which refer to other queues."""
        declared = self._declared("AWS::SQS::Queue")
        for name, properties in declared:
            label = properties.get("QueueName", f"{self._prefix}-{name}")
            attributes = {key: str(properties[key]) for key in _QUEUE if key in properties}
            url = client.create_queue(QueueName=label, Attributes=attributes)["QueueUrl"]
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            self._add_values(name, url, answer["Attributes"]["QueueArn"], label)
            self.values[f"{name}.QueueName"] = label
        for name, properties in self._declared("AWS::SQS::Queue"):
            if "RedrivePolicy" in properties:
                client.set_queue_attributes(
                    QueueUrl=self.values[name],
                    Attributes={"RedrivePolicy": json.dumps(properties["RedrivePolicy"])},
                )

    def make_topics(self, client: Any) -> None:
        """Create the topics."""
        for name, properties in self._declared("AWS::SNS::Topic"):
            label = properties.get("TopicName", f"{self._prefix}-{name}")
            arn = client.create_topic(Name=label)["TopicArn"]
            self._add_values(name, arn, arn, label)

    def make_secrets(self, client: Any, content: Callable[[], Mapping[str, str]]) -> list[str]:
        """Create the secrets, all with the same content, and return their names.

        Where the template declares none, one is created for the operators' commands.
        """
        declared = [
            (name, str(properties.get("Name", f"{self._prefix}-{name}")))
            for name, properties in self._declared("AWS::SecretsManager::Secret")
        ] or [("SettingsSecret", f"{self._prefix}-settings")]
        for name, label in declared:
            arn = client.create_secret(Name=label, SecretString="{}")["ARN"]
            self._add_values(name, arn, arn, label)
        # Last, since the content refers to every other resource.
        for _, label in declared:
            client.put_secret_value(SecretId=label, SecretString=json.dumps(dict(content())))
        return [label for _, label in declared]

    def variables(self) -> dict[str, str]:
        """Return the environment variables of the template's functions that resolve locally."""
        functions = [
            self._template.get("Globals", {}).get("Function", {}),
            *(
                resource.get("Properties", {})
                for resource in self._template["Resources"].values()
                if resource.get("Type", "AWS::Serverless::Function") == "AWS::Serverless::Function"
            ),
        ]
        variables: dict[str, str] = {}
        for properties in functions:
            declared = properties.get("Environment", {}).get("Variables", {})
            for name, value in resolve(declared, self.values).items():
                if isinstance(value, str | int) and "${" not in str(value):
                    variables[name] = str(value)
        return variables
