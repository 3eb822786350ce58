"""The settings' secret: one request per cold start, failures, and later requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from botocore.exceptions import ConnectTimeoutError
from chalice.app import Chalice

from chalicelib import runtime
from chalicelib.domain.errors import Unavailable
from chalicelib.handlers import middleware
from chalicelib.settings import Settings, SettingsError
from chalicelib.settings.loader import LIFETIME, PAUSE, Built, SettingsSource
from tests.conftest import SETTINGS, Clock
from tests.support.api_client import ApiClient
from tests.support.log_capture import Watched, watching
from tests.support.secrets_manager import NAME, SecretsManager


def health() -> tuple[int, str]:
    answer = ApiClient().get("/health")
    return answer.status_code, str(answer.json_body.get("code", ""))


def test_a_cold_start_reads_the_secret_once(secrets_manager: SecretsManager) -> None:
    """Later HTTP requests read nothing."""
    assert [health() for _ in range(5)] == [(200, "")] * 5
    assert secrets_manager.requests == ["GetSecretValue"]
    service = runtime.service()
    assert service.settings.wechat_app_id == SETTINGS["WECHAT_APP_ID"]
    assert [key.reveal() for key in service.settings.signing_keys] == ["s" * 32]


def test_concurrent_requests_share_one_read(secrets_manager: SecretsManager) -> None:
    """The local stack answers in several threads."""
    source = SettingsSource({"SECRETS_ID": NAME}, Clock(), secrets_manager.connect)
    made: list[object] = []
    built = Built(source, lambda _: object())
    threads = [threading.Thread(target=lambda: made.append(built.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(made), len(set(map(id, made))), len(secrets_manager.requests)) == (8, 1, 1)


def test_an_object_that_another_thread_has_built_meanwhile_is_used() -> None:
    """While this one waited for the lock."""
    source = SettingsSource(SETTINGS, Clock(), lambda: None)
    built: Built[str] = Built(source, lambda _: "built again")

    class Waited:
        def __enter__(self) -> None:
            built._built = (source.settings(), "built by another thread")

        def __exit__(self, *_: object) -> None:
            pass

    built._lock = Waited()  # type: ignore[assignment]
    assert built.get() == "built by another thread"


class NoAnswer:
    """A client of Secrets Manager whose answer was no JSON, such as a proxy's page."""

    def get_secret_value(self, **_: object) -> dict[str, str]:
        return {}


def test_an_answer_that_is_none_is_unavailable() -> None:
    """Botocore parses it as one without members."""
    with pytest.raises(Unavailable):
        SettingsSource({"SECRETS_ID": NAME}, Clock(), NoAnswer).settings()


