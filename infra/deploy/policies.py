"""Policies of IAM: names from the stack in their resources, and the operators' own policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_OPERATORS = Path(__file__).parents[2] / ".chalice" / "policy-operators.json"

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
    """Return the template's members with the policy for people who run `infra.ops`."""
    policy = json.loads(_OPERATORS.read_text("utf-8"))
    for statement in policy["Statement"]:
        statement["Resource"] = substituted(statement["Resource"])
    about = (
        "What the commands of infra.ops need, but for restore; attach it to the operators' role."
    )
    return {
        "Resources": {
            "OperatorsPolicy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"Description": about, "PolicyDocument": policy},
            }
        },
        "Outputs": {"OperatorsPolicy": {"Description": about, "Value": {"Ref": "OperatorsPolicy"}}},
    }
