"""Attacks 56 to 59: the yearly reset and its guessable passwords."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.domain import passwords
from chalicelib.services import password_policy
from chalicelib.services.credential_check import CredentialCheck
from chalicelib.store import code_updates, logins, reset_runs
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.store.reset_runs import ResetRuns
from infra.ops import enrol
from infra.ops.enrolment.enrolment import Enrolment
from tests.conftest import PASSWORD, MakeWorld, World, add_firm
from tests.security.mutation import SourceMutation, Together, Value, attack
from tests.support.yearly_reset import (
    YEAR,
    Crash,
    ResetWorld,
    add_logins,
    client,
    interrupted,
)

FINANCE, DEFAULT = "11010148_cw", "010123X"

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def verify(world: World, password: str, login: str = FINANCE) -> tuple[int, Any]:
    """Return status and result of a verification: (valid, must_change), or the code of a problem."""
    answer = world.call("POST", "/credentials/verify", {"login": login, "password": password})
    body = answer.json_body
    return answer.status_code, body.get("code") or (body["valid"], body["must_change"])


@pytest.fixture
def reset(real_yearly: ResetWorld) -> ResetWorld:
    """A world with one firm on DynamoDB Local."""
    add_firm(real_yearly.world.service.hasher)
    return real_yearly


# 56


@attack(
    56,
    SourceMutation(
        CredentialCheck.verify,
        "VerifyResult(True, stored.must_change,",
        "VerifyResult(True, False,",
    ),
    SourceMutation(
        logins._count_password, "& within_limits(LoginItem.failures, windows, now_param)"
    ),
    SourceMutation(CredentialCheck.verify, "self._check_budget(stored)", "pass"),
)
def test_guessed_default_passwords_are_limited_and_must_be_changed(make_world: MakeWorld) -> None:
    """A right guess is marked must_change; wrong ones lock the login, and count for the service."""
    world = make_world(LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR="13")
    hasher = world.service.hasher
    for firm_no in ("11010148", "11010149", "11010150"):
        add_firm(hasher, firm_no)
        LoginItem(f"{firm_no}_cw").update([LoginItem.password_hash.set(hasher.hash(DEFAULT))])
    assert verify(world, DEFAULT) == (200, (True, True))
    # The last four ID digits have hundreds of possible values even for a known birthday.
    for firm_no in ("11010149", "11010150"):
        tried = [verify(world, f"0101{n:03d}", f"{firm_no}_cw")[1] for n in range(5)]
        assert tried == [(False, False)] * 5
        assert verify(world, DEFAULT, f"{firm_no}_cw") == (429, "too-many-attempts")
    for number in range(4):
        assert verify(world, f"0101{number:03d}")[0] in (200, 429)
    assert verify(world, DEFAULT) == (429, "too-many-requests")
    # The password is not accepted in place of a code.
    token = world.token(FINANCE)
    assert world.send(token).status_code == 202
    assert world.confirm(token, DEFAULT).status_code == 422
    assert world.login_item(FINANCE).must_change


# 57

HEADER = "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,opening_password\n"


@attack(
    57,
    SourceMutation(reset_runs._add_reset, "LoginItem.must_change.set(True),"),
    SourceMutation(Enrolment._enrol, "must_change=True", "must_change=False"),
    SourceMutation(code_updates.change_login, "LoginItem.must_change.set(False),"),
    Value(password_policy, "default_password", lambda *_: None),
    SourceMutation(passwords.private_weaknesses, "default.casefold() in folded", "False"),
)
def test_a_default_password_must_be_changed_wherever_it_came_from(
    yearly: ResetWorld, tmp_path: Any
) -> None:
    """After enrolment and after the reset, until a recovery sets one that does not contain it."""
    world = yearly.world
    path = tmp_path / "firms.csv"
    path.write_text(
        f"{HEADER}11010148,示例,11,京财会〔2012〕0084号,甄示例,123X,,13800001234,\n", "utf-8"
    )
    world.clock.time -= 3600
    assert enrol.load(path).loaded == 1
    for _ in range(2):
        assert verify(world, DEFAULT) == (200, (True, True))
    token = world.token(FINANCE)
    world.send(token)
    code = world.phones.codes[0]
    assert world.confirm(token, code, f"Horse-{DEFAULT.lower()}!").status_code == 422
    assert verify(world, DEFAULT) == (200, (True, True))
    assert world.confirm(token, code).status_code == 200
    assert verify(world, DEFAULT) == (200, (False, False))
    assert verify(world, PASSWORD) == (200, (True, False))
    world.clock.time += 3600
    yearly.schedule()
    assert yearly.work() == 1
    for _ in range(2):
        assert verify(world, DEFAULT) == (200, (True, True))


# 58


def read_by_both() -> Callable[[ResetRuns, Any], Any]:
    """Return a read of a chunk's logins that waits until both workers have read."""
    barrier, real = threading.Barrier(2), ResetRuns.logins

    def read(self: ResetRuns, names: Any) -> Any:
        items = real(self, names)
        barrier.wait(60)
        return items

    return read


