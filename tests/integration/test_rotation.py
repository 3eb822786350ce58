"""Keys rotate: what the old one made lives on while it stands behind the new one, and then ends cleanly.

Each rotation goes through three values of the setting, a process's LIFETIME apart at least: the new
key is learnt behind the old one, put first, and later the old one is taken away.
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
from tests.support.callbacks import TAPPED, tell
from tests.support.official_account import code_in
from tests.support.wechat_platform import INFO, STABLE, ok, playing

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

OLD_KEY, NEW_KEY = "old-signing-key-" * 2, "new-signing-key-" * 2
OLD_PEPPER, NEW_PEPPER = "old-code-pepper-" * 2, "new-code-pepper-" * 2

# By stage: SIGNING_KEYS, CODE_PEPPER.
OLD = (OLD_KEY, f"1:{OLD_PEPPER}")
LEARNT = (f"{OLD_KEY},{NEW_KEY}", f"1:{OLD_PEPPER},2:{NEW_PEPPER}")
TURNED = (f"{NEW_KEY},{OLD_KEY}", f"2:{NEW_PEPPER},1:{OLD_PEPPER}")
ENDED = (NEW_KEY, f"2:{NEW_PEPPER}")

STAGES = {"old": OLD, "learnt": LEARNT, "turned": TURNED, "ended": ENDED}
EXPIRED = (401, "recovery-expired")


def process(world: World, stage: tuple[str, str], **settings: str) -> None:
    """Go on in a process that has the keys of this stage."""
    signing, pepper = stage
    keys = {"SIGNING_KEYS": signing, "CODE_PEPPER": pepper}
    service = container.Service(
        load({**SETTINGS, **settings, **keys}),
        clock=world.clock,
        gateways={"console": world.phones},
        pause=world.pauses,
    )
    service.hasher = CheapHasher(peppers(service))
    runtime.install(service)
    world.service = service


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One firm, and the keys of before a rotation."""
    world = make_world()
    process(world, OLD)
    add_firm(world.service.hasher)
    return world


# While every process is brought from one stage to the next, both are at work.
MEETINGS = [("old", "learnt"), ("learnt", "old"), ("learnt", "turned"), ("turned", "learnt")]


@pytest.mark.parametrize(("first", "second"), MEETINGS)
def test_a_recovery_goes_on_in_a_process_of_another_stage(
    world: World, first: str, second: str
) -> None:
    """Token, cookie and code made by one are good for the other, in whichever order they come."""
    process(world, STAGES[first])
    token = world.token()
    assert world.send(token).status_code == 202
    process(world, STAGES[second])
    answer = world.confirm(token, world.phones.codes[-1])
    assert (answer.status_code, answer.json_body) == (
        200,
        {"login": "11010148", "wechat_bound": True},
    )


def test_a_key_that_others_do_not_know_yet_is_why_it_is_learnt_first(world: World) -> None:
    """Put first at once, it makes tokens that a process of five minutes ago takes for forged."""
    process(world, TURNED)
    token = world.token()
    process(world, OLD)
    refused = world.send(token)
    assert (refused.status_code, refused.json_body["code"]) == EXPIRED


def test_a_token_of_a_key_that_is_gone_ends_its_recovery(world: World) -> None:
    """As one that is too old; every step says so, and a new recovery begins as ever."""
    token = world.token()
    world.send(token)
    process(world, ENDED)
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


def test_a_browser_stays_known_while_its_key_does(world: World) -> None:
    """After that it is a browser that enters anew, not one that is refused."""
    kept = cookie(world)
    methods = []
    for stage in STAGES.values():
        process(world, stage)
        body = {"user_type": "firm", "login": "11010148"}
        answer = world.call("POST", "/recovery", body, headers=kept)
        assert answer.status_code == 201
        methods.append(answer.json_body["method"])
    assert methods == ["sms", "sms", "sms", "follow"]


def proof(world: World) -> str:
    """A solved challenge, as the page hands it in."""
    challenge = world.call("GET", "/proof").json_body
    solution = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert solution is not None
    solved = {"counter": solution.counter, "derivedKey": solution.derived_key}
    payload = json.dumps({"challenge": challenge, "solution": solved})
    return base64.b64encode(payload.encode()).decode()


