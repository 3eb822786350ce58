"""The packaged template, translated by SAM's own translator."""

from __future__ import annotations

import copy
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from infra.deploy.package import REGIONS
from tests.package import built


def of(kind: str, found: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return the resources of a type by name, of the packaged template if no other is given."""
    resources = (found or built.template())["Resources"]
    return {name: body for name, body in resources.items() if body["Type"] == kind}


def template(partition: str) -> dict[str, Any]:
    """Return a partition's template as CloudFormation gets it from SAM."""
    return of_template(built.template(partition), partition)


def of_template(found: dict[str, Any], partition: str) -> dict[str, Any]:
    """Return a packaged template, translated."""
    session = boto3.Session(region_name=REGIONS[partition])
    fragment = copy.deepcopy(found)
    for function in of("AWS::Serverless::Function", fragment).values():
        # The place in S3 that `sam deploy` puts the zip.
        function["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "deployment.zip"}
    translator = Translator({}, Parser(), boto_session=session)
    made: dict[str, Any] = translator.translate(fragment, {})
    return made
