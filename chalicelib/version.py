"""The version of the service, as in pyproject.toml and CHANGELOG.md; a test compares them."""

VERSION = "0.2.0"
"""Semantic version, without a leading v. Part of /health, of each log line and of the package."""
