"""The demo phones: their owners, and the openid of the WeChat on each."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """A phone and its owner. `number` has eleven digits, without country code."""

    number: str
    name: str
    about: str

    @property
    def e164(self) -> str:
        return "+86" + self.number

    @property
    def openid(self) -> str:
        """Return the openid: 28 characters, as WeChat's have."""
        digest = hashlib.sha256(b"local-stack.openid\0" + self.number.encode()).hexdigest()
        return "oLocal" + digest[:22]


PEOPLE = (
    Person("13800001234", "甄示例", "两家事务所共用这部手机"),
    Person("13900002222", "贾财务", "管财务上报账号"),
    Person("13700003333", "阿依古丽·示例", "新疆的主任会计师"),
)


class People:
    """The demo phones, and one more for every other number that is used."""

    def __init__(self, people: Sequence[Person] = PEOPLE) -> None:
        self._guard = threading.Lock()
        self._first = tuple(people)
        self.reset()

    def reset(self) -> None:
        """Remove the phones that were added, and select the first one."""
        with self._guard:
            self._people = {person.number: person for person in self._first}
            self._current = self._first[0].number

    def all(self) -> list[Person]:
        """Return all phones, the demo phones first."""
        with self._guard:
            return list(self._people.values())

    def of(self, number: str) -> Person:
        """Return the phone of a mainland number, with or without +86. Raises ValueError."""
        digits = number.removeprefix("+86")
        if not re.fullmatch(r"1[0-9]{10}", digits, re.ASCII):
            raise ValueError("not a mainland phone number")
        with self._guard:
            return self._people.setdefault(digits, Person(digits, "", "收到过短信的手机"))

    @property
    def current(self) -> Person:
        """Return the selected phone: the default identity of a browser at OAuth."""
        with self._guard:
            return self._people[self._current]

    def select(self, number: str) -> Person:
        """Select another phone. Raises ValueError."""
        person = self.of(number)
        with self._guard:
            self._current = person.number
        return person
