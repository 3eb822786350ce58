"""A firm that operators look at and change, and a double of WeChat's platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.limits import DAY, HOUR
from chalicelib.services.diagnosis import Lock, LockKind
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult
from tests.conftest import MakeWorld, World, add_firm

LOGIN = "11010148"
FINANCE = f"{LOGIN}_cw"
NEW_PHONE = "13900002222"
ACTOR = "arn:aws-cn:iam::1:user/zhang"
REASON = "本人来函"
BY = {"actor": ACTOR, "reason": REASON}


class FakePlatform:
    """WeChat's platform: whether an openid follows, and the titles of the notices sent."""

    def __init__(self) -> None:
        self.following: bool | None = True
        """None makes WeChat unavailable."""
        self.messages: list[tuple[str, str]] = []
        """Pairs of openid and title."""

    def is_following(self, openid: str) -> bool:
        """Return `following`. Raises Unavailable where it is None."""
        if self.following is None:
            raise Unavailable("wechat")
        return self.following

    def send_template(
        self, openid: str, template_id: str, fields: Mapping[str, str], **_: object
    ) -> TemplateResult:
        """Keep the message and report it as sent."""
        self.messages.append((openid, fields["thing1"]))
        return TemplateResult(TemplateOutcome.SENT)


def operators_world(
    make_world: MakeWorld, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> World:
    """A firm whose main login has a phone alone and whose finance login is bound to o-alice."""
    world = make_world(WECHAT_NOTICE_TEMPLATE_ID="notice")
    monkeypatch.setattr(world.service, "platform", platform)
    add_firm(world.service.hasher)
    LoginItem(FINANCE).update(
        [LoginItem.openid.set("o-alice"), LoginItem.bound_at.set(1_790_000_000)]
    )
    return world


def events(login: str = LOGIN) -> list[AuditItem]:
    """The login's audit events, oldest first."""
    return list(AuditItem.query(login))


def recover(world: World, login: str = LOGIN, openid: str = "o-alice") -> str:
    """Begin a recovery and send its code; return the token."""
    token = world.token(login, openid)
    answer = world.send(token)
    assert answer.status_code == 202, answer.body
    return token


def exhausted(now: int) -> Iterator[Lock]:
    """Use up the login's limits one after the other; yield the lock that each one brings."""
    LoginItem(LOGIN).update([LoginItem.starts_by.set({"0" * 16: [now - 5] * 10})])
    yield Lock(LockKind.STARTS, now + HOUR - 5)
    LoginItem(LOGIN).update([LoginItem.failures.set([now - 5] * 5)])
    yield Lock(LockKind.WRONG_PASSWORDS, now + 1_795)
    counts: tuple[tuple[LockKind, Any, int], ...] = (
        (LockKind.LOGIN_SENDS, CodeItem.sends, 5),
        (LockKind.LOGIN_WRONG_CODES, CodeItem.wrongs, 100),
        (LockKind.UNBINDINGS, CodeItem.unbindings, 3),
    )
    somebody = "0" * 16
    CodeItem(f"code#{LOGIN}").update(
        [CodeItem.senders.set([somebody] * 5), CodeItem.expires_at.set(now + DAY)]
    )
    for kind, attribute, limit in counts:
        actions = [attribute.set([now - 5] * limit), CodeItem.expires_at.set(now + DAY)]
        CodeItem(f"code#{LOGIN}").update(actions)
        yield Lock(kind, now + DAY - 5)
    details = {somebody: [now - 5] * 5}
    CodeItem(f"code#{LOGIN}").update([CodeItem.details_by.set(details)])
    yield Lock(LockKind.WRONG_DETAILS, now + DAY - 5)
    CodeItem(f"code#{LOGIN}").update([CodeItem.wrong_by.set({somebody: [now - 5] * 10})])
    yield Lock(LockKind.WRONG_CODES, now + DAY - 5)
