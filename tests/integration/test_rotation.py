"""Key rotation: what an old key made stays valid while the key is listed, and expires cleanly after.

Each rotation has three values of the setting, at least a process's LIFETIME apart: the new key is added
behind the old one, put first, and later the old one is removed.
"""

from __future__ import annotations

import base64
import json
import time

import altcha
import pytest

from chalicelib import container, runtime
from chalicelib.domain.catalogue import REPLIES
from chalicelib.handlers.http import cookies
from chalicelib.security import proof_of_work
from chalicelib.settings import load
from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, SETTINGS, CheapHasher, MakeWorld, World, add_firm, peppers
from tests.support.callbacks import TAPPED, send_message
from tests.support.official_account import code_in
from tests.support.wechat_platform import INFO, STABLE, ok, playing

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

OLD_KEY, NEW_KEY = "old-signing-key-" * 2, "new-signing-key-" * 2
OLD_PEPPER, NEW_PEPPER = "old-code-pepper-" * 2, "new-code-pepper-" * 2

# By stage: SIGNING_KEYS, CODE_PEPPER.
OLD = (OLD_KEY, f"1:{OLD_PEPPER}")
ADDED = (f"{OLD_KEY},{NEW_KEY}", f"1:{OLD_PEPPER},2:{NEW_PEPPER}")
SWITCHED = (f"{NEW_KEY},{OLD_KEY}", f"2:{NEW_PEPPER},1:{OLD_PEPPER}")
REMOVED = (NEW_KEY, f"2:{NEW_PEPPER}")

STAGES = {"old": OLD, "added": ADDED, "switched": SWITCHED, "removed": REMOVED}
EXPIRED = (401, "recovery-expired")


def restart(world: World, stage: tuple[str, str], **settings: str) -> None:
    """Continue in a process with the keys of this stage."""
    signing, pepper = stage
    keys = {"SIGNING_KEYS": signing, "CODE_PEPPER": pepper}
    service = container.Service(
        load({**SETTINGS, **settings, **keys}),
        clock=world.clock,
        gateways={"console": world.phones},
        pause=world.pauses,
    )
    service.hasher = CheapHasher(peppers(service))
    service.follower_check = world.service.follower_check
    runtime.install(service)
    world.service = service


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A world with one firm, and the keys before a rotation."""
    world = make_world()
    restart(world, OLD)
    add_firm(world.service.hasher)
    return world


# While processes move from one stage to the next, both stages run at the same time.
NEIGHBOURS = [("old", "added"), ("added", "old"), ("added", "switched"), ("switched", "added")]


@pytest.mark.parametrize(("first", "second"), NEIGHBOURS)
def test_a_recovery_goes_on_in_a_process_of_another_stage(
    world: World, first: str, second: str
) -> None:
    """Token, cookie and code of one stage are valid in the other."""
    restart(world, STAGES[first])
    token = world.token()
    assert world.send(token).status_code == 202
    restart(world, STAGES[second])
    answer = world.confirm(token, world.phones.codes[-1])
    assert (answer.status_code, answer.json_body) == (
        200,
        {"login": "11010148", "wechat_bound": True},
    )


def test_a_key_that_is_put_first_at_once_is_unknown_to_other_processes(world: World) -> None:
    """A process that does not have the key yet refuses its tokens, so that keys are added first."""
    restart(world, SWITCHED)
    token = world.token()
    restart(world, OLD)
    refused = world.send(token)
    assert (refused.status_code, refused.json_body["code"]) == EXPIRED


def test_a_token_of_a_removed_key_is_expired(world: World) -> None:
    """Every step answers as for an old token, and a new recovery succeeds."""
    token = world.token()
    world.send(token)
    restart(world, REMOVED)
    details = {"firm_no": "11010148", "approval_no": "1", "head_name": "x"}
    for answer in (
        world.send(token),
        world.confirm(token, world.phones.codes[0]),
        world.call("GET", "/recovery", token=token),
        world.call("POST", "/recovery/unbinding", details, token=token),
    ):
        assert (answer.status_code, answer.json_body["code"]) == EXPIRED
    world.clock.time += 60
    again = world.token()
    world.send(again)
    assert world.confirm(again, world.phones.codes[-1]).status_code == 200


def cookie(world: World) -> dict[str, str]:
    return {"Cookie": cookies.keep_visitor_openid(world.service, "o-alice").partition(";")[0]}


def test_a_cookie_is_valid_while_its_key_is_listed(world: World) -> None:
    """Afterwards the browser must log in by OAuth again."""
    headers = cookie(world)
    methods = []
    for stage in STAGES.values():
        restart(world, stage)
        body = {"user_type": "firm", "login": "11010148"}
        answer = world.call("POST", "/recovery", body, headers=headers)
        assert answer.status_code == 201
        methods.append(answer.json_body["method"])
    assert methods == ["sms", "sms", "sms", "follow"]


def proof(world: World) -> str:
    """Return a solved challenge as the page sends it."""
    challenge = world.call("GET", "/proof").json_body
    solution = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert solution is not None
    solved = {"counter": solution.counter, "derivedKey": solution.derived_key}
    payload = json.dumps({"challenge": challenge, "solution": solved})
    return base64.b64encode(payload.encode()).decode()


def test_a_proof_is_valid_while_its_key_is_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards the page requests another challenge, as for any expired proof."""
    monkeypatch.setattr(proof_of_work, "COUNTERS", range(1, 9))
    # altcha compares with the machine's clock as well.
    world.clock.time = int(time.time())
    answers = []
    for stage in STAGES.values():
        restart(world, OLD, PROOF_OF_WORK="1")
        solved = proof(world)
        restart(world, stage, PROOF_OF_WORK="1")
        body = {"user_type": "firm", "login": "11010148", "proof": solved}
        answer = world.call("POST", "/recovery", body, openid="o-alice")
        answers.append((answer.status_code, answer.json_body.get("code")))
    assert answers == [(201, None)] * 3 + [(400, "proof-invalid")]


