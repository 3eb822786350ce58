"""The parts of a log line that are masked, and those that stay readable for operators."""

from __future__ import annotations

import io
import json
import logging
from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.settings import load
from chalicelib.telemetry import logs, masking, metrics
from chalicelib.telemetry.invocation import Invocation, begun, redact, redacting
from tests.conftest import SETTINGS
from tests.support.log_capture import Watched, watching

OPENID = "oX7kq0Bz3Vw5Yt9Lm2Nc4Hs6Jf8D"

SHAPES = {
    "a phone": "13912345678",
    "a phone in E.164": "+8613912345678",
    "a phone written in groups": "139 1234 5678",
    "a phone of elsewhere": "+85291234567",
    "an identity number": "11010119900307987X",
    "an identity number of before 1999": "110101900307987",
    "the end of an identity number": "987X",
    "a code": "048213",
    "a default password": "010987X",
    "a default password of a wechat_world": "0991" + "4071",
    "an openid": OPENID,
    "a digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "a hash": PasswordHasher({1: b"p" * 32}, memory_kib=8, passes=1).hash("Opening-1"),
    "a bare hash": "$2b$12$KIXQ4S5p3vGmQv0nB1m1UuJz8Wq0H2V8e9bXo3kE8J0b1h7sR1m2a",
    "an access token": "76_zPLx0cVbN3mQwErTyUiOpAsDfGhJkL_QAZ-WSXEDC",
    "a recovery's token": "WzE4MDAwMDE4MDAsWyJhYjEyIl1d.Xq3vB9n_T5yUi7Kp0Lw2Rd4Fs6Gh8Jz1Cx5Vb7Nm",
}


def logged(**extra: Any) -> str:
    """Return the log line with these extra fields, as it is written."""
    with watching() as watched:
        logging.getLogger("chalicelib.test").info("line", extra=extra)
    return watched.text


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES)
def test_a_value_with_a_secret_s_shape_is_masked_everywhere(watched: Watched, secret: str) -> None:
    """In messages, nested fields, tracebacks and their causes."""
    log = logging.getLogger("chalicelib.test")
    log.info("to %s, said", secret)
    log.info(f"验证码{secret}，请查收")
    log.info("%r %s", f"验证码{secret}\n{secret}，".encode(), ascii(f"验证码{secret}，"))
    log.info("https://x.example/?text=%s", quote(f'"{secret}"'))
    for spell in (b64encode, urlsafe_b64encode):
        encoded = spell(f"用户:{secret}".encode()).decode()
        log.info("Basic %s", encoded)
        log.info("https://x.example/a/%s?a=%s", encoded, quote(f"\n{encoded}", safe=""))
        assert encoded not in watched.text
        assert quote(encoded, safe="") not in watched.text
    log.info("fields", extra={"text": f"<{secret}>", "deep": [{"er": (secret,)}], secret: 1})
    try:
        try:
            raise ValueError(secret)
        except ValueError as error:
            raise KeyError({"value": secret}) from error
    except KeyError:
        log.exception("failed")
    assert len(watched.lines) == 10
    assert secret not in watched.text
    assert quote(secret) not in watched.text
    assert watched.text.count(masking.HIDDEN) >= 10


@pytest.mark.parametrize(
    "text",
    [
        "login 11010148_cw of firm 11010148",
        "unavailable: store",
        "console: try-another HTTP 503; aliyun: refused isv.BUSINESS_LIMIT_CONTROL",
        "wechat refused /cgi-bin/message/template/send: errcode 40164 rid 64635211-1adf7efb-7b834cc4",
        "request 2f4c1d9e-7b1a-4c55-9c0e-0f3b7a9d5e11 took 1503 ms in 2027",
        "ProvisionedThroughputExceededException of arn:aws-cn:dynamodb:cn-north-1::table/recovery-logins",
        "settings: CODE_PEPPER is missing; SMS_HTTP_SECRET is missing, the http gateway needs it",
        'File "/var/task/chalicelib/services/recovery.py", line 241, in complete',
        "code: ThrottlingException",
        "1800000000 and 1800000000123",
    ],
)
def test_operational_facts_stay_readable(text: str) -> None:
    """A mask that hides everything would be of no use."""
    assert masking.clean(text) == text


