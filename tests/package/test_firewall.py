"""The WAF's rules: the code's rate of starts, every spelling of the path, and the login page's server."""

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
    "NONE": str,
}


(EDGE,) = (load_template(path)["Resources"] for path in TEMPLATES if path.name == "edge.yaml")
RATES: dict[str, Any] = {
    rule["Name"]: rule["Statement"]["RateBasedStatement"]
    for rule in EDGE["Firewall"]["Properties"]["Rules"]
}
"""The rate-based statement of each rule."""


@pytest.fixture
def rate() -> Any:
    """The rate-based statement of the rule on starts."""
    return RATES["starts"]


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
    return holds(rate["ScopeDownStatement"], {"Method": method, "UriPath": path})


def holds(statement: dict[str, Any], request: dict[str, str]) -> bool:
    """Return whether a statement holds of a request, given by WAF's names of its parts."""
    ((kind, body),) = statement.items()
    if kind == "AndStatement":
        return all(holds(each, request) for each in body["Statements"])
    if kind == "NotStatement":
        return not holds(body["Statement"], request)
    ((part, _),) = body["FieldToMatch"].items()
    return matches(statement, request[part])


def counting(method: str, path: str) -> set[str]:
    """Return the names of the rules that count a request."""
    return {name for name, rate in RATES.items() if is_counted(rate, method, path)}


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


@pytest.mark.parametrize("path", ["/credentials/verify", "/prod/credentials/verify"])
def test_the_login_page_s_server_has_a_rule_of_its_own(path: str) -> None:
    """It sends every login from one address, which ten requests a second would lock out."""
    assert counting("POST", path) == {"logins"}
    logins = RATES["logins"]
    assert logins["AggregateKeyType"] == "IP"
    throttle = EDGE["RestAPI"]["Properties"]["MethodSettings"][0]["ThrottlingRateLimit"]
    assert logins["Limit"] == throttle / 2 * logins["EvaluationWindowSec"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/credentials/verify"),
        ("POST", "/credentials/verify/"),
        ("POST", "//credentials/verify"),
        ("POST", "/Credentials/verify"),
        ("POST", "/credentials%2Fverify"),
        ("GET", "/assets/x%2Fcredentials%2Fverify"),
        ("POST", "/recovery/../credentials/verify"),
        ("POST", "/wechat/callback/credentials/verify"),
        ("POST", "/credentials/verify%0A"),
        ("GET", "/"),
        ("POST", "/wechat/callback"),
    ],
)
def test_no_other_request_passes_by_the_rule_on_everything(method: str, path: str) -> None:
    """The wide limit is for that one call in its own spelling."""
    assert counting(method, path) == {"everything"}


def test_starts_count_as_everything_too() -> None:
    """The narrower rule comes first; neither excludes the other."""
    assert counting("POST", "/recovery") == {"starts", "everything"}
