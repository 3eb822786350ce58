"""Masking: no log line contains a secret, whichever module wrote it.

There are two methods. Known secrets (the settings' keys, and what the caller of the current request
sent) are hidden wherever they occur. Beyond them, texts are hidden that have the shape or the name of
a secret. A password has no shape, so only the first method hides it.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from . import invocation

HIDDEN = "***"

MINIMUM = 4
"""Shortest known secret that is hidden, in characters; a shorter one would blank out most lines."""

_always: frozenset[str] = frozenset()


def hide_always(secrets: Iterable[str]) -> None:
    """Hide these texts in every later line of this process."""
    global _always  # noqa: PLW0603
    _always |= {secret for secret in secrets if len(secret) >= MINIMUM}


class _Lazily:
    """A pattern that is compiled at its first use: most cold starts write no line."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self._text)

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Return the text with the replacement for each match, as `re.Pattern.sub`."""
        return self._pattern.sub(replacement, text)


# Names of secrets in reprs, JSON, form bodies, headers and DynamoDB's typed values.
_NAMES = (
    "password",
    "passwd",
    "pwd",
    "opening_password",
    "password_hash",
    "token",
    "access_token",
    "secret",
    "appsecret",
    "pepper",
    "signing_key",
    "authorization",
    "cookie",
    "set-cookie",
    "openid",
    "touser",
    "fromusername",
    "phone",
    "finance_phone",
    "mobile",
    "phonenumber",
    "phonenumbers",
    "head_name",
    "head_id_last4",
    "id_last4",
    "id_number",
    "sealed",
    "digest",
    "used_digest",
    "code",
    "echostr",
    "signature",
    "msg_signature",
)
# Linear in the text: a value whose quotation mark is never closed extends to the end of its line, so
# that no part of a line is searched for a second closing mark. A mark behind backslashes closes only
# behind as many: one behind more is part of the value, quoted once more.
_NAMED = _Lazily(
    "(?ix) (?<![0-9a-z_]) ( (?:"
    + "|".join(re.escape(name) for name in _NAMES)
    + r""") (?:\\*["'])? \s* [:=] \s* (?: \{ \s* ["'][snb]["'] : \s* )? )
    ( (?P<q>\\+["']) (?: .*? (?<!\\)(?P=q) | .* )
      | "(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' | ["'] .*
      | (?:bearer\s+)? [^\s"',;&<>()\[\]{}]+ )"""
)

_SHAPES = _Lazily(
    r"""(?x)
    (?:\$|%24) (?: argon2(?:id|i|d) | 2[abxy] | scrypt | pbkdf2[0-9a-z-]* | [156y] ) (?:\$|%24) [^\s"'<>)}\]]+  # PHC
    | (?:
        (?<![0-9A-Za-z_])
        # Or after an escape: %22 of a URL, \x81 and \n of a repr, \u7801 of JSON.
      | (?<=%[0-9A-Fa-f]{2}) | (?<=\\x[0-9A-Fa-f]{2}) | (?<=\\u[0-9A-Fa-f]{4}) | (?<=\\[nrt])
    ) (?:
        [1-9][0-9]{16}[0-9Xx]                  # an identity number
      | [1-9][0-9]{14}                         # one of before 1999
      | (?: (?:\+|00)?86[ -]? )? 1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}   # a mobile phone of China
      | [0-9]{6}                               # a code
      | 0[0-9]{5,6}[0-9Xx]                     # a default password: area code and four digits
      | [0-9]{3}[Xx]                           # the end of an identity number
      | o[0-9A-Za-z_-]{27}                     # an openid
      | [0-9a-fA-F]{32,}                       # a key or a digest
      | gAAAA[0-9A-Za-z_=-]+
    ) (?![0-9A-Za-z_])
    | (?:\+|%2B) [1-9][0-9]{7,14} (?![0-9])            # any phone in E.164
    """
)

# Base64 and similar: long, with digits and letters of both cases. UUIDs and function names have not.
_OPAQUE = re.compile(r"[0-9A-Za-z+_=-]{24,}")
_KINDS = (re.compile("[0-9]"), re.compile("[A-Z]"), re.compile("[a-z]"))

# Possible base64, in a URL as well; an escape before it does not belong to it.
_ENCODED = _Lazily(
    r"""(?x)
    ( %[0-9A-Fa-f]{2} | \\x[0-9A-Fa-f]{2} | \\u[0-9A-Fa-f]{4} | \\[nrt] )?
    ( (?: [0-9A-Za-z+/_-] | %2[BbFf] ){8,} (?: = | %3[Dd] ){0,2} )"""
)

# Characters that control a terminal, that make one line look like two or read backwards, and lone
# surrogates, for which a line could not be encoded and would be lost.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

_LONGEST = 20_000

# A word without digits, shorter than the base64 of any secret.
_PLAIN = re.compile("[a-z]{0,7}")

# Characters that no encoding of a text changes.
_UNRESERVED = re.compile(r"[0-9A-Za-z_.~-]+")


def parts(text: str) -> list[str]:
    """Return the possible secrets in a text that a person wrote: the text, and each longer word."""
    return [text, *_WORD.findall(text)]


# Visible ASCII only: a secret in a Chinese sentence has no spaces around it.
_WORD = re.compile(r"[!-~]{6,}")


def hide(text: str) -> str:
    """Return the text without anything that is known, named or shaped as a secret.

    The time is linear in the text's length.
    """
    known = _known()
    if _PLAIN.fullmatch(text):
        # Too short for every shape and for an encoded secret; most of a line consists of such words.
        return _without_spellings(text, known)
    text = _without_known(text, known)
    text = _ENCODED.sub(lambda match: _without_encoded(match, known), text)
    text = _NAMED.sub(_without_value, text)
    text = _OPAQUE.sub(_without_opaque, text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " (cut)"


Known = tuple[str, ...]
"""Every spelling of the known secrets. No pattern: each request has secrets of its own, and compiling a
pattern costs ten times as much as searching for each spelling."""


def _without_known(text: str, known: Known) -> str:
    return _SHAPES.sub(HIDDEN, _without_spellings(text, known))


def _without_spellings(text: str, known: Known) -> str:
    for spelling in known:
        if spelling in text:
            text = text.replace(spelling, HIDDEN)
    return text


def _without_encoded(match: re.Match[str], known: Known) -> str:
    before, encoded = match[1] or "", match[2]
    if _encodes_a_secret(encoded, known):
        return before + HIDDEN
    # A slash may also separate the parts of a path.
    parts = encoded.split("/")
    return before + "/".join(HIDDEN if _encodes_a_secret(part, known) else part for part in parts)


def _encodes_a_secret(encoded: str, known: Known) -> bool:
    # Fewer characters cannot encode a code.
    if len(encoded) < 8:
        return False
    digits = unquote(encoded).rstrip("=").translate(_URL_SAFE)
    try:
        text = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).decode()
    except ValueError:
        return False
    return _without_known(text, known) != text


_URL_SAFE = str.maketrans("-_", "+/")


def _without_value(match: re.Match[str]) -> str:
    name, value = match[1], match[2]
    # An error code of a vendor or of AWS is a word, and operators search for it.
    if name.strip("\"' :=").lower() == "code" and re.fullmatch(r"""["']?[A-Za-z.]+["']?""", value):
        return match[0]
    return name + (value[0] + HIDDEN + value[0] if value[0] in "\"'" else HIDDEN)


def _without_opaque(match: re.Match[str]) -> str:
    return HIDDEN if all(kind.search(match[0]) for kind in _KINDS) else match[0]


def flat(text: str, *, lines: bool = False) -> str:
    """Return the text with control characters escaped; `lines` keeps its line ends and tabs."""
    return _CONTROL.sub(lambda match: _escaped(match[0], lines), text)


def _escaped(character: str, lines: bool) -> str:
    if lines and character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()


def clean(value: Any, *, lines: bool = False, name: str = "") -> Any:
    """Return a log line's value with its secrets hidden and its control characters escaped.

    Containers stay containers; a value that has no form in JSON becomes text. `name` is the value's key.
    """
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, dict):
        return {
            flat(hide(str(key))): clean(item, lines=lines, name=str(key))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, lines=lines, name=name) for item in value]
    if name.lower() in _NAMES and name.lower() != "code":
        return HIDDEN
    if isinstance(value, int):
        return value if hide(str(value)) == str(value) else HIDDEN
    return flat(hide(str(value)), lines=lines)


def _known() -> Known:
    call = invocation.current()
    return _all_spellings(_always, call.secrets if call is not None else frozenset())


@lru_cache(maxsize=8)
def _all_spellings(always: frozenset[str], of_call: frozenset[str]) -> Known:
    spellings = {spelling for secret in always | of_call for spelling in _spellings(secret)}
    # Longest first: a secret that contains another one must be hidden as a whole.
    return tuple(sorted(spellings, key=len, reverse=True))


@lru_cache(maxsize=64)
def _spellings(secret: str) -> frozenset[str]:
    """Return the forms of a text in logs: unchanged, in JSON, in a repr, in a URL.

    Base64 is not among them, because it depends on the text before the secret: it is decoded instead.
    """
    if _UNRESERVED.fullmatch(secret):
        return frozenset({secret} if len(secret) >= MINIMUM else ())
    forms = {secret, *(unicodedata.normalize(form, secret) for form in ("NFC", "NFKC"))}
    spellings: set[str] = set()
    for form in forms:
        spellings |= {
            form,
            repr(form)[1:-1],
            _in_repr(form),
            ascii(form)[1:-1],
            json.dumps(form)[1:-1],
            json.dumps(form, ensure_ascii=False)[1:-1],
            repr(form.encode("utf-8", "surrogatepass"))[2:-1],
            quote(form, safe="", errors="replace"),
            quote_plus(form, errors="replace"),
        }
    # JSON within a quoted text, as botocore logs the bodies of its requests.
    for form in forms:
        for written in (json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]):
            spellings |= {_in_repr(written), json.dumps(written)[1:-1]}
    return frozenset(form for form in spellings if len(form) >= MINIMUM)


def _in_repr(text: str) -> str:
    # In a text with quotation marks of both kinds, repr escapes the single ones.
    return repr('"' + text)[2:-1]
