"""Read `resources.yaml` and create its tables."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).with_name("resources.yaml")


def load_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Return the template as plain data; intrinsic functions have their long form."""
    return copy.deepcopy(_parsed(path))


@functools.cache
def _parsed(path: Path) -> dict[str, Any]:
    # Tests create the tables thousands of times; parsing was half of the time.
    template: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return template


def parameters(template: dict[str, Any], **overrides: str) -> dict[str, str]:
    """Return the template's parameters by name: the overrides, otherwise the defaults.

    Its conditions for these parameters are there as well, as `conditions` returns them.
    """
    defaults = {name: str(body.get("Default", "")) for name, body in template["Parameters"].items()}
    values = {**defaults, **overrides}
    return {**values, **conditions(template, values)}


def conditions(template: dict[str, Any], values: dict[str, str]) -> dict[str, str]:
    """Return the template's conditions for these parameters, by `Condition:` and the name.

    A condition that holds is "true", another one "false".
    """
    declared = template.get("Conditions", {})

    def holds(condition: dict[str, Any]) -> bool:
        ((kind, operands),) = condition.items()
        if kind == "Condition":
            return holds(declared[operands])
        if kind == "Fn::Equals":
            first, second = (resolve(operand, values) for operand in operands)
            return bool(first == second)
        if kind == "Fn::Not":
            return not holds(operands[0])
        if kind == "Fn::And":
            return all(map(holds, operands))
        return any(map(holds, operands))

    return {
        f"Condition:{name}": str(holds(condition)).lower() for name, condition in declared.items()
    }


def resolve(value: Any, values: dict[str, str]) -> Any:
    """Evaluate `Ref`, `Fn::GetAtt`, `Fn::Sub` and `Fn::If` of known names; others stay unchanged.

    `values` contains parameters and resources by name, attributes as `Resource.Attribute`, conditions
    as `conditions` returns them.
    """
    if isinstance(value, list):
        return [resolve(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in values:
        return values[value["Ref"]]
    if set(value) == {"Fn::If"} and f"Condition:{value['Fn::If'][0]}" in values:
        name, first, second = value["Fn::If"]
        return resolve(first if values[f"Condition:{name}"] == "true" else second, values)
    if set(value) == {"Fn::GetAtt"}:
        path = value["Fn::GetAtt"]
        name = path if isinstance(path, str) else ".".join(path)
        return values.get(name, value)
    if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
        return re.sub(
            r"\$\{([\w:.]+)\}", lambda match: values.get(match[1], match[0]), value["Fn::Sub"]
        )
    return {name: resolve(item, values) for name, item in value.items()}


_CREATE = (
    "TableName",
    "BillingMode",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
)


def create_tables(client: Any, prefix: str, template: dict[str, Any] | None = None) -> list[str]:
    """Create the missing tables with their TTL and return the names of all declared tables.

    `client` is a DynamoDB client. Backups, encryption and deletion protection are left out.
    """
    template = template or load_template()
    values = parameters(template, TablePrefix=prefix)
    names = []
    for resource in template["Resources"].values():
        if resource.get("Type") != "AWS::DynamoDB::Table":
            continue
        properties = resolve(resource["Properties"], values)
        names.append(properties["TableName"])
        try:
            created = client.create_table(
                **{key: properties[key] for key in _CREATE if key in properties}
            )
        except client.exceptions.ResourceInUseException:
            continue
        if created["TableDescription"]["TableStatus"] != "ACTIVE":
            client.get_waiter("table_exists").wait(
                TableName=properties["TableName"], WaiterConfig={"Delay": 1, "MaxAttempts": 30}
            )
        if "TimeToLiveSpecification" in properties:
            client.update_time_to_live(
                TableName=properties["TableName"],
                TimeToLiveSpecification=properties["TimeToLiveSpecification"],
            )
    return names