def test_a_scene_is_valid_while_its_key_is_listed(world: World) -> None:
    """Afterwards the reply has the link without the login."""
    scene = world.service.scenes.make("11010148", world.clock.time + 600)
    has_login = []
    for stage in STAGES.values():
        restart(world, stage)
        reply = send_message(world, {"MsgType": "event", "Event": "SCAN", "EventKey": scene})
        assert world.service.enter_url in reply
        has_login.append("11010148" in reply)
        world.clock.time += 1
    assert has_login == [True, True, True, False]


@pytest.fixture
def bound(world: World) -> World:
    """A world whose login is bound to o-alice, who follows and fetches codes from the menu."""
    LoginItem("11010148").update([LoginItem.openid.set("o-alice")])
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    return world


@pytest.mark.parametrize("stage", STAGES)
def test_a_pending_code_can_be_fetched_while_its_keys_are_listed(bound: World, stage: str) -> None:
    """It is sealed by the key and found by the pepper; without them there is none to fetch.

    A repeated message has the same reply, which is sealed as well, while its key is listed.
    """
    token = bound.token()
    assert bound.send(token).json_body["delivery"] == "pull"
    first = send_message(bound, {**TAPPED, "MsgId": 7})
    restart(bound, STAGES[stage])
    assert (send_message(bound, {**TAPPED, "MsgId": 7}) == first) is (stage != "removed")
    bound.clock.time += 1
    reply = send_message(bound, TAPPED)
    if stage == "removed":
        assert reply == REPLIES["no-code"].replace("$url", bound.service.enter_url)
    else:
        assert bound.confirm(token, code_in(reply)).status_code == 200


def test_a_new_pepper_keeps_the_counts_of_a_phone(world: World) -> None:
    """They are lost only when the oldest pepper is removed."""
    assert world.send(world.token()).status_code == 202
    token = world.token("11010148_cw")
    statuses = []
    for stage in STAGES.values():
        # The signing keys stay, so that the token stays valid.
        restart(world, (OLD_KEY, stage[1]))
        statuses.append(world.send(token).status_code)
    assert statuses == [429, 429, 429, 202]


def test_a_code_is_compared_with_its_own_pepper(world: World) -> None:
    """A code whose pepper was removed is wrong; the person requests another."""
    answers = []
    for number, stage in enumerate(STAGES.values()):
        restart(world, OLD)
        firm = f"1101020{number}"
        add_firm(world.service.hasher, firm, phone=f"+861380000500{number}")
        token = world.token(firm)
        world.send(token)
        restart(world, (OLD_KEY, stage[1]))
        answer = world.confirm(token, world.phones.codes[-1])
        answers.append((answer.status_code, answer.json_body.get("code")))
    assert answers == [(200, None)] * 3 + [(400, "code-wrong")]


def verified(world: World, password: str = "Opening-password-1") -> dict[str, object]:
    body = {"login": "11010148", "password": password}
    answer = world.call("POST", "/credentials/verify", body)
    assert answer.status_code == 200, answer.body
    return dict(answer.json_body)


@pytest.mark.parametrize(("stage", "version"), [("added", 1), ("switched", 2)])
def test_a_right_password_is_hashed_with_the_first_pepper(
    world: World, stage: str, version: int
) -> None:
    """A hash has the version of its pepper."""
    assert world.login_item().password_hash.startswith("v1:")
    restart(world, STAGES[stage])
    assert verified(world)["valid"] is True
    assert world.login_item().password_hash.startswith(f"v{version}:")
    restart(world, REMOVED)
    assert verified(world)["valid"] is (version == 2)


def test_a_password_of_a_removed_pepper_must_be_recovered(world: World) -> None:
    """It is wrong until then, without an error."""
    restart(world, REMOVED)
    assert verified(world) == {"valid": False, "must_change": False, "changed_at": 0}
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert verified(world, PASSWORD)["valid"] is True


def test_wechat_s_token_is_requested_again_where_its_key_was_removed(bound: World) -> None:
    """It is stored sealed; WeChat returns the same token to a second request."""
    requests = []
    with playing() as wechat:
        wechat.answers[STABLE] = [lambda: ok({"access_token": "t", "expires_in": 7200})]
        wechat.answers[INFO] = [{"subscribe": 1, "openid": "o-alice"}]
        for stage in STAGES.values():
            restart(bound, stage, WECHAT_API_URL=wechat.url)
            assert bound.service.platform.is_following("o-alice")
            requests.append(len(wechat.asked(STABLE)))
    assert requests == [1, 1, 1, 2]