NAMED = [
    "password=hunter2hunter2",
    "{'password': 'hunter2'}",
    '{"password": "hunter2"}',
    r'{"body": "{\"password\": \"hunter2\"}"}',
    "{'head_id_last4': {'S': 'hunter2'}}",
    "Authorization: Bearer hunter2",
    "{'Cookie': 'hunter2'}",
    "https://x.example/a?appid=wx1&access_token=hunter2&type=1",
    "/wechat/enter?code=hunter2&state=1",
    "PhoneNumber='hunter2'",
    # Cut before the closing mark, as long lines are.
    'password="hunter2 and more hunter2',
    "{'password': 'hunter2",
    r'{"body": "{\"password\": \"hunter2 hunter2',
    # A quotation mark within the value, quoted once more.
    r'{"body": "{\"password\": \"a\\\" hunter2\"}"}',
]


@pytest.mark.parametrize("text", NAMED)
def test_a_value_after_a_secret_s_name_is_masked(text: str) -> None:
    """In whatever form another program writes names and values."""
    assert "hunter2" not in masking.clean(text)


def test_a_field_with_a_secret_s_name_is_masked() -> None:
    """Its value may have no recognizable shape."""
    assert "hunter2" not in logged(password="hunter2", extra={"openid": ["hunter2"]}, phone=7)


@given(
    secret=st.text(min_size=4, max_size=64).filter(lambda text: text.strip()),
    before=st.text(max_size=8),
    after=st.text(max_size=8),
)
def test_a_known_secret_is_masked_in_every_spelling(secret: str, before: str, after: str) -> None:
    """A password has no shape; it is known from the request."""
    with begun(Invocation("c", "r", lambda: [secret])):
        for spelt in (
            secret,
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(secret, safe="", errors="replace"),
            repr(json.dumps({"is": f"<{secret}>"}))[10:-4],
        ):
            # Between brackets, since beside a letter it may be part of another spelling.
            hidden = masking.hide(f"{before}<{spelt}>{after}")
            assert f"<{spelt}>" not in hidden.replace(masking.HIDDEN, "")


def test_a_short_word_is_masked_while_it_is_known() -> None:
    """Such as a password of a few letters, from the moment at which it is registered."""
    with begun(Invocation("c", "r", lambda: ["horse"])):
        assert masking.hide("horse") == masking.hide("horses")[:3] == masking.HIDDEN
        assert masking.hide("battery") == "battery"
        redact("batt")
        assert masking.hide("battery") == "***ery"


@pytest.mark.parametrize("secret", ["correct horse", "密码 of my dog", "Str0ng?>~é"])
def test_a_known_secret_is_masked_in_base64(secret: str) -> None:
    """At any offset of the encoded text, and also in a URL."""
    with begun(Invocation("c", "r", lambda: [secret])):
        for before in ("", "a:", "ab:", "abc:"):
            encoded = b64encode(f"{before}{secret}".encode()).decode()
            for spelt in (encoded, encoded.rstrip("="), quote(encoded, safe="")):
                assert masking.hide(f"Basic {spelt}, twice {spelt}") == "Basic ***, twice ***"
        assert masking.hide("Basic cmVjb3Zlcnk=") == "Basic cmVjb3Zlcnk="


def test_a_secret_registered_during_a_call_is_masked_only_in_that_call() -> None:
    """One person's message is not masked in the lines of the next call."""
    with begun(Invocation("c", "r", tuple)):
        redact("my word of honour")
        assert masking.hide("my word of honour!") == "***!"
    assert masking.hide("my word of honour!") == "my word of honour!"
    redact("my word of honour")
    assert masking.hide("my word of honour!") == "my word of honour!"


