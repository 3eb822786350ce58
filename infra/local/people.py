"""The demo phones: who holds them, and the openid of the WeChat on each."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """A phone and its holder. `number` is as people dial it, eleven digits."""

    number: str
    name: str
    about: str

    @property
    def e164(self) -> str:
        return "+86" + self.number

    @property
    def openid(self) -> str:
        """28 characters, as WeChat's openids have."""
        digest = hashlib.sha256(b"local-twin.openid\0" + self.number.encode()).hexdigest()
        return "oTwin_" + digest[:22]


PEOPLE = (
    Person("13800001234", "甄示例", "两家事务所共用这部手机"),
    Person("13900002222", "贾财务", "管财务上报账号"),
    Person("13700003333", "阿依古丽·示例", "新疆的主任会计师"),
)


class People:
    """The demo phones, and one more for every number that turns up."""

    def __init__(self, people: Sequence[Person] = PEOPLE) -> None:
        self._guard = threading.Lock()
        self._people = {person.number: person for person in people}
        self._current = people[0].number

    def all(self) -> list[Person]:
        """Everybody, the demo phones first."""
        with self._guard:
            return list(self._people.values())

    def of(self, number: str) -> Person:
        """The holder of a mainland number, with or without +86. Raises ValueError."""
        digits = number.removeprefix("+86")
        if not re.fullmatch(r"1[0-9]{10}", digits, re.ASCII):
            raise ValueError("not a mainland phone number")
        with self._guard:
            return self._people.setdefault(digits, Person(digits, "", "收到过短信的手机"))

    @property
    def current(self) -> Person:
        """The phone that is in the hand: whom OAuth takes a browser for that does not say."""
        with self._guard:
            return self._people[self._current]

    def pick_up(self, number: str) -> Person:
        """Take another phone into the hand. Raises ValueError."""
        person = self.of(number)
        with self._guard:
            self._current = person.number
        return person
