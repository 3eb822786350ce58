"""AWS on this machine: moto behind one address, and the template's resources made in it."""

from __future__ import annotations

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

from .serving import HOST, Handler, LocalServer, Wsgi

REGION = "cn-north-1"
KEY = "testing"
"""Access key and secret of the local credentials, where the environment has none."""


class _MotoHandler(Handler, MotoRequestHandler):
    """Moto's reading of headers on our connections."""


def _one_at_a_time(application: Wsgi) -> Wsgi:
    # moto checks a condition and writes in two steps; two threads in between would both pass.
    # Waiting for queue messages is left out: it sleeps, and would hold everybody up.
    guard = threading.Lock()

    def translate_errors(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if str(environ.get("HTTP_X_AMZ_TARGET", "")).endswith(".ReceiveMessage"):
            return application(environ, start_response)
        with guard:
            return application(environ, start_response)

    return translate_errors


class LocalAws(LocalServer):
    """Moto at `url`, for every AWS service."""

    def __init__(self) -> None:
        moto = DomainDispatcherApplication(create_backend_app)
        super().__init__(_one_at_a_time(moto), handler=_MotoHandler)


def point_at(
    environ: MutableMapping[str, str], aws_url: str, dynamodb_url: str | None = None
) -> None:
    """Make every AWS client of this process go to these addresses and to no account."""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or REGION
    # A profile or a configuration file of the machine may name other addresses and keys.
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
    # botocore takes a proxy of the machine even for 127.0.0.1.
    hosts = [host for host in environ.get("NO_PROXY", "").split(",") if host]
    environ["NO_PROXY"] = environ["no_proxy"] = ",".join([*hosts, HOST, "localhost"])


_QUEUE = ("VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds")


class Resources:
    """The template's resources, made in the local AWS; `values` resolves what refers to them."""

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

    def _known(self, name: str, ref: str, arn: str, label: str) -> None:
        self.values.update({name: ref, f"{name}.Arn": arn, f"{name}.Label": label})

    def make_tables(self, client: Any) -> list[str]:
        """Make the tables; returns their names."""
        for name, properties in self._declared("AWS::DynamoDB::Table"):
            self.values[name] = properties["TableName"]
        return create_tables(client, self._prefix, self._template)

    def make_queues(self, client: Any) -> None:
        """Make the queues, and then their ways to the dead-letter queues."""
        declared = self._declared("AWS::SQS::Queue")
        for name, properties in declared:
            label = properties.get("QueueName", f"{self._prefix}-{name}")
            attributes = {key: str(properties[key]) for key in _QUEUE if key in properties}
            url = client.create_queue(QueueName=label, Attributes=attributes)["QueueUrl"]
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            self._known(name, url, answer["Attributes"]["QueueArn"], label)
            self.values[f"{name}.QueueName"] = label
        for name, properties in self._declared("AWS::SQS::Queue"):
            if "RedrivePolicy" in properties:
                client.set_queue_attributes(
                    QueueUrl=self.values[name],
                    Attributes={"RedrivePolicy": json.dumps(properties["RedrivePolicy"])},
                )

    def make_topics(self, client: Any) -> None:
        """Make the topics."""
        for name, properties in self._declared("AWS::SNS::Topic"):
            label = properties.get("TopicName", f"{self._prefix}-{name}")
            arn = client.create_topic(Name=label)["TopicArn"]
            self._known(name, arn, arn, label)

    def make_secrets(self, client: Any, content: Callable[[], Mapping[str, str]]) -> list[str]:
        """Make the secrets, each with the same content; returns their names.

        Where the template declares none there is one all the same, for operators' commands.
        """
        declared = [
            (name, str(properties.get("Name", f"{self._prefix}-{name}")))
            for name, properties in self._declared("AWS::SecretsManager::Secret")
        ] or [("SettingsSecret", f"{self._prefix}-settings")]
        for name, label in declared:
            arn = client.create_secret(Name=label, SecretString="{}")["ARN"]
            self._known(name, arn, arn, label)
        # Last, when every other resource is known to what the content says.
        for _, label in declared:
            client.put_secret_value(SecretId=label, SecretString=json.dumps(dict(content())))
        return [label for _, label in declared]

    def variables(self) -> dict[str, str]:
        """The environment that the template gives its functions, as far as it is made here."""
        functions = [
            self._template.get("Globals", {}).get("Function", {}),
            *(
                resource.get("Properties", {})
                for resource in self._template["Resources"].values()
                if resource.get("Type", "AWS::Serverless::Function") == "AWS::Serverless::Function"
            ),
        ]
        found: dict[str, str] = {}
        for properties in functions:
            declared = properties.get("Environment", {}).get("Variables", {})
            for name, value in resolve(declared, self.values).items():
                if isinstance(value, str | int) and "${" not in str(value):
                    found[name] = str(value)
        return found