def test_a_block_s_secrets_are_masked_beside_its_call_s() -> None:
    """They are masked until the block ends; its metrics are written as usual."""
    with begun(Invocation("c", "r", lambda: ["my word of honour"])) as call:
        with redacting(["her maiden name"]), watching() as watched:
            assert masking.hide("her maiden name, my word of honour") == "***, ***"
            metrics.count("Unbound")
            assert watched.figures() == {"Unbound": 1}
        assert masking.hide("her maiden name, my word of honour") == "her maiden name, ***"
        assert call.end() == {}


def test_the_settings_secrets_are_always_masked() -> None:
    """All of them, also those in lists and under versions."""
    keys = [f"key {number} of a test and of thirty-two signs" for number in range(4)]
    signing, peppers = f"{keys[0]},{keys[1]}", f"2:{keys[2]},1:{keys[3]}"
    settings = load({**SETTINGS, "SIGNING_KEYS": signing, "CODE_PEPPER": peppers})
    found = set(settings.secrets())
    assert {*keys} < found
    assert {SETTINGS["WECHAT_APP_SECRET"], SETTINGS["WECHAT_TOKEN"]} < found
    masking.hide_always(found)
    assert all(secret not in masking.hide(f"it is {secret}.") for secret in found if secret)


def test_very_short_texts_are_not_masked() -> None:
    """A single letter would blank out every line."""
    with begun(Invocation("c", "r", lambda: ["a", "", "id"])):
        assert masking.hide("a valid idea") == "a valid idea"


HOSTILE = "x\n2027-01-01 ERROR forged\r\x1b[31mred\x9b2J\u2028next\u202eback\x00"


def test_a_line_has_no_line_break_and_no_control_sequence(watched: Watched) -> None:
    """Neither in the message nor in a field."""
    logging.getLogger("chalicelib.test").info("login %s", HOSTILE, extra={"said": HOSTILE})
    (line,) = watched.lines
    for text in (line["message"], line["said"], watched.text.rstrip("\n")):
        assert text.isprintable()
    assert r"\x1b[31mred" in line["message"]


def test_a_message_of_json_adds_no_fields(watched: Watched) -> None:
    """Powertools would merge them into the line."""
    logging.getLogger("chalicelib.test").info('{"level":"CRITICAL","alarm":"forged"}')
    (line,) = watched.lines
    assert line["level"] == "INFO"
    assert "alarm" not in line
    assert watched.figures() == {}


def test_libraries_log_only_warnings_and_errors(watched: Watched) -> None:
    """Their lower levels quote what they send."""
    for name in ("botocore.endpoint", "urllib3.connectionpool", "pynamodb.connection.base"):
        logger = logging.getLogger(name)
        level = logger.level
        logger.setLevel(logging.DEBUG)
        try:
            logger.info("Making request")
            logger.debug("Sending")
            logger.warning("Retrying")
        finally:
            logger.setLevel(level)
    assert [line["message"] for line in watched.lines] == ["Retrying"] * 3


def test_a_line_that_cannot_be_formatted_quotes_nothing() -> None:
    """Python's default handler would print the arguments."""
    with watching() as watched:
        logging.getLogger("chalicelib.test").info("%d times", "hunter2")
    assert watched.text == "a line of chalicelib.test could not be written\n"


def test_a_terminal_s_lines_are_masked_as_well() -> None:
    """The operators' commands and the local stack write plain lines."""
    stream = io.StringIO()
    with logs.plainly(stream, logging.WARNING):
        log = logging.getLogger("infra.test")
        log.info("too quiet")
        log.warning("to %s\nforged", "+8613912345678")
        try:
            raise ValueError("13912345678")
        except ValueError:
            log.exception("failed")
    log.warning("too late")
    first, *traceback = stream.getvalue().splitlines()
    assert first == r"WARNING to ***\nforged"
    assert traceback[0] == "ERROR failed"
    assert traceback[-1] == "ValueError: ***"
    assert "13912345678" not in stream.getvalue()
