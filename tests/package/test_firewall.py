"""The WAF's rule on starts: the code's rate, and every spelling of the path."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from chalicelib.domain.limits import HOUR, Limits
from infra.deploy.package import TEMPLATES
from infra.deploy.tables import load_template


def normalised(path: str) -> str:
    """Return what NORMALIZE_PATH makes of a path: no repeated slashes, no dot segments."""
    slash = "/" if path.endswith("/") else ""
    whole = posixpath.normpath(re.sub("/+", "/", "/" + path))
    return whole if whole.endswith("/") else whole + slash


# AWS WAF Developer Guide, "Using text transformations in AWS WAF".
TRANSFORMATIONS: dict[str, Callable[[str], str]] = {
    "URL_DECODE": unquote,
    "NORMALIZE_PATH": normalised,
    "LOWERCASE": str.lower,
}


@pytest.fixture(scope="module")
def rate() -> Any:
    """The rate-based statement of the rule on starts."""
    (edge,) = (path for path in TEMPLATES if path.name == "edge.yaml")
    rules = load_template(edge)["Resources"]["Firewall"]["Properties"]["Rules"]
    (statement,) = (rule["Statement"] for rule in rules if rule["Name"] == "starts")
    return statement["RateBasedStatement"]


def matches(statement: dict[str, Any], text: str) -> bool:
    """Return whether a statement matches its field's text, transformed as it states."""
    ((kind, body),) = statement.items()
    for each in sorted(body["TextTransformations"], key=lambda each: int(each["Priority"])):
        text = TRANSFORMATIONS[each["Type"]](text)
    if kind == "RegexMatchStatement":
        return re.search(body["RegexString"], text) is not None
    assert (kind, body["PositionalConstraint"]) == ("ByteMatchStatement", "EXACTLY")
    return bool(text == body["SearchString"])


def is_counted(rate: dict[str, Any], method: str, path: str) -> bool:
    """Return whether the rule counts a request."""
    by_method, by_path = rate["ScopeDownStatement"]["AndStatement"]["Statements"]
    assert by_method["ByteMatchStatement"]["FieldToMatch"] == {"Method": {}}
    assert by_path["RegexMatchStatement"]["FieldToMatch"] == {"UriPath": {}}
    return matches(by_method, method) and matches(by_path, path)


SPELLINGS = [
    "/recovery",
    "/prod/recovery",
    "/recovery/",
    "/recovery//",
    "//recovery",
    "/prod//recovery/",
    "/./recovery",
    "/prod/x/../recovery",
    "/recovery/.",
    "/recovery/code/..",
    "/RECOVERY",
    "/Recovery/",
    "/%72ecovery",
    "/%72%65%63overy",
    "/recovery%2F",
    "/recovery%2f%2F",
    "%2frecovery",
    "/prod%2Frecovery",
    "/%2e/recovery",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_every_spelling_of_the_path_is_counted(rate: dict[str, Any], path: str) -> None:
    """Whichever of them API Gateway routes to the function."""
    assert is_counted(rate, "POST", path)
    assert is_counted(rate, "post", path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/recovery"),
        ("POST", "/recovery/code"),
        ("POST", "/recovery/password"),
        ("POST", "/recovery/unbinding"),
        ("POST", "/prod/wechat/callback"),
        ("POST", "/recoveries"),
        ("POST", "/"),
    ],
)
def test_no_other_call_is_counted(rate: dict[str, Any], method: str, path: str) -> None:
    """A recovery makes several calls, and one start."""
    assert not is_counted(rate, method, path)


def test_the_rate_is_the_code_s(rate: dict[str, Any]) -> None:
    """The same number in an hour, counted by address over WAF's longest window."""
    assert rate["AggregateKeyType"] == "IP"
    assert rate["EvaluationWindowSec"] == 600
    assert rate["Limit"] * HOUR == Limits().starts_per_address_hour * rate["EvaluationWindowSec"]
