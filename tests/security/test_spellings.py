"""Spellings of the path of a start: attack 76."""

from __future__ import annotations

from chalicelib.handlers import recovery
from chalicelib.services.rate_limits import StartLimiter
from tests.conftest import MakeWorld, add_firm
from tests.security.mutation import SourceMutation, attack

START = {"user_type": "firm", "login": "11010148"}
MOST = 3

SPELLINGS = [
    "/recovery/",
    "/recovery",
    "//recovery",
    "/recovery//",
    "/Recovery",
    "/RECOVERY/",
    "/%72ecovery",
    "/recovery%2F",
    "/./recovery",
    "/recovery/.",
    "/recovery?",
    "/recovery/?x=1",
    "/recovery;x",
    "/recovery#x",
]


@attack(
    76,
    SourceMutation(recovery.start, "service.start_limiter.count", "bool and (lambda *_: None)"),
    SourceMutation(
        StartLimiter._count,
        "if wait := retry_after(seen.starts",
        "if False and retry_after(seen.starts",
    ),
)
def test_no_spelling_of_the_path_passes_by_the_limit(make_world: MakeWorld) -> None:
    """A spelling that reaches the function counts with all the others; the rest reach nothing."""
    world = make_world(LIMIT_STARTS_PER_ADDRESS_HOUR=str(MOST))
    add_firm(world.service.hasher)
    statuses = [
        world.call("POST", path, START).status_code for _ in range(MOST) for path in SPELLINGS
    ]
    assert statuses.count(201) == MOST
    # The trailing slash is one that reaches it: API Gateway and Chalice's local gateway remove it.
    assert statuses[0] == 201
    assert set(statuses) <= {201, 403, 404, 405, 429}
    assert len(world.login_item().starts) == MOST
