"""The vendors' documented delivery receipts, one entry of each."""

from __future__ import annotations

from typing import Any

PHONE = "13800001234"
REFERENCE = "11010148_cw/1800000000000-00ff00ff00ff00ff"

ALIYUN: dict[str, Any] = {
    "phone_number": PHONE,
    "send_time": "2017-01-01 00:00:00",
    "report_time": "2017-01-01 00:00:07",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "108618224136411573^0",
    "out_id": REFERENCE,
}
TENCENT: dict[str, Any] = {
    "user_receive_time": "2015-10-17 08:03:04",
    "nationcode": "86",
    "mobile": PHONE,
    "report_status": "SUCCESS",
    "errmsg": "DELIVRD",
    "description": "用户短信送达成功",
    "sid": "2640:168418732616841873260",
}
SNS: dict[str, Any] = {
    "notification": {
        "messageId": "34d9b400-c6dd-5444-820d-fbeb0f1f54cf",
        "timestamp": "2016-06-28 00:40:34.558",
    },
    "delivery": {
        "phoneCarrier": "My Phone Carrier",
        "mnc": 270,
        "destination": f"+86{PHONE}",
        "priceInUSD": 0.00645,
        "smsType": "Transactional",
        "mcc": 310,
        "providerResponse": "Message has been accepted by phone carrier",
        "dwellTimeMs": 599,
        "dwellTimeMsUntilDeviceAck": 1344,
    },
    "status": "SUCCESS",
}
