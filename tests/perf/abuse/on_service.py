"""Attacks on many logins at once, and through them on everybody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from chalicelib.domain.limits import DAY, MINUTE
from tests.perf.abuse.guessing import Guesser
from tests.perf.abuse.on_logins import NIST_LIMIT
from tests.perf.abuse.people import (
    Attack,
    Scale,
    attacked_logins,
    owner_of_login,
    visitor,
    wechats,
)
from tests.perf.abuse.report import Result
from tests.perf.abuse.requester import Answer, Requester
from tests.perf.abuse.target import DEFAULT, HEAD, OPENING, Target, running

_BATCH = 60
"""Logins that are attacked in turn, so that the pause between two codes is used for the others."""
_REFUSALS = 10
"""Refusals in a row after which an attack ends."""
_UNKNOWN = 2_400
"""Wrong passwords of one attack; the budget is 2,000 an hour."""
_TRIES = 5
"""Wrong passwords of one login in half an hour."""
_CODES = 2
"""Codes on which ten wrong tries are made, which is a login's day."""
_SENDS = 5
"""Codes to one phone in an hour."""
_WRONG = "Falsch-geraten-7x"

_SERVICE = "stop everybody's recoveries"


class _Refusals:
    """Counts refusals in a row."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def add(self, ok: bool) -> None:
        self._in_a_row = 0 if ok else self._in_a_row + 1

    @property
    def too_many(self) -> bool:
        return self._in_a_row >= _REFUSALS


def _batches(logins: Sequence[str]) -> Iterator[Sequence[str]]:
    return (logins[start : start + _BATCH] for start in range(0, len(logins), _BATCH))


def wrong_codes(scale: Scale) -> Result:
    """Enter wrong codes for as many logins as it takes."""
    with running(scale.firms, full_proof=scale.full_proof) as target:
        (attacker,) = wechats(target, scale)
        refusals, compared = _Refusals(), 0
        for logins in _batches(attacked_logins(target, scale)):
            guessers = [Guesser(attacker, login, change_address=True) for login in logins]
            for _ in range(2):
                for guesser in guessers:
                    before = guesser.compared
                    if not refusals.too_many:
                        guesser.turn(codes=1)
                        refusals.add(guesser.compared > before)
                target.wait(MINUTE)
            compared += sum(guesser.compared for guesser in guessers)
            if refusals.too_many:
                break
        return Attack("3a", _SERVICE, "one WeChat, wrong codes").result(
            target, [attacker], seen=f"{compared:,} wrong codes compared"
        )


def sends(scale: Scale) -> Result:
    """Have codes sent to as many logins as it takes."""
    with running(scale.firms, full_proof=scale.full_proof) as target:
        (attacker,) = wechats(target, scale)
        refusals, count = _Refusals(), 0
        for logins in _batches(attacked_logins(target, scale)):
            tokens = [
                str(started.body["token"])
                # A limit of starts must not hide how many codes can be sent.
                for started in _started(attacker, logins, _Refusals())
                if started.ok
            ]
            for _ in range(_SENDS):
                for token in tokens:
                    if not refusals.too_many:
                        sent = attacker.send(token).ok
                        count += sent
                        refusals.add(sent)
                target.wait(MINUTE)
            if refusals.too_many or not tokens:
                break
        return Attack("3b", _SERVICE, "one WeChat, sends").result(
            target, [attacker], seen=f"{count:,} codes sent"
        )


def _started(attacker: Requester, logins: Sequence[str], refusals: _Refusals) -> Iterator[Answer]:
    """Begin recoveries until too many are refused in a row."""
    for login in logins:
        if refusals.too_many:
            return
        answer = attacker.start_from_any_address(login)
        refusals.add(answer.ok)
        yield answer


def _sweep(name: str, aim: str) -> Callable[[Scale], Result]:
    """Return an attack that begins a recovery of each login, whose answer has the masked phone.

    An `aim` with a placeholder for the number of logins is reached when each was seen; one without,
    when a fresh visitor is stopped.
    """

    def attack(scale: Scale) -> Result:
        with running(scale.firms, full_proof=scale.full_proof) as target:
            (attacker,) = wechats(target, scale)
            logins = attacked_logins(target, scale)
            answers = list(_started(attacker, logins, _Refusals()))
            phones = {answer.body["destination"] for answer in answers if answer.ok}
            seen = sum(answer.ok for answer in answers)
            return Attack(name, aim.format(len(logins)), "one WeChat, starts").result(
                target,
                [attacker],
                seen=f"{seen:,} logins seen, {len(phones):,} masked phones",
                reached=seen == len(logins) if "{" in aim else None,
            )

    return attack


def guess_everywhere(scale: Scale) -> Result:
    """Guess codes of one login after the other for a day."""
    with running(scale.firms, full_proof=scale.full_proof) as target:
        (attacker,) = wechats(target, scale)
        refusals, compared, chance = _Refusals(), 0, 0.0
        ends_at = target.now + DAY
        for login in attacked_logins(target, scale):
            guesser = Guesser(attacker, login, change_address=True)
            pause = guesser.turn(codes=_CODES)
            compared, chance = compared + guesser.compared, chance + guesser.chance
            refusals.add(bool(guesser.compared))
            if refusals.too_many:
                # Of the requester or of the whole service: it ends by time alone.
                target.wait(max(MINUTE, pause))
            if target.now >= ends_at:
                break
        aim = f"more than {NIST_LIMIT} guesses at codes in a day"
        return Attack("6c", aim, "one WeChat, all logins").result(
            target,
            [attacker],
            seen=f"{compared:,} compared, chance {chance:.1e}",
            reached=compared > NIST_LIMIT,
        )


def unbind(scale: Scale) -> Result:
    """Unbind logins with the details of their firms, which are public."""
    with running(scale.firms, bound=True, full_proof=scale.full_proof) as target:
        (attacker,) = wechats(target, scale)
        firms = {login: firm for firm in target.firms for login in (firm.firm_no, firm.finance)}
        logins = attacked_logins(target, scale)[:600]
        refusals, unbound = _Refusals(), 0
        for login in logins:
            if refusals.too_many:
                break
            started = attacker.start_from_any_address(login)
            done = started
            if started.ok:
                firm = firms[login]
                token = str(started.body["token"])
                done = attacker.unbind(token, firm.firm_no, firm.approval_no, HEAD)
            unbound += done.ok
            refusals.add(done.ok)
        return Attack("7a", f"unbind {len(logins)} logins in an hour", "one WeChat").result(
            target,
            [attacker],
            seen=f"{unbound} unbound, {target.notices('wechat-unbound')} notices by SMS",
            reached=unbound == len(logins),
        )


def _verify(
    name: str, by: str, attempts: Callable[[Target, Scale], Iterator[str]]
) -> Callable[[Scale], Result]:
    """Return an attack that enters wrong passwords at the login page."""

    def attack(scale: Scale) -> Result:
        with running(scale.firms) as target:
            (attacker,) = wechats(target, scale)
            compared = sum(attacker.sign_in(login, _WRONG).ok for login in attempts(target, scale))
            other, firm = visitor(target), target.firms[-1]
            own = other.sign_in(firm.firm_no, OPENING)
            default = other.sign_in(firm.finance, DEFAULT)
            return Attack(name, "stop everybody's password checks", by).result(
                target,
                [attacker],
                seen=f"{compared:,} wrong; of others an own password: {_valid(own)}, "
                f"a default one: {_valid(default)}",
                reached=_valid(own) != "valid",
            )

    return attack


def _valid(answer: Answer) -> str:
    if not answer.ok:
        return answer.code
    return "valid" if answer.body["valid"] else "wrong"


def _unknown(_: Target, scale: Scale) -> Iterator[str]:
    return (f"{20_000_000 + number}" for number in range(min(_UNKNOWN, 3 * scale.logins)))


def _known(target: Target, scale: Scale) -> Iterator[str]:
    logins = attacked_logins(target, scale)
    return (login for _ in range(_TRIES) for login in logins)


def lock(scale: Scale) -> Result:
    """Enter wrong passwords of one login until it is locked."""
    with running(2) as target:
        (attacker,) = wechats(target, scale)
        login = target.firms[0].firm_no
        wrong = 0
        while (answer := attacker.sign_in(login, _WRONG)).ok:
            wrong += 1
        locked = owner_of_login(target, login).sign_in(login, OPENING)
        return Attack("4c", "lock one login's password check", "anybody").result(
            target,
            [attacker],
            seen=f"{wrong} wrong; locked for {(answer.retry_after or 0) // MINUTE} min, "
            "until a recovery at the latest",
            reached=not locked.ok,
        )


ATTACKS: dict[str, Callable[[Scale], Result]] = {
    "3a": wrong_codes,
    "3b": sends,
    "3c": _sweep("3c", _SERVICE),
    "4a": _verify("4a", "unknown logins", _unknown),
    "4b": _verify("4b", "known logins", _known),
    "4c": lock,
    "6c": guess_everywhere,
    "7a": unbind,
    "8a": _sweep("8a", "see the masked phones of {:,} logins"),
}
