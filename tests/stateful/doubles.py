"""Doubles of what is around the service: randomness, proofs of work, threads and WeChat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalicelib.domain.catalogue import NOTICE_TITLES
from chalicelib.security.proof_of_work import Proof
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult

_NOTICES = {title: notice for notice, title in NOTICE_TITLES.items()}


@dataclass
class Dice:
    """The service's randomness: it returns the test's next code, and writes every event of a budget."""

    code: int = 0

    def __call__(self, sides: int) -> int:
        return self.code if sides in (10**6, 10**8) else 0


class CheapProofs:
    """A double of the proofs of work, whose solution is the text of what it stands for.

    The real ones have tests of their own; of a recovery's start they are the most expensive part.
    """

    def challenge(self, action: str, login: str | None, factor: int = 1) -> dict[str, Any]:
        return {"login": login, "factor": factor}

    def check(self, payload: str, action: str, factor: int = 1) -> Proof | None:
        name, login, worth = payload.split(" ")
        return Proof(name, login, int(worth))


class Beside:
    """A double of a thread that ends before the thread that started it continues."""

    def __init__(
        self, *, target: Callable[..., object], args: tuple[Any, ...] = (), daemon: bool
    ) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        self._target(*self._args)

    def join(self, seconds: float) -> None:
        """Return, since it has ended."""


@dataclass
class Platform:
    """A double of the WeChat platform: followers, QR codes and template messages."""

    following: set[str]
    may_push: bool = False
    pushed: list[tuple[str, str, str]] = field(default_factory=list)
    """Openid, login, and the code or the notice."""
    links: list[tuple[str, str, str]] = field(default_factory=list)
    """The links to freeze a login, of all notices: openid, login and token."""

    def is_following(self, openid: str, patience: float = 7) -> bool:
        return openid in self.following

    def follow_qr(self, scene: str, lifetime_s: int) -> str:
        return f"https://weixin.example/q/{len(scene)}"

    def send_template(
        self, openid: str, template_id: str, fields: dict[str, str], **options: object
    ) -> TemplateResult:
        if not self.may_push:
            return TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=48001)
        if openid not in self.following:
            return TemplateResult(TemplateOutcome.NOT_FOLLOWING, errcode=43004)
        if template_id == "code-template":
            login, text = fields["character_string1"], fields["character_string2"]
        else:
            login, text = fields["character_string2"], _NOTICES[fields["thing1"]]
            tokens = parse_qs(urlsplit(str(options["url"])).query).get("token", [])
            self.links += [(openid, login, token) for token in tokens]
        self.pushed.append((openid, login, text))
        return TemplateResult(TemplateOutcome.SENT)
