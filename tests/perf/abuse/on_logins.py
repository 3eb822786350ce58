"""Attacks on one login: its recoveries, its live code, its secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chalicelib.domain.limits import DAY, HOUR, MINUTE
from tests.perf.abuse.guessing import PASSWORD, Attackers, Guesser, LiveCode
from tests.perf.abuse.people import (
    PATIENCE,
    Attack,
    Scale,
    addresses,
    owner_of_login,
    wechats,
)
from tests.perf.abuse.report import Result
from tests.perf.abuse.requester import Answer, Requester, recover_within
from tests.perf.abuse.target import DEFAULT, phone_of, running

PROBES = (1, 6, 12, 18, 22)
"""Hours at which the owner tries to recover the login."""

Turns = Callable[[Sequence[Requester], str], list[Callable[[], int]]]

_BLOCK = "keep an owner from recovering for a day"


def _wrong_codes(attackers: Sequence[Requester], login: str) -> list[Callable[[], int]]:
    live = LiveCode()
    return [Guesser(attacker, login, live).turn for attacker in attackers]


def _sends(attackers: Sequence[Requester], login: str) -> list[Callable[[], int]]:
    def turn(attacker: Requester) -> int:
        started = attacker.start(login)
        answer = started
        while answer.ok:
            answer = attacker.send(str(started.body["token"]))
            if answer.ok:
                attacker.target.wait(int(answer.body["resend_in"]))
        return answer.retry_after or HOUR

    return [lambda one=one: turn(one) for one in attackers]  # type: ignore[misc]


def _starts(attackers: Sequence[Requester], login: str) -> list[Callable[[], int]]:
    def turn(attacker: Requester) -> int:
        while (answer := attacker.start(login)).ok:
            pass
        return answer.retry_after or HOUR

    return [lambda one=one: turn(one) for one in attackers]  # type: ignore[misc]


def _block(
    name: str, by: str, turns: Turns, *, bound: bool, count: int
) -> Callable[[Scale], Result]:
    """Return an attack on the recoveries of one login, by one WeChat or by several addresses.

    Without a WeChat a visitor can have codes sent only to a login that is bound to one.
    """

    def attack(scale: Scale) -> Result:
        with running(2, bound=bound, full_proof=scale.full_proof) as target:
            login = target.firms[0].firm_no
            make = addresses if bound else wechats
            attackers = make(target, scale, count)
            acting = Attackers(target, turns(attackers, login))
            began, journeys = target.now, []
            for hour in PROBES:
                acting.act_until(began + hour * HOUR)
                owner = owner_of_login(target, login)
                journeys.append(recover_within(owner, login, PATIENCE, acting.act_until))
            done = sum(journey.complete for journey in journeys)
            worst = min(journeys, key=lambda one: (one.complete, -one.waited_s))
            return Attack(name, _BLOCK, by).result(
                target,
                attackers,
                seen=f"the owner recovers at {done} of {len(PROBES)} hours of the day",
                reached=not done,
                partly=done < len(PROBES),
                owner=str(worst),
            )

    return attack


def end_live_code(scale: Scale) -> Result:
    """Try wrong codes on the code that the owner has just received."""
    with running(2, full_proof=scale.full_proof) as target:
        login = target.firms[0].firm_no
        owner, attacker = owner_of_login(target, login), wechats(target, scale)[0]
        token = str(owner.start(login).body["token"])
        owner.send(token)
        theirs = str(attacker.start(login).body["token"])
        tries = 0
        wrong = _other(target.codes(login)[-1])
        while attacker.confirm(theirs, wrong, PASSWORD).code == "code-wrong":
            tries += 1
        confirmed = owner.confirm(token, target.codes(login)[-1], "Neu-gesetzt-1x")
        return Attack("2a", "end an owner's live code", "one WeChat, wrong codes").result(
            target,
            [attacker],
            seen=f"{tries} tries; the owner's code: {confirmed.code or 'accepted'}",
            reached=not confirmed.ok,
        )


def replace_live_code(scale: Scale) -> Result:
    """Have another code sent to the owner's phone."""
    with running(2, full_proof=scale.full_proof) as target:
        login = target.firms[0].firm_no
        owner, attacker = owner_of_login(target, login), wechats(target, scale)[0]
        token = str(owner.start(login).body["token"])
        owner.send(token)
        target.wait(MINUTE)
        attacker.send(str(attacker.start(login).body["token"]))
        newest = target.codes(login)[-1]
        confirmed = owner.confirm(token, newest, "Neu-gesetzt-1x")
        return Attack("2b", "end an owner's live code", "one WeChat, a send").result(
            target,
            [attacker],
            seen=f"the newest code on the owner's phone: {confirmed.code or 'accepted'}",
            reached=not confirmed.ok,
        )