FAULTS: dict[str, str | BaseException] = {
    "throttled": "ThrottlingException",
    "denied": "AccessDeniedException",
    "not there": "ResourceNotFoundException",
    "its key is gone": "DecryptionFailure",
    "no answer": ConnectTimeoutError(endpoint_url="https://canary-arn"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_secret_that_cannot_be_read_is_read_by_the_next_request(
    secrets_manager: SecretsManager, watched: Watched, fault: str | BaseException
) -> None:
    """The answer is `unavailable`; a log line and an alarm are written; the process can recover."""
    secrets_manager.fault = fault
    assert health() == (503, "unavailable")
    assert [line["message"] for line in watched.lines] == ["unavailable: secrets"]
    assert watched.figures() == {"Alarm alarm=unavailable": 1}
    assert "canary-arn" not in watched.text
    secrets_manager.fault = None
    assert health() == (200, "")
    assert len(secrets_manager.requests) == 2


CANARY = "canary-secret-of-nobody-0123456789"

INVALID = {
    "no JSON": (f'{{"SIGNING_KEYS": "{CANARY}", ', "SECRETS_ID does not name a JSON object"),
    "a list": (json.dumps([CANARY]), "SECRETS_ID does not name a JSON object"),
    "binary": (CANARY.encode(), "SECRETS_ID does not name a JSON object"),
    "empty": ("{}", "SITE_URL is missing; SIGNING_KEYS is missing; CODE_PEPPER is missing"),
    "a malformed setting": (
        json.dumps({**SETTINGS, "WECHAT_AES_KEY": CANARY}),
        "settings: WECHAT_AES_KEY must be the 43 characters of the EncodingAESKey",
    ),
}


@pytest.mark.parametrize(("value", "message"), INVALID.values(), ids=INVALID)
def test_an_invalid_secret_is_reported_by_setting(
    secrets_manager: SecretsManager, watched: Watched, value: str | bytes, message: str
) -> None:
    """The log has the names of invalid settings, never values; a corrected secret is read at once."""
    secrets_manager.put(value)
    assert health() == (503, "unavailable")
    (line,) = watched.lines
    assert message in line["message"]
    assert watched.figures() == {"Alarm alarm=settings": 1}
    assert CANARY not in watched.text
    secrets_manager.put(json.dumps(SETTINGS))
    assert health() == (200, "")


def test_the_read_ends_before_the_function_s_time_out() -> None:
    """Both attempts together; the API's function has ten seconds."""
    client = runtime._secrets_manager()
    config = client.meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}
    assert 2 * (config.connect_timeout + config.read_timeout) < 10


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def built(secrets_manager: SecretsManager, clock: Clock) -> Built[dict[str, Settings]]:
    """An object built from the settings, with the test's clock."""
    return Built(
        SettingsSource({"SECRETS_ID": NAME}, clock, secrets_manager.connect),
        lambda s: {"settings": s},
    )


def test_a_warm_process_reads_again_after_five_minutes(
    secrets_manager: SecretsManager, clock: Clock, built: Built[dict[str, Settings]]
) -> None:
    """Not earlier; and an unchanged secret keeps the built object."""
    first = built.get()
    clock.time += LIFETIME - 1
    assert built.get() is first
    assert len(secrets_manager.requests) == 1
    clock.time += 1
    assert [built.get() is first for _ in range(3)] == [True] * 3
    assert (len(secrets_manager.requests), secrets_manager.clients) == (2, 1)


def test_a_change_is_applied_after_five_minutes(
    secrets_manager: SecretsManager, clock: Clock, built: Built[dict[str, Settings]]
) -> None:
    """The object is built again once."""
    first = built.get()
    secrets_manager.put(json.dumps({**SETTINGS, "SMS_SIGN": "新签名"}))
    clock.time += LIFETIME - 1
    assert built.get() is first
    clock.time += 1
    second = built.get()
    assert second is not first
    assert second["settings"].sms_sign == "新签名"
    assert built.get() is second


def test_a_secret_that_cannot_be_read_again_changes_nothing(
    secrets_manager: SecretsManager,
    clock: Clock,
    built: Built[dict[str, Settings]],
    watched: Watched,
) -> None:
    """The process keeps its settings, logs the failure, and reads again after half a minute."""
    first = built.get()
    secrets_manager.fault = "ThrottlingException"
    clock.time += LIFETIME
    assert [built.get() is first for _ in range(3)] == [True] * 3
    assert len(secrets_manager.requests) == 2
    clock.time += PAUSE
    assert built.get() is first
    assert len(secrets_manager.requests) == 3
    assert [line["message"] for line in watched.lines] == [
        "the secret was not read again: ThrottlingException"
    ] * 2
    secrets_manager.fault = ConnectTimeoutError(endpoint_url="https://canary-arn")
    clock.time += PAUSE
    assert built.get() is first
    assert watched.lines[-1]["message"] == "the secret was not read again: ConnectTimeoutError"
    secrets_manager.fault = None
    secrets_manager.put(json.dumps({**SETTINGS, "SMS_SIGN": "新签名"}))
    clock.time += PAUSE
    assert built.get() is not first


def test_an_invalid_new_value_is_not_applied(
    secrets_manager: SecretsManager,
    clock: Clock,
    built: Built[dict[str, Settings]],
    watched: Watched,
) -> None:
    """The process keeps its settings and raises an alarm."""
    first = built.get()
    secrets_manager.put(json.dumps({**SETTINGS, "CODE_PEPPER": "short"}))
    clock.time += LIFETIME
    assert built.get() is first
    (line,) = watched.lines
    assert "CODE_PEPPER must be version:secret items" in line["message"]
    assert line["alarm"] == "settings"


def test_other_requests_do_not_wait_for_a_repeated_read(
    secrets_manager: SecretsManager, clock: Clock
) -> None:
    """They use the settings that the process has."""
    started, answer = threading.Event(), threading.Event()

    class Slow:
        def get_secret_value(self, **_: str) -> dict[str, str]:
            if first_read:
                started.set()
                assert answer.wait(10)
            return {"ARN": "arn", "SecretString": json.dumps(SETTINGS)}

    first_read: list[bool] = []
    source = SettingsSource({"SECRETS_ID": NAME}, clock, Slow)
    first = source.settings()
    first_read.append(True)
    clock.time += LIFETIME
    reader = threading.Thread(target=source.settings)
    reader.start()
    assert started.wait(10)
    assert source.settings() is first
    answer.set()
    reader.join(10)
    assert not reader.is_alive()


def test_settings_of_the_environment_alone_are_read_once(
    secrets_manager: SecretsManager, clock: Clock
) -> None:
    """Without a secret nothing is read again."""
    environment = dict(SETTINGS)
    source = SettingsSource(environment, clock, secrets_manager.connect)
    first = source.settings()
    environment["SMS_SIGN"] = "新签名"
    clock.time += 10 * LIFETIME
    assert source.settings() is first
    assert not secrets_manager.requests


def test_invalid_settings_and_an_unavailable_secret_differ(
    secrets_manager: SecretsManager, clock: Clock
) -> None:
    """The first raises SettingsError, the second Unavailable."""
    with pytest.raises(SettingsError, match="SITE_URL is missing"):
        SettingsSource({}, clock, secrets_manager.connect).settings()
    with pytest.raises(Unavailable, match="secrets"):
        SettingsSource({"SECRETS_ID": "another"}, clock, secrets_manager.connect).settings()


@pytest.fixture
def in_lambda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "login-recovery-prod")
    with watching():
        yield


