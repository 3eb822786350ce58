"""The actions of WeChat, operators, the yearly reset and the clock."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from chalicelib.domain.errors import AccountNotFound, InvalidInput
from chalicelib.domain.limits import DAY, HOUR, MINUTE
from chalicelib.services.closing import ClosingResult
from chalicelib.services.yearly_reset import reporting_year
from tests.stateful.changes import ERASED, OFF, By
from tests.stateful.driver import DIE, Draw
from tests.stateful.environment import PHONES
from tests.stateful.staff import StaffActions

TIMES = st.sampled_from([1, 30, 59, *[60, 61] * 3, 240, 299, 300, 1_799, 1_800, HOUR, DAY])
BY = By("arn:aws-cn:iam::1:user/zhang", "本人来函")


class Actions(StaffActions):
    """The actions of a recovery, and everything that may happen between them."""

    # WeChat.

    def follows(self, draw: Draw) -> None:
        self._follows(self.openid(draw), True, notified=True)

    def follows_silently(self, draw: Draw) -> None:
        """The event of it never arrives."""
        self._follows(self.openid(draw), True, notified=False)

    def leaves(self, draw: Draw) -> None:
        self._follows(self.openid(draw), False, notified=True)

    def leaves_silently(self, draw: Draw) -> None:
        self._follows(self.openid(draw), False, notified=False)

    def _follows(self, openid: str, following: bool, *, notified: bool) -> None:
        self.model.follow(openid, following, notified=notified)
        if notified:
            self.environment.event(openid, "subscribe" if following else "unsubscribe")

    def template_comes(self, _: Draw) -> None:
        self.model.may_push = self.environment.platform.may_push = True

    def template_goes(self, _: Draw) -> None:
        self.model.may_push = self.environment.platform.may_push = False

    def fetches(self, draw: Draw) -> None:
        self._fetches(self.openid(draw))

    def fetches_elsewhere(self, draw: Draw) -> None:
        """Another person than the bound one fetches."""
        self._fetches(self.other_than(self.openid(draw)))

    def _fetches(self, openid: str) -> None:
        codes = self.environment.write(openid)
        assert codes == self.model.fetch(openid)
        self.count("fetch", min(len(codes), 2))

    def fetches_again(self, _: Draw) -> None:
        assert self.environment.last_message is not None
        message, codes = self.environment.last_message
        assert self.environment.deliver(message) == codes
        self.count("fetch again", len(codes) and "some")

    # Operators.

    def operator_looks(self, draw: Draw) -> None:
        name = self.name(draw)
        login, firm = self.model.logins[name], self.model.firm(name)
        try:
            view = self.world.service.diagnosis.overview(name)
        except AccountNotFound:
            assert self.model.unchangeable(name) == ERASED
            self.count("look", ERASED)
            return
        locks = {lock.kind.value: lock.until for lock in view.locks}
        assert locks == self.model.locks(name), name
        live = login.code is not None and login.code.until > self.model.now
        assert view.code_until == (login.code.until if login.code and live else None)
        method, destination = login.destination
        assert view.method == (method if destination else None)
        assert (view.changed_at, view.must_change) == (login.changed_at, login.must_change)
        assert view.frozen_at == login.frozen_at
        assert (view.closed_at, view.erased_at) == (firm.closed_at, firm.erased_at)
        for kind in locks or ["nothing"]:
            self.count("look", kind)

    def operator_changes_phone(self, draw: Draw) -> None:
        name = self.name(draw)
        others = [phone for phone in PHONES if phone != self.model.logins[name].phone]
        phones = others if self.in_scenario else PHONES
        self._phone(name, phones[draw(DIE) % len(phones)])

    def _phone(self, name: str, phone: str) -> None:
        changed: object
        try:
            changed = self.world.service.desk.support.change_phone(name, phone, **BY._asdict())
        except (AccountNotFound, InvalidInput) as refusal:
            changed = ERASED if isinstance(refusal, AccountNotFound) else OFF
        else:
            changed = changed.changed
        expected = self.model.unchangeable(name) or self.model.change_phone(name, phone, BY)
        assert changed == expected, name
        self.count("phone changed", changed)

    def operator_corrects_phones(self, draw: Draw) -> None:
        """The operator changes the phone of a login outside the scenario four times: eight notices."""
        others = [name for name in self.model.logins if not self.in_scenario or name != self.focus]
        others = [name for name in others if not self.model.unchangeable(name)] or others
        name = others[draw(DIE) % len(others)]
        for place in range(4):
            self._phone(name, PHONES[place % 2])

    def operator_keeps_phone(self, draw: Draw) -> None:
        """The operator binds the phone that is bound already."""
        name = self.name(draw)
        phone = self.model.logins[name].phone
        self._phone(name, phone or PHONES[0])

    def operator_closes(self, draw: Draw) -> None:
        firm_no = self.name(draw).removesuffix("_cw")
        self._closes("close", firm_no, self.world.service.desk.closing.close, self.model.close)

    def operator_reopens(self, draw: Draw) -> None:
        firm_no = self.name(draw).removesuffix("_cw")
        self._closes("reopen", firm_no, self.world.service.desk.closing.reopen, self.model.reopen)

    def _closes(
        self,
        what: str,
        firm_no: str,
        change: Callable[..., ClosingResult],
        expected: Callable[[str, By], str],
    ) -> None:
        try:
            result = change(firm_no, **BY._asdict())
            outcome = "changed" if result.changed else "unchanged"
        except AccountNotFound:
            outcome = ERASED
        assert outcome == expected(firm_no, BY), firm_no
        self.count(f"firm {what}", outcome)

    # Instances, the year and the clock.

    def instance_begins(self, _: Draw) -> None:
        """Another instance of the service receives the following requests."""
        self.environment.begin_instance()
        self.model.forget_instance()

    def year_begins(self, _: Draw) -> None:
        self._begin_year(reporting_year(self.world.clock.time))

    def next_year_begins(self, _: Draw) -> None:
        """An operator may start a run before its year begins."""
        self._begin_year(reporting_year(self.world.clock.time) + 1)

    def _begin_year(self, year: int) -> None:
        # Runs of two years are never in progress at the same time.
        year = self.model.begun or year
        self.count("year", self.model.begin(year))
        self.environment.reset.schedule(f"{year - 1}-12-31T16:00:00Z")

    def workers_work(self, _: Draw) -> None:
        year = self.model.begun
        assert year is not None
        outcomes = self.model.work()
        # One message at a time: moto's tables are not safe for several threads.
        assert self.environment.reset.work(at_once=1) > 0
        run = self.environment.reset.story.status(year)
        assert run is not None
        assert run.complete
        assert (run.logins, run.done) == (
            len(outcomes),
            sum(outcome == "done" for outcome in outcomes.values()),
        )
        notes = {note.login: note.reason for note in self.environment.reset.story.notes(year)}
        assert notes == {name: why for name, why in outcomes.items() if why != "done"}
        for outcome in outcomes.values():
            self.count("year", outcome)

    def time_passes(self, draw: Draw) -> None:
        self._passes(draw(TIMES))

    def second_passes(self, _: Draw) -> None:
        self._passes(1)

    def minute_passes(self, _: Draw) -> None:
        self._passes(MINUTE)

    def five_minutes_pass(self, _: Draw) -> None:
        self._passes(5 * MINUTE)

    def half_hour_passes(self, _: Draw) -> None:
        self._passes(30 * MINUTE)

    def hour_passes(self, _: Draw) -> None:
        self._passes(HOUR)

    def day_passes(self, _: Draw) -> None:
        self._passes(DAY)

    def two_days_pass(self, _: Draw) -> None:
        self._passes(2 * DAY)

    def week_passes(self, _: Draw) -> None:
        self._passes(7 * DAY)

    def _passes(self, seconds: int) -> None:
        self.world.clock.time += seconds
        self.model.now = self.world.clock.time