def see_live_code(scale: Scale) -> Result:
    """Poll the progress of an own recovery while somebody else's code is live."""
    with running(2, full_proof=scale.full_proof) as target:
        login = target.firms[0].firm_no
        owner, attacker = owner_of_login(target, login), wechats(target, scale)[0]
        owner.send(str(owner.start(login).body["token"]))
        theirs = str(attacker.start(login).body["token"])
        state = attacker.call("GET", "/recovery", token=theirs).body["state"]
        return Attack("2c", "learn that an owner's code is live", "one WeChat").result(
            target, [attacker], seen=f"state {state}", reached=state == "code_sent"
        )


def _other(code: str) -> str:
    return ("1" if code == "0" * len(code) else "0") * len(code)


_DECOYS = 300
"""Passwords that are tried without the secret; then the attack counts as failed."""


def _learn(name: str, what: str, *, in_wechat: bool) -> Callable[[Scale], Result]:
    """Return an attack that looks for an answer which depends on a secret in the password.

    The second password contains the secret, so that no limit can have been reached before.
    """

    def attack(scale: Scale) -> Result:
        with running(2, full_proof=scale.full_proof) as target:
            firm = target.firms[0]
            login = firm.finance if what == "the default password" else firm.firm_no
            secret = DEFAULT if what == "the default password" else phone_of(login)[3:]
            by = wechats if in_wechat else addresses
            (attacker,) = by(target, scale, 1)
            token = str(attacker.start(login).body["token"])
            if in_wechat:
                attacker.send(token)
            seen: list[tuple[object, ...]] = []
            refused = 0
            for number in range(_DECOYS):
                candidate = secret if number == 1 else _decoy(secret, number)
                answer = attacker.confirm(token, "000000", f"Zr#vq-{candidate}-Kx")
                seen.append(_signature(answer))
                refused = refused + 1 if answer.status == 429 else 0
                if refused == 3:
                    break
            differs = seen[1] not in (*seen[:1], *seen[2:])
            method = "in WeChat" if in_wechat else "in a browser"
            return Attack(name, f"learn {what} from the password rules", method).result(
                target,
                [attacker],
                seen=f"{len(seen)} guesses, "
                + ("the answer differs" if differs else "all answers alike"),
                reached=differs,
                owner_of=login,
            )

    return attack


def _decoy(secret: str, number: int) -> str:
    return str(number + 4_700_000_000_000)[-len(secret) :]


def _signature(answer: Answer) -> tuple[object, ...]:
    return answer.status, answer.code, tuple(answer.body.get("reasons", ()))


def _guess(name: str, by: str, *, many: bool) -> Callable[[Scale], Result]:
    """Return an attack on the codes of one login, for a day."""

    def attack(scale: Scale) -> Result:
        with running(2, full_proof=scale.full_proof) as target:
            login = target.firms[0].firm_no
            attackers = wechats(target, scale, scale.requesters if many else 1)
            live = LiveCode()
            guessers = [Guesser(attacker, login, live) for attacker in attackers]
            acting = Attackers(target, [guesser.turn for guesser in guessers])
            acting.act_until(target.now + DAY - 1)
            compared = sum(guesser.compared for guesser in guessers)
            chance = sum(guesser.chance for guesser in guessers)
            aim = f"more than {NIST_LIMIT} guesses at one login in a day"
            return Attack(name, aim, by.format(scale.requesters)).result(
                target,
                attackers,
                seen=f"{compared} compared, chance {chance:.1e}",
                reached=compared > NIST_LIMIT,
            )

    return attack


NIST_LIMIT = 100
"""Failed attempts on one account, NIST SP 800-63B-4, section 3.2.2."""

ATTACKS: dict[str, Callable[[Scale], Result]] = {
    "1a": _block("1a", "one WeChat, wrong codes", _wrong_codes, bound=False, count=1),
    "1b": _block("1b", "one WeChat, sends", _sends, bound=False, count=1),
    "1c": _block("1c", "one WeChat, starts", _starts, bound=False, count=1),
    "1d": _block("1d", "three addresses, wrong codes", _wrong_codes, bound=True, count=3),
    "1e": _block("1e", "three addresses, starts", _starts, bound=True, count=3),
    "2a": end_live_code,
    "2b": replace_live_code,
    "2c": see_live_code,
    "5a": _learn("5a", "the phone", in_wechat=True),
    "5b": _learn("5b", "the phone", in_wechat=False),
    "5c": _learn("5c", "the default password", in_wechat=True),
    "5d": _learn("5d", "the default password", in_wechat=False),
    "6a": _guess("6a", "one WeChat", many=False),
    "6b": _guess("6b", "{} WeChats", many=True),
}