def test_in_lambda_the_settings_are_read_at_the_start(
    secrets_manager: SecretsManager, in_lambda: None
) -> None:
    """Before the first request, which reads nothing."""
    middleware.register(Chalice("another", configure_logs=False))
    assert secrets_manager.requests == ["GetSecretValue"]
    assert health() == (200, "")
    assert len(secrets_manager.requests) == 1


def test_invalid_settings_are_logged_at_the_start(
    secrets_manager: SecretsManager, in_lambda: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The module loads all the same, and the next request reads again."""
    secrets_manager.put(json.dumps({**SETTINGS, "SMS_GATEWAYS": "pigeon", "SITE_URL": ""}))
    middleware.register(Chalice("another", configure_logs=False))
    line, figure = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    if "_aws" in line:
        line, figure = figure, line
    assert (line["level"], line["function"]) == ("ERROR", "login-recovery-prod")
    assert "SITE_URL is missing; SMS_GATEWAYS must be an ordered list" in line["message"]
    assert figure["alarm"] == "settings"
    secrets_manager.put(json.dumps(SETTINGS))
    assert health() == (200, "")


def test_outside_of_lambda_nothing_is_read(secrets_manager: SecretsManager) -> None:
    """Importing the app, as packaging does, reads and logs nothing."""
    with watching() as before:
        middleware.register(Chalice("another", configure_logs=False))
        assert before.text == ""
    assert not secrets_manager.requests
