"""Name AWS's and botocore's errors, and say in Chinese what to do.

Messages of botocore may quote what was sent, so that only an error's code or class is shown.
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.catalogue import fill

from . import words


def kind(error: BaseException | None) -> str:
    """Return AWS's error code, or the class of botocore's error."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "?"))
    if isinstance(error, ValueError) and str(error).startswith("Invalid endpoint"):
        return "InvalidEndpoint"
    if code := getattr(error, "cause_response_code", None):
        return str(code)
    # pynamodb's error has botocore's one as an attribute.
    cause = getattr(error, "cause", None)
    return type(cause if isinstance(cause, BotoCoreError) else error).__name__


def advice(error: BaseException | None) -> str:
    """Return the sentence on what the error means and what to do; empty where it has none."""
    return words.AWS_ADVICE.get(kind(error).removesuffix("Exception"), "")


def described(template: str, error: BaseException | None, **values: str) -> str:
    """Return the template with the error's kind as `$what`, followed by the advice."""
    return fill(template, what=kind(error), **values) + advice(error)
