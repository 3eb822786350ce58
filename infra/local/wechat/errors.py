"""WeChat's error codes and messages. Source: WeChat's page of global return codes."""

from __future__ import annotations

import secrets
import time
from typing import Any

MESSAGES = {
    -1: "system error",
    0: "ok",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40013: "invalid appid",
    40014: "invalid access_token",
    40016: "invalid button size",
    40018: "invalid button name size",
    40029: "invalid code",
    40037: "invalid template_id",
    40053: "invalid action info, please check document",
    40066: "invalid url",
    40125: "invalid appsecret, view more at http://t.cn/RAEkdVq",
    40163: "code been used",
    40164: "invalid ip, not in whitelist",
    41001: "access_token missing",
    41008: "missing code",
    42001: "access_token expired",
    43002: "require POST method",
    43004: "require subscribe",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    46003: "menu no exist",
    47001: "data format error",
    47003: "argument invalid!",
    48001: "api unauthorized",
}


def refusal(errcode: int, detail: str = "") -> dict[str, Any]:
    """Return the body of an error, with a random request id."""
    message = MESSAGES.get(errcode, "unknown error") + (f" {detail}" if detail else "")
    request = f"{int(time.time()):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    return {"errcode": errcode, "errmsg": f"{message} rid: {request}"}
