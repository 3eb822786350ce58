"""What people do on the demo page: acts on a phone, and acts of the tour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .clock import MovableClock
from .journal import Journal
from .people import People, Person
from .schedules import Scheduler
from .sms import SimulatedSms
from .tour import Tour
from .wechat import SimulatedWeChat
from .wechat.simulator import CannotDo

T = TypeVar("T")

ALWAYS = 99_999
"""The number of calls that a broken platform refuses."""

_SYSTEM_BUSY = -1
_FURTHEST = 24 * 3600
"""Maximum number of seconds of one move of the clock."""


class Malformed(Exception):
    """An act lacks a parameter, or one is invalid; the text is its name."""


class Acts:
    """Performs acts. A simulator is None where an outside platform is used."""

    def __init__(
        self,
        *,
        sites: tuple[str, ...],
        people: People,
        journal: Journal,
        sms: SimulatedSms | None,
        wechat: SimulatedWeChat | None,
        clock: MovableClock | None = None,
        scheduler: Scheduler | None = None,
        tour: Tour | None = None,
    ) -> None:
        """`sites` are the service's URLs. Without `clock` and `tour`, their acts are impossible."""
        self._sites = sites
        self._people = people
        self._journal = journal
        self._sms = sms
        self._wechat = wechat
        self._clock = clock
        self._scheduler = scheduler
        self._tour = tour
        self._acts: dict[str, Callable[[Person, Mapping[str, Any]], dict[str, Any]]] = {
            "use": self._use,
            "clear": self._clear,
            "fail-sms": self._fail_sms,
            "break": self._break,
            "move-clock": self._move_clock,
            "new-year": self._new_year,
            "scene": self._begin_scene,
            "reset": self._reset,
            "register-phone": self._register_phone,
            "follow": self._follow,
            "leave": self._leave,
            "scan": self._scan,
            "tap": self._tap,
            "say": self._say,
            "revoke-token": self._revoke_token,
            "fail-wechat": self._fail_wechat,
        }

    def perform(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Perform an act and return its result. Raises CannotDo, Malformed."""
        number = body.get("phone", self._people.current.number)
        try:
            person = self._people.of(number)
        except (ValueError, TypeError, AttributeError):
            raise Malformed("phone") from None
        act = _text(body, "act")
        if act not in self._acts:
            raise Malformed("act")
        result = self._acts[act](person, body)
        self._journal.record_act(act, person.number)
        return result

    # The phones.

    def _use(self, person: Person, _: Mapping[str, Any]) -> dict[str, Any]:
        self._people.select(person.number)
        return {}

    def _clear(self, *_: object) -> dict[str, Any]:
        if self._sms:
            self._sms.clear()
        if self._wechat:
            self._wechat.account.clear()
        return {}

    def _fail_sms(self, _: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        sms = _simulated(self._sms)
        delay, times = _number(body, "delay", 0), _number(body, "times", 1)
        sms.fail(int(_number(body, "status", 0)) or None, delay=delay, times=int(times))
        return {}

    # WeChat.

    def _follow(self, person: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        reply = _simulated(self._wechat).follow(person.openid, _text(body, "scene", ""))
        return {"reply": reply.text}

    def _leave(self, person: Person, _: Mapping[str, Any]) -> dict[str, Any]:
        _simulated(self._wechat).leave(person.openid)
        return {}

    def _scan(self, person: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        wechat = _simulated(self._wechat)
        code = _text(body, "code").strip()
        if code.startswith(tuple(f"{site}/" for site in self._sites)):
            # A QR code of the service's URL opens in WeChat's browser.
            return {"open": code}
        scene = wechat.scan(person.openid, code)
        return {"scene": scene, "following": wechat.account.follower(person.openid) is not None}

    def _tap(self, person: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"open": _simulated(self._wechat).tap(person.openid, _text(body, "item"))}

    def _say(self, person: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"reply": _simulated(self._wechat).say(person.openid, _text(body, "text")).text}

    def _revoke_token(self, *_: object) -> dict[str, Any]:
        _simulated(self._wechat).tokens.revoke()
        return {}

    def _fail_wechat(self, _: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        wechat = _simulated(self._wechat)
        errcode = int(_number(body, "errcode", 0)) or None
        delay, times = _number(body, "delay", 0), _number(body, "times", 1)
        wechat.fail(errcode, path=_text(body, "path", "*"), delay=delay, times=int(times))
        return {}

    # The tour.

    def _break(self, _: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        part, on = body.get("part"), body.get("on")
        if not isinstance(on, bool):
            raise Malformed("on")
        if part == "sms":
            _simulated(self._sms).fail(503, times=ALWAYS if on else 0)
        elif part == "wechat":
            wechat = _simulated(self._wechat)
            wechat.mend()
            if on:
                wechat.fail(_SYSTEM_BUSY, times=ALWAYS)
        else:
            raise Malformed("part")
        return {}

    def _move_clock(self, _: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        seconds = _number(body, "seconds", 0)
        if not 1 <= seconds <= _FURTHEST:
            raise Malformed("seconds")
        self._own_clock().move(int(seconds))
        self._check_schedules()
        return {}

    def _new_year(self, *_: object) -> dict[str, Any]:
        self._own_clock().move_to_new_year()
        self._check_schedules()
        return {}

    def _own_clock(self) -> MovableClock:
        if self._clock is None:
            raise CannotDo("outside")
        return self._clock

    def _check_schedules(self) -> None:
        # Now rather than at the scheduler's next look, so that the answer comes after the call.
        if self._scheduler is not None:
            self._scheduler.check()

    def _begin_scene(self, _: Person, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._own_tour().begin(_text(body, "scene"))
        except LookupError:
            raise Malformed("scene") from None
        return {}

    def _reset(self, *_: object) -> dict[str, Any]:
        self._own_tour().reset()
        return {}

    def _register_phone(self, *_: object) -> dict[str, Any]:
        self._own_tour().register_phone()
        return {}

    def _own_tour(self) -> Tour:
        if self._tour is None:
            raise CannotDo("outside")
        return self._tour


def _simulated(platform: T | None) -> T:
    if platform is None:
        raise CannotDo("outside")
    return platform


def _text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise Malformed(name)
    return value


def _number(body: Mapping[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 99_999:
        raise Malformed(name)
    return value
