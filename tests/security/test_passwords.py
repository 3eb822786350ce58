"""Attacks 60 to 63: stolen tables, other recoveries, weak passwords, proofs of work."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import altcha
import boto3
import pytest
from argon2 import PasswordHasher as Argon2
from argon2.exceptions import VerificationError

from chalicelib.domain import codes
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.security.proof_of_work import LIFETIME, Proofs
from chalicelib.services.code_issuer import CodeIssuer
from chalicelib.services.proof_check import ProofCheck
from chalicelib.services.recovery import Recovery
from chalicelib.store import code_updates, logins, reset_runs
from chalicelib.store.message_dedup import MessageDedup
from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, SETTINGS, CheapHasher, MakeWorld, World, add_firm
from tests.security.actions import code_item, draw, tries
from tests.security.mutation import SourceMutation, attack
from tests.support.callbacks import TAPPED, send_message
from tests.support.yearly_reset import ResetWorld

MAIN, FINANCE, DEFAULT = "11010148", "11010148_cw", "010123X"
PEPPER = SETTINGS["CODE_PEPPER"].encode()


def dump() -> str:
    """Return every item of every table as text."""
    client = boto3.client("dynamodb")
    names = client.list_tables()["TableNames"]
    assert len(names) == 7
    return json.dumps([client.scan(TableName=name)["Items"] for name in names], default=str)


# 60


def guesses(code: str, login: str, method: str, pepper: bytes) -> set[str]:
    """Return the forms in which a code might be stored, with this pepper or without any."""
    made = codes.digest(
        code, login=login, method=method, purpose="password", version=1, pepper=pepper
    )
    texts = (code, f"{login}{code}", f"{login}:{code}", f"{login}\0{method}\0{code}")
    plain = {
        hashlib.new(kind, word.encode()).hexdigest() for kind in ("sha256", "md5") for word in texts
    }
    return {made.partition(":")[2], hmac.new(b"", code.encode(), "sha256").hexdigest(), *plain}


@attack(
    60,
    SourceMutation(
        codes.digest, "hmac.new(pepper, message, hashlib.sha256)", "hashlib.sha256(message)"
    ),
    SourceMutation(
        PasswordHasher._pepper,
        "hmac.new(pepper, message, hashlib.sha256)",
        "hashlib.sha256(message)",
    ),
    SourceMutation(
        PasswordHasher.hash, "self._argon2.hash(peppered)", "self._argon2.hash(password)"
    ),
    SourceMutation(CodeIssuer.issue, "self._sealer.seal(_sealing_purpose(login), code)", "code"),
    SourceMutation(MessageDedup.first_answer, "self._sealer.seal(purpose, answer)", "answer"),
)
def test_the_tables_alone_disclose_no_code_and_no_password(world: World) -> None:
    """All codes and default passwords can be tried, so that the tables must not confirm a guess."""
    draw(world, "004242", "004242")
    stored = world.service.hasher.hash(DEFAULT)
    LoginItem(FINANCE).update(
        [LoginItem.openid.set("o-alice"), LoginItem.password_hash.set(stored)]
    )
    token = world.token(MAIN)
    world.send(token)
    assert world.confirm(token, "004242").status_code == 200
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    assert world.send(world.token(FINANCE)).json_body["delivery"] == "pull"
    world.clock.time += 1
    assert "004242" in send_message(world, TAPPED)

    stolen = dump()
    for login, method in ((MAIN, "sms"), (FINANCE, "wechat")):
        # With the pepper the code is found, so that the search is effective.
        assert [guess for guess in guesses("004242", login, method, PEPPER) if guess in stolen]
        for number in range(4_200, 4_300):
            for pepper in (b"", b"pepper", b"q" * 32):
                tried = guesses(f"{number:06d}", login, method, pepper)
                assert not [guess for guess in tried if guess in stolen]
    assert '"004242"' not in stolen
    assert "\\u9a8c\\u8bc1\\u7801" not in stolen
    for secret in (PASSWORD, DEFAULT):
        assert secret not in stolen
    for login, password in ((MAIN, PASSWORD), (FINANCE, DEFAULT)):
        stored_hash = world.login_item(login).password_hash
        assert world.service.hasher.verify(stored_hash, password)
        assert not CheapHasher({1: b"q" * 32}).verify(stored_hash, password)
        with pytest.raises(VerificationError):
            Argon2().verify(stored_hash.partition(":")[2], password)


# 61


@attack(
    61,
    SourceMutation(
        code_updates.login_unchanged,
        '(LoginItem.password_version == number("version")) & same_destination',
        "same_destination",
    ),
    SourceMutation(code_updates.change_login, "LoginItem.changed_at.set(now_param),"),
)
@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_a_recovery_ends_all_others_and_returns_when_sessions_must_end(world: World) -> None:
    """Also those with the same destination; the login page receives the time of the change."""
    LoginItem(MAIN).update([LoginItem.openid.set("o-alice")])
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    draw(world, *["123456"] * 5)
    mine, other = world.token(openid="o-alice"), world.token(openid="o-mallory")
    world.send(mine)
    assert world.confirm(mine, "123456").status_code == 200
    world.clock.time += 60
    late = world.token(openid="o-alice")
    for token in (mine, other):
        assert world.send(token).status_code == 401
        # They cannot use the code of the new recovery either.
        assert world.send(late).status_code == 202
        assert world.confirm(token, "123456", "Mallory-horse-9").status_code == 401
        world.clock.time += 60
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)
    asked = world.call("POST", "/credentials/verify", {"login": MAIN, "password": PASSWORD})
    assert asked.json_body["changed_at"] == 1_800_000_000


@attack(
    61,
    SourceMutation(
        reset_runs._add_reset, "LoginItem.password_version.set(LoginItem.password_version + 1),"
    ),
)
def test_the_yearly_reset_ends_recoveries(yearly: ResetWorld) -> None:
    """A recovery begun before the reset sends no code after it."""
    world = yearly.world
    add_firm(world.service.hasher)
    token = world.token(FINANCE)
    yearly.schedule()
    yearly.work()
    assert world.send(token).status_code == 401
    assert world.call("GET", "/recovery", token=token).status_code == 401


# 62


@attack(
    62,
    SourceMutation(
        Recovery.complete,
        "if reasons:",
        "if self._codes.consume_attempt(claims.login, requester, None, now) and reasons:",
    ),
    SourceMutation(Recovery.complete, "if reasons:", "if False:"),
)
def test_a_weak_password_costs_no_attempt(world: World) -> None:
    """After any number of weak passwords the code has all of its five attempts."""
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    for number in range(6):
        refused = world.confirm(token, code, ("short", "password-1", f"A1-{MAIN}")[number % 3])
        assert (refused.status_code, refused.json_body.get("code")) == (422, "weak-password")
    assert tries(MAIN) == 0
    assert code_item(MAIN).wrongs is None
    wrong = world.confirm(token, f"{(int(code) + 1) % 1_000_000:06d}")
    assert wrong.json_body["attempts_left"] == 4
    assert world.confirm(token, code).status_code == 200


# 63


def solved(world: World, challenge: dict[str, Any], solution: dict[str, Any] | None = None) -> str:
    """Return the proof of a challenge, with its own solution or another one's."""
    if solution is None:
        result = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
        assert result is not None
        solution = {"counter": result.counter, "derivedKey": result.derived_key}
    payload = {"challenge": challenge, "solution": solution}
    return base64.b64encode(json.dumps(payload).encode()).decode()


