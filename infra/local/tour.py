"""The guided tour: begin a scene, observe its steps, return everything to the beginning."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib import runtime
from chalicelib.services.notifications import BEIJING
from chalicelib.store.dynamo import read, update
from chalicelib.store.models import LoginItem

from .audit_feed import events, feed
from .clock import MovableClock
from .journal import Journal
from .login_page import LoginPage
from .people import People
from .scenes import SCENES, SUPPORT_PHONE, Facts, Scene, scene
from .schedules import Scheduler
from .sms import SimulatedSms
from .table_contents import TableContents
from .wechat import SimulatedWeChat
from .wechat.simulator import CannotDo

_LOGINS_SHOWN = 6
_FEED = 40


@dataclass(frozen=True)
class Demo:
    """The parts of the local stack that the tour observes and returns to the beginning.

    A simulator is None where an outside platform is used; `contents` is None where the tables are
    not the demo's own, or too large to keep a copy.
    """

    clock: MovableClock
    people: People
    journal: Journal
    login_page: LoginPage
    scheduler: Scheduler
    sms: SimulatedSms | None
    wechat: SimulatedWeChat | None
    contents: TableContents | None
    hold_queues: Callable[[], AbstractContextManager[None]] = nullcontext
    """Stops the work on queues during a block, and empties them."""
    has_demo_firms: bool = True


class Tour:
    """The tour's present scene and its progress; thread-safe."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._guard = threading.Lock()
        self._scene: Scene | None = None
        self._done: set[int] = set()
        self._runs = 0

    @property
    def can_reset(self) -> bool:
        """Whether everything can be returned to the beginning."""
        return self._demo.contents is not None

    @property
    def can_begin(self) -> bool:
        """Whether scenes can be played: they need the demo firms and both simulators."""
        simulated = self._demo.sms is not None and self._demo.wechat is not None
        return self.can_reset and simulated and self._demo.has_demo_firms

    def reset(self) -> None:
        """Return every table, simulator and the clock to the beginning. Raises CannotDo."""
        with self._guard:
            self._reset()
            self._scene = None

    def begin(self, name: str) -> None:
        """Return to the beginning and prepare a scene. Raises CannotDo, LookupError."""
        chosen = scene(name)
        if chosen is None:
            raise LookupError(name)
        with self._guard:
            wechat = self._demo.wechat
            if not self.can_begin or wechat is None:
                raise CannotDo("outside")
            self._reset()
            person = self._demo.people.select(chosen.number)
            if chosen.follower != "no":
                wechat.follow(person.openid)
            if chosen.follower == "left":
                wechat.leave(person.openid)
            if chosen.bound:
                bind = [
                    LoginItem.openid.set(person.openid),
                    LoginItem.bound_at.set(self._demo.clock()),
                ]
                update(LoginItem(chosen.login), bind)
            self._demo.journal.clear()
            self._scene = chosen

    def register_phone(self) -> None:
        """Bind a phone to the scene's login, as technical support does. Raises CannotDo."""
        chosen = self._scene
        if chosen is None:
            raise CannotDo("no-scene")
        runtime.service().desk.support.change_phone(
            chosen.login, SUPPORT_PHONE, actor="local", reason="电话核实身份后登记"
        )

    def _reset(self) -> None:
        if self._demo.contents is None:
            raise CannotDo("outside")
        with self._demo.hold_queues():
            self._restore(self._demo.contents)
        self._done = set()
        self._runs += 1

    def _restore(self, contents: TableContents) -> None:
        demo = self._demo
        if demo.sms is not None:
            demo.sms.reset()
        if demo.wechat is not None:
            demo.wechat.reset()
        contents.restore()
        demo.clock.reset()
        demo.scheduler.forget()
        demo.people.reset()
        demo.journal.clear()
        demo.login_page.clear()
        # The service counts requests by address in memory.
        runtime.install(None, demo.clock)

    def state(self) -> dict[str, Any]:
        """Return what the page shows of the tour: scene, steps, audit."""
        with self._guard:
            chosen = self._scene
            logins = [*([chosen.login] if chosen else []), *self._recent()]
            if chosen is not None:
                facts = self._facts(chosen)
                self._done |= {
                    index for index, step in enumerate(chosen.steps) if step.check(facts)
                }
            return {
                "runs": self._runs,
                "can_reset": self.can_reset,
                "scenes": [_summary(each) for each in SCENES] if self.can_begin else [],
                "scene": None if chosen is None else self._described(chosen),
                "audit": feed(logins)[:_FEED],
            }

    def _recent(self) -> list[str]:
        return self._demo.journal.recent_logins(_LOGINS_SHOWN)

    def _described(self, chosen: Scene) -> dict[str, Any]:
        steps = [
            {
                "text": step.text,
                "device": step.device,
                "offers": list(step.offers),
                "done": index in self._done,
            }
            for index, step in enumerate(chosen.steps)
        ]
        return {
            "name": chosen.name,
            "login": chosen.login,
            "number": chosen.number,
            "pc_first": chosen.pc_first,
            "steps": steps,
        }

    def _facts(self, chosen: Scene) -> Facts:
        demo = self._demo
        item = read(LoginItem, chosen.login)
        openid = demo.people.of(chosen.number).openid
        account = None if demo.wechat is None else demo.wechat.account
        tickets = [] if account is None else account.live_tickets(demo.clock())
        return Facts(
            number=chosen.number,
            exchanges=demo.journal.exchanges(),
            acts=demo.journal.acts(),
            events=events(chosen.login),
            sign_ins=[
                sign_in for sign_in in demo.login_page.sign_ins() if sign_in.login == chosen.login
            ],
            drawn=any(ticket.scene.partition(".")[0] == chosen.login for ticket in tickets),
            following=account is not None and account.follower(openid) is not None,
            bound=item is not None and item.openid is not None,
            has_phone=item is not None and item.phone is not None,
            reset_year=None if item is None or item.reset_year is None else int(item.reset_year),
            year=datetime.fromtimestamp(demo.clock(), BEIJING).year,
        )


def _summary(each: Scene) -> dict[str, str]:
    return {"name": each.name, "title": each.title, "about": each.about}
