"""The service's empty tables on moto, created once in a process and copied for each test."""

from __future__ import annotations

import copy
import functools
from typing import Any

from infra.deploy.tables import create_tables
from tests.support import moto_direct


@functools.cache
def _created(client: Any, prefix: str) -> dict[str, Any]:
    names = create_tables(client, prefix)
    tables = moto_direct.backend().tables
    return copy.deepcopy({name: tables[name] for name in names})


def create(client: Any, prefix: str) -> None:
    """Create the tables within the active `mock_aws`; `client` is a DynamoDB client for moto.

    Creating them by calls of the API takes a third of a test's set-up. A copy is as new as they are:
    no test compares the time or the id of a table.
    """
    moto_direct.backend().tables.update(copy.deepcopy(_created(client, prefix)))