def test_a_proof_is_good_while_its_key_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After that the page fetches another challenge, as for any proof that came too late."""
    monkeypatch.setattr(proof_of_work, "COUNTERS", range(1, 9))
    # altcha looks at the machine's clock as well.
    world.clock.time = int(time.time())
    answers = []
    for stage in STAGES.values():
        process(world, OLD, PROOF_OF_WORK="1")
        solved = proof(world)
        process(world, stage, PROOF_OF_WORK="1")
        body = {"user_type": "firm", "login": "11010148", "proof": solved}
        answer = world.call("POST", "/recovery", body, openid="o-alice")
        answers.append((answer.status_code, answer.json_body.get("code")))
    assert answers == [(201, None)] * 3 + [(400, "proof-invalid")]


def test_a_scanned_code_names_its_login_while_its_key_lives(world: World) -> None:
    """After that the person is greeted all the same, and told where to begin."""
    scene = world.service.scenes.make("11010148", world.clock.time + 600)
    named = []
    for stage in STAGES.values():
        process(world, stage)
        said = tell(world, {"MsgType": "event", "Event": "SCAN", "EventKey": scene})
        assert world.service.enter_url in said
        named.append("11010148" in said)
        world.clock.time += 1
    assert named == [True, True, True, False]


@pytest.fixture
def bound(world: World) -> World:
    """The login's codes go to o-alice, who follows and fetches them from the menu."""
    LoginItem("11010148").update([LoginItem.openid.set("o-alice")])
    tell(world, {"MsgType": "event", "Event": "subscribe"})
    return world


@pytest.mark.parametrize("stage", STAGES)
def test_a_held_code_can_be_fetched_while_its_keys_live(bound: World, stage: str) -> None:
    """It is sealed by the one key, and found by the pepper; after that there is none to fetch.

    And a repeat of the message gets the same answer, which is sealed as well, or at least one.
    """
    token = bound.token()
    assert bound.send(token).json_body["delivery"] == "pull"
    first = tell(bound, {**TAPPED, "MsgId": 7})
    process(bound, STAGES[stage])
    assert (tell(bound, {**TAPPED, "MsgId": 7}) == first) is (stage != "ended")
    bound.clock.time += 1
    said = tell(bound, TAPPED)
    if stage == "ended":
        assert said == REPLIES["no-code"].replace("$url", bound.service.enter_url)
    else:
        assert bound.confirm(token, code_in(said)).status_code == 200


def test_the_counts_of_a_phone_outlive_a_new_pepper(world: World) -> None:
    """They begin anew when the oldest one goes, and at no step before."""
    assert world.send(world.token()).status_code == 202
    token = world.token("11010148_cw")
    statuses = []
    for stage in STAGES.values():
        # The keys stay, so that the token does.
        process(world, (OLD_KEY, stage[1]))
        statuses.append(world.send(token).status_code)
    assert statuses == [429, 429, 429, 202]


def test_a_code_is_compared_under_the_pepper_of_its_time(world: World) -> None:
    """One whose pepper is gone matches nothing; the person asks for another."""
    answers = []
    for number, stage in enumerate(STAGES.values()):
        process(world, OLD)
        firm = f"1101020{number}"
        add_firm(world.service.hasher, firm, phone=f"+861380000500{number}")
        token = world.token(firm)
        world.send(token)
        process(world, (OLD_KEY, stage[1]))
        answer = world.confirm(token, world.phones.codes[-1])
        answers.append((answer.status_code, answer.json_body.get("code")))
    assert answers == [(200, None)] * 3 + [(400, "code-wrong")]


def verified(world: World, password: str = "Opening-password-1") -> dict[str, object]:
    body = {"login": "11010148", "password": password}
    answer = world.call("POST", "/credentials/verify", body)
    assert answer.status_code == 200, answer.body
    return dict(answer.json_body)


@pytest.mark.parametrize(("stage", "version"), [("learnt", 1), ("turned", 2)])
def test_a_right_password_moves_to_the_new_pepper_once_that_is_first(
    world: World, stage: str, version: int
) -> None:
    """Hashes are told apart by the version that they carry."""
    assert world.login_item().password_hash.startswith("v1:")
    process(world, STAGES[stage])
    assert verified(world)["valid"] is True
    assert world.login_item().password_hash.startswith(f"v{version}:")
    process(world, ENDED)
    assert verified(world)["valid"] is (version == 2)


def test_a_password_whose_pepper_is_gone_is_wrong_until_it_is_recovered(world: World) -> None:
    """No failure of ours: the person is where everybody is who forgot it."""
    process(world, ENDED)
    assert verified(world) == {"valid": False, "must_change": False, "changed_at": 0}
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert verified(world, PASSWORD)["valid"] is True


def test_wechat_s_token_is_fetched_anew_where_its_key_is_gone(bound: World) -> None:
    """It is shared in a table, sealed; WeChat repeats it to whoever asks."""
    asked = []
    with playing() as wechat:
        wechat.answers[STABLE] = [lambda: ok({"access_token": "t", "expires_in": 7200})]
        wechat.answers[INFO] = [{"subscribe": 1, "openid": "o-alice"}]
        for stage in STAGES.values():
            process(bound, stage, WECHAT_API_URL=wechat.url)
            assert bound.service.platform.is_following("o-alice")
            asked.append(len(wechat.asked(STABLE)))
    assert asked == [1, 1, 1, 2]
