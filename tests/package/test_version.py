"""The package states its version."""

from __future__ import annotations

import pytest

from chalicelib.version import VERSION
from infra.deploy.package import REGIONS
from tests.package import built


@pytest.mark.parametrize("partition", sorted(REGIONS))
def test_the_stack_s_description_has_the_version(partition: str) -> None:
    """CloudFormation shows the description, and so the deployed version."""
    assert VERSION in built.template(partition)["Description"]