@attack(
    63,
    SourceMutation(
        logins._count_start,
        "condition &= LoginItem.proofs.does_not_exist() | ~LoginItem.proofs.contains(proof)",
        "pass",
    ),
    SourceMutation(ProofCheck.verify, " or proof.login not in (None, login)"),
    SourceMutation(ProofCheck.verify, 'not claim_once("proof", proof.id, now, LIFETIME)', "False"),
    SourceMutation(Proofs.check, 'data.get("action") != action', "False"),
    SourceMutation(Proofs.check, "expires_at <= self._clock()", "False"),
    SourceMutation(Proofs.check, "if not any(", "if False and any("),
    SourceMutation(Proofs.check, " or worth < factor"),
)
def test_a_proof_of_work_pays_for_one_start(make_world: MakeWorld) -> None:
    """Not for a second start, another login, action or challenge, nor after its end."""
    world = make_world(PROOF_OF_WORK="1")
    add_firm(world.service.hasher)
    world.service.proofs = proofs = Proofs([SETTINGS["SIGNING_KEYS"].encode()], world.clock, cost=1)

    def start(proof: str | None, login: str = MAIN) -> int | str:
        body = {"user_type": "firm", "login": login, **({"proof": proof} if proof else {})}
        answer = world.call("POST", "/recovery", body)
        return "invalid" if answer.json_body.get("code") == "proof-invalid" else answer.status_code

    def challenge(login: str | None = None) -> dict[str, Any]:
        path = "/proof" + (f"?login={login}" if login else "")
        return dict(world.call("GET", path).json_body)

    assert start(None) == "invalid"
    bound, free = solved(world, challenge(MAIN)), solved(world, challenge())
    assert start(bound, FINANCE) == "invalid"
    assert start(bound) == 201
    assert start(bound) == "invalid"
    assert start(free) == 201
    assert start(free, FINANCE) == "invalid"
    assert start(solved(world, proofs.challenge("another", MAIN))) == "invalid"

    solution = json.loads(base64.b64decode(bound))["solution"]
    assert start(solved(world, challenge(MAIN), solution)) == "invalid"
    spliced = challenge(MAIN)
    spliced["parameters"] = {
        **spliced["parameters"],
        "data": {"action": "recovery", "login": FINANCE},
    }
    assert start(solved(world, spliced), FINANCE) == "invalid"
    late = solved(world, challenge(MAIN))
    world.clock.time += LIFETIME
    assert start(late) == "invalid"

    # Work for one factor is no work for a higher one, whatever else the sender writes into it.
    ordinary, hard = proofs.challenge("recovery", MAIN), proofs.challenge("recovery", MAIN, 8)
    proof = solved(world, ordinary)
    assert proofs.check(proof, "recovery") is not None
    assert proofs.check(proof, "recovery", 2) is None
    worth = proofs.check(solved(world, hard), "recovery", 8)
    assert worth is not None
    assert worth.factor == 8
    solution = json.loads(base64.b64decode(proof))["solution"]
    for parameters in (
        {**ordinary["parameters"], "data": hard["parameters"]["data"]},
        {**hard["parameters"], "keyPrefix": ordinary["parameters"]["keyPrefix"]},
        {**hard["parameters"], "cost": 0},
    ):
        for signature in (ordinary["signature"], hard["signature"]):
            spliced = {"parameters": parameters, "signature": signature}
            assert proofs.check(solved(world, spliced, solution), "recovery") is None
