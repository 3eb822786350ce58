"""Policies of IAM: names from the stack in their resources, and the operators' own policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[2] / ".chalice"
_OPERATORS = {
    "OperatorsPolicy": (
        "policy-operators.json",
        "What the commands of infra.ops need; attach it to the operators' role.",
    ),
    "RestorePolicy": (
        "policy-restore.json",
        "What infra.ops restore needs besides, for copies whose prefix begins with restored-.",
    ),
}
"""File and description by the name in the template."""

# The prefix of the tables, which may be those of an earlier stack, as in resources.yaml.
_TABLES = {"Fn::If": ["OwnTables", {"Ref": "TablePrefix"}, {"Ref": "ExistingTables"}]}


def substituted(value: Any) -> Any:
    """Return a statement's resources with the names of the stack."""
    if isinstance(value, list):
        return [substituted(item) for item in value]
    if isinstance(value, str) and "${Tables}" in value:
        return {"Fn::Sub": [value, {"Tables": _TABLES}]}
    if isinstance(value, str) and "${" in value:
        return {"Fn::Sub": value}
    return value


def operators() -> dict[str, Any]:
    """Return the template's members with the policies for people who run `infra.ops`."""
    added: dict[str, Any] = {"Resources": {}, "Outputs": {}}
    for name, (file, about) in _OPERATORS.items():
        policy = json.loads((_FOLDER / file).read_text("utf-8"))
        for statement in policy["Statement"]:
            statement["Resource"] = substituted(statement["Resource"])
        added["Resources"][name] = {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"Description": about, "PolicyDocument": policy},
        }
        added["Outputs"][name] = {"Description": about, "Value": {"Ref": name}}
    return added