@attack(
    58,
    SourceMutation(
        ResetRuns._settle, "RunItem.finished == (not finished)", "RunItem.year.exists()"
    ),
)
def test_a_chunk_finished_by_two_workers_is_counted_once(reset: ResetWorld) -> None:
    """One message is delivered twice concurrently, and both workers find the chunk unfinished."""
    add_logins(5)
    reset.schedule()
    messages = reset.receive()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(ResetRuns, "logins", read_by_both())
        assert list(pool.map(reset.invoke, [messages] * 2)) == [set(), set()]
    run = reset.story.status(YEAR)
    assert run is not None
    assert (run.logins, run.done, run.finished_chunks) == (6, 6, 1)
    assert len(reset.announcements()) == 1


@attack(
    58,
    SourceMutation(
        reset_runs._add_reset,
        "LoginItem.login.exists() & not_reset_yet & (LoginItem.changed_at < run.started_at)",
        "LoginItem.login.exists()",
    ),
    SourceMutation(ResetRuns.open, "RunItem.year.does_not_exist()", "None"),
)
def test_each_login_is_reset_once_a_year(reset: ResetWorld) -> None:
    """With the event repeated, concurrent deliveries, and workers that are killed after their writes."""
    add_logins(5)
    reset.schedule()
    first = reset.story.status(YEAR)
    assert first is not None
    reset.world.clock.time += 60
    reset.schedule()
    again = reset.story.status(YEAR)
    assert again is not None
    assert (again.started_at, again.logins) == (first.started_at, 6)

    # Two workers read the same logins before either writes; both are killed after their writes.

    def crash(operation: str) -> BaseException | None:
        return Crash() if operation == "TransactWriteItems" else None

    def work(batch: list[dict[str, Any]]) -> None:
        with pytest.raises(Crash):
            reset.invoke(batch)

    messages = reset.receive()
    assert len(messages) == 2
    with (
        pytest.MonkeyPatch.context() as patch,
        interrupted([client()], crash, after=True),
        ThreadPoolExecutor(2) as pool,
    ):
        patch.setattr(ResetRuns, "logins", read_by_both())
        list(pool.map(work, [[message] for message in messages]))

    # Both messages are delivered again concurrently, each twice; the event a third time.
    with ThreadPoolExecutor(4) as pool:
        assert set(map(frozenset, pool.map(reset.invoke, [messages[:1], messages[1:]] * 2))) == {
            frozenset()
        }
    reset.delete(messages, set())
    reset.schedule()
    assert reset.work() == 0
    for item in LoginItem.scan(LoginItem.login.contains("_cw")):
        assert (int(item.password_version), item.reset_year) == (2, YEAR)
        assert [event.event for event in AuditItem.query(item.login)] == ["yearly-reset"]
    assert reset.adds_up()
    assert len(reset.announcements()) == 1


# 59

NOT_CHANGED_SINCE = SourceMutation(
    reset_runs._add_reset, " & (LoginItem.changed_at < run.started_at)"
)
ENDS_CODE = SourceMutation(reset_runs._add_reset, "*END_CODE, ")
SAME_VERSION = SourceMutation(
    code_updates.login_unchanged,
    '(LoginItem.password_version == number("version")) & same_destination',
    "same_destination",
)


def before_write(reset: ResetWorld, action: Any) -> pytest.MonkeyPatch:
    """Call `action` once, between the hashing of a password and its write."""
    hasher, patch = reset.world.service.hasher, pytest.MonkeyPatch()
    real = hasher.hash

    def hash_password(password: str) -> str:
        patch.undo()
        made = real(password)
        action()
        return made

    patch.setattr(hasher, "hash", hash_password)
    return patch


@attack(59, NOT_CHANGED_SINCE)
def test_a_password_recovered_during_the_reset_is_kept(reset: ResetWorld) -> None:
    """The recovery ends after the worker has read the login and hashed the default password."""
    world = reset.world
    token = world.token(FINANCE)
    world.send(token)
    reset.schedule()
    world.clock.time += 1
    recovered: list[int] = []

    def recover() -> None:
        recovered.append(world.confirm(token, world.phones.codes[0]).status_code)

    before_write(reset, recover)
    reset.work()
    assert recovered == [200]
    assert verify(world, PASSWORD) == (200, (True, False))
    assert [(note.login, note.reason) for note in reset.story.notes(YEAR)] == [(FINANCE, "changed")]


@attack(59, Together(ENDS_CODE, SAME_VERSION))
def test_a_recovery_from_before_does_not_undo_the_reset(reset: ResetWorld) -> None:
    """The reset ends between comparison and write of the code, which is refused afterwards."""
    world = reset.world
    token = world.token(FINANCE)
    world.send(token)
    code = world.phones.codes[0]

    def run() -> None:
        reset.schedule()
        reset.work()

    before_write(reset, run)
    assert world.confirm(token, code).status_code in (401, 410)
    assert world.confirm(token, code).status_code in (401, 410)
    assert verify(world, DEFAULT) == (200, (True, True))
    assert [note.login for note in reset.story.notes(YEAR)] == []
