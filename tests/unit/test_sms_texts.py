"""The texts of SMS: each fits into one part, as which it is billed."""

from __future__ import annotations

import pytest

from chalicelib.domain.catalogue import SMS_TEMPLATES, fill
from chalicelib.settings import SETTINGS

ONE_SMS = 70
"""Characters of UCS-2 in an SMS of one part (GSM 03.40: 140 octets)."""

SIGN = next(setting.default for setting in SETTINGS if setting.name == "SMS_SIGN")


@pytest.mark.parametrize("name", SMS_TEMPLATES)
def test_a_text_fits_into_one_sms(name: str) -> None:
    """With the longest login, the longest time, and the sign in its brackets."""
    values = {"login": "11010148_cw", "code": "123456", "minutes": "5", "time": "12月31日23:59"}
    text = f"【{SIGN}】" + fill(SMS_TEMPLATES[name], **values)
    assert "$" not in text
    assert len(text) <= ONE_SMS
