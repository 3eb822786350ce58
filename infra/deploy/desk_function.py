"""The support desk's own Lambda function: the same code behind the same API, with a role of its own.

Chalice makes one function for all routes. The paths under /support are given to a copy of it, whose role
may do what the desk needs and nothing else; the recovery's role then need not reach the desk's data.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

API, DESK = "APIHandler", "DeskHandler"
API_ROLE, DESK_ROLE = "ApiHandlerRole", "DeskHandlerRole"

POLICY = Path(__file__).parents[2] / ".chalice" / "policy-desk.json"

_PATH = "/support"


def split_desk(template: dict[str, Any]) -> None:
    """Add the desk's function, role and permission to Chalice's template, and route its paths there."""
    resources = template["Resources"]
    resources[DESK] = copy.deepcopy(resources[API])
    desk = resources[DESK]["Properties"]
    # A release exchanges it with the stack: without an alias, and so without a share of the traffic first.
    for name in ("AutoPublishAlias", "AutoPublishAliasAllProperties", "DeploymentPreference"):
        desk.pop(name, None)
    desk["Role"] = {"Fn::GetAtt": [DESK_ROLE, "Arn"]}
    role = resources[DESK_ROLE] = copy.deepcopy(resources[API_ROLE])
    (policy,) = role["Properties"]["Policies"]
    policy["PolicyName"] = f"{DESK_ROLE}Policy"
    policy["PolicyDocument"] = json.loads(POLICY.read_text("utf-8"))
    permission = copy.deepcopy(resources[f"{API}InvokePermission"])
    permission["Properties"]["FunctionName"] = {"Ref": DESK}
    resources[f"{DESK}InvokePermission"] = permission
    paths = resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    for path, methods in paths.items():
        if path == _PATH or path.startswith(f"{_PATH}/"):
            for operation in methods.values():
                uri = operation["x-amazon-apigateway-integration"]["uri"]
                uri["Fn::Sub"] = uri["Fn::Sub"].replace(f"${{{API}.Arn}}", f"${{{DESK}.Arn}}")
