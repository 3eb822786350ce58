"""The cookies of a browser that calls the service through its HTTP API."""

from __future__ import annotations

from chalice.test import HTTPResponse


def header(jar: dict[str, str]) -> str:
    """Return the Cookie header with all cookies of the jar."""
    return "; ".join(f"{name}={value}" for name, value in jar.items())


def store(jar: dict[str, str], answer: HTTPResponse) -> None:
    """Keep the cookies that a response sets, and remove those that it ends."""
    found: str | list[str] = answer.headers.get("Set-Cookie", [])
    for cookie in [found] if isinstance(found, str) else found:
        pair, *attributes = cookie.split("; ")
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            jar.pop(name, None)
        else:
            jar[name] = value
