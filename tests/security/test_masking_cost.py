"""Long hostile text in a log line: attack 74."""

from __future__ import annotations

import time

from chalicelib.telemetry import masking
from chalicelib.telemetry.invocation import Invocation, begun
from tests.security.mutation import Value, attack

LARGEST = 256 * 1024
"""Characters of text; the largest body that a function reads is shorter."""

SECONDS = 1.0
"""CPU time allowed for one text, about five times what the slowest one takes."""

# Repeated until the text is long enough. Each is aimed at one repetition of one pattern.
REPEATED = {
    "names without values": "password ",
    "names in a chain": "code code=\\",
    "double quotation marks": 'password="',
    "quotation marks of both kinds": "password=\"'code='\"",
    "an escape at the end of each line": 'password="\\\n',
    "escaped quotation marks of both kinds": "code=\\'code=\\\"",
    "DynamoDB values that are cut": 'password = {"s" : ',
    "bearers without tokens": "password=bearer ",
    "hashes without an end": "$argon2id$",
    "hashes of unknown kind": "$pbkdf2",
    "keys that are followed by a letter": "0a" * 20 + "g ",
    "sealed values in a chain": "=gAAAA",
    "phones that are cut": "+1",
    "base64": "QUJD",
    "base64 in short parts": "/aaaaaaaa",
    "percent-encoded slashes": "%2F",
    "escapes of a repr": "\\x41",
    "opaque characters": "aA_",
    "backslashes": "\\",
    "control characters": "\x00",
}

# A start, then one character for the rest of the text.
STRETCHED = {
    "spaces behind a name": ("password", " "),
    "spaces behind an equals sign": ("password=", " "),
    "backslashes behind a name": ("password", "\\"),
    "backslashes behind an equals sign": ("password=", "\\"),
    "spaces in a DynamoDB value": ("password={", " "),
    "spaces behind a bearer": ("password=bearer", " "),
    "digits": ("", "1"),
    "a hexadecimal key": ("", "a"),
    "equals signs": ("", "="),
    "slashes": ("", "/"),
    "line ends": ("", "\n"),
}


def _marks(size: int) -> str:
    """Return opening quotation marks, each behind another number of backslashes: none is closed."""
    parts: list[str] = []
    while sum(map(len, parts[-1:])) * len(parts) < 2 * size:
        parts.append("password=" + "\\" * (len(parts) + 1) + '"x ')
    return "".join(reversed(parts))[:size]


def texts(size: int) -> dict[str, str]:
    """Return the hostile texts of this many characters, by what they consist of."""
    return {
        "quotation marks behind backslashes": _marks(size),
        **{name: (unit * (size // len(unit) + 1))[:size] for name, unit in REPEATED.items()},
        **{name: first + rest * (size - len(first)) for name, (first, rest) in STRETCHED.items()},
    }


@attack(
    74,
    Value(
        masking,
        "_NAMED",
        masking._Lazily(
            masking._NAMED._text.replace(r"(?: .*? (?<!\\)(?P=q) | .* )", ".*? (?P=q)", 1)
        ),
    ),
)
def test_masking_is_linear_in_its_input() -> None:
    """A quarter of a megabyte of any shape costs under a second of CPU."""
    for size in (LARGEST // 4, LARGEST):
        for name, text in texts(size).items():
            assert len(text) == size
            began = time.process_time()
            masking.hide(text)
            took = time.process_time() - began
            assert took < SECONDS, f"{name}, {size} characters: {took:.1f} s"


def test_many_known_secrets_stay_cheap() -> None:
    """Two thousand spellings are searched for in a quarter of a megabyte in a second of CPU."""
    secrets = [f'é{number:03}"x' for number in range(200)]
    with begun(Invocation("c", "r", lambda: secrets)):
        masking.hide("prepare the spellings")
        assert len(masking._known()) >= 2_000
        began = time.process_time()
        hidden = masking.hide('é00"' * (LARGEST // 4))
        took = time.process_time() - began
    assert 'é000"x' not in hidden
    assert took < SECONDS, f"{took:.1f} s"
