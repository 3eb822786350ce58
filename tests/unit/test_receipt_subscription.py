"""The template's subscription of the function to SNS's delivery logs."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.utils import to_cfn_resource_name

from infra.deploy.tables import load_template

FUNCTION = to_cfn_resource_name("sms_receipts")
RESOURCES: dict[str, Any] = load_template()["Resources"]


@pytest.mark.parametrize(
    ("log", "subscription", "name"),
    [
        ("SmsDeliveredLog", "SmsDeliveredReceipts", "DirectPublishToPhoneNumber"),
        ("SmsFailedLog", "SmsFailedReceipts", "DirectPublishToPhoneNumber/Failure"),
    ],
)
def test_both_logs_are_subscribed(log: str, subscription: str, name: str) -> None:
    """They have SNS's fixed names, and the function may be invoked before the subscription exists."""
    group, wired = RESOURCES[log]["Properties"], RESOURCES[subscription]
    assert group["LogGroupName"]["Fn::Sub"] == f"sns/${{AWS::Region}}/${{AWS::AccountId}}/{name}"
    assert wired["Properties"]["LogGroupName"] == {"Ref": log}
    assert wired["Properties"]["DestinationArn"] == {"Fn::GetAtt": [FUNCTION, "Arn"]}
    assert wired["DependsOn"] == "SmsReceiptsPermission"
    assert RESOURCES["SmsReceiptsPermission"]["Properties"]["FunctionName"] == {"Ref": FUNCTION}


def test_the_subscription_is_optional() -> None:
    """AWS China has no SMS in SNS."""
    own = {"SmsReceipts", "SmsReceiptsLog"}
    parts = {
        name: part for name, part in RESOURCES.items() if name.startswith("Sms") and name not in own
    }
    assert len(parts) == 6
    assert {part["Condition"] for part in parts.values()} == {"WithSnsReceipts"}
    assert load_template()["Parameters"]["SnsReceipts"]["Default"] == "no"
