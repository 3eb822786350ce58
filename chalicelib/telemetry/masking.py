"""Nothing secret in a line, whatever wrote it.

Two nets: what is known to be secret (the settings' keys, what the caller of this very request sent)
is hidden wherever it stands; of the rest, what has the shape or the name of a secret. A password
has no shape, so that the first net is the one that holds it.
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
"""Characters of a known secret; a shorter one would blank out half of every line."""

_always: frozenset[str] = frozenset()


def hide_always(secrets: Iterable[str]) -> None:
    """Hide these texts in every line of this process from now on."""
    global _always  # noqa: PLW0603
    _always |= {secret for secret in secrets if len(secret) >= MINIMUM}


class _Lazily:
    """A pattern that is compiled when it is first looked for: most cold starts write no line."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self._text)

    def sub(self, instead: str | Callable[[re.Match[str]], str], text: str) -> str:
        """As a pattern's own."""
        return self._pattern.sub(instead, text)


# Names under which secrets stand in reprs, JSON, form bodies, headers and DynamoDB's typed values.
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
        # Or behind an escape: %22 of an address, \x81 and \n of a repr, \u7801 of JSON.
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

# Base64 and the like: long, and of all kinds of characters. UUIDs and names of functions are not.
_OPAQUE = re.compile(r"[0-9A-Za-z+_=-]{24,}")
_KINDS = (re.compile("[0-9]"), re.compile("[A-Z]"), re.compile("[a-z]"))

# What may be base64 of something, in an address too; an escape before it is no part of it.
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

# A word without a digit, and shorter than what base64 makes of anything worth hiding.
_PLAIN = re.compile("[a-z]{0,7}")

# What every way of writing a text down leaves as it is.
_UNRESERVED = re.compile(r"[0-9A-Za-z_.~-]+")


def parts(text: str) -> list[str]:
    """What of a text that somebody wrote may be a secret: all of it, and each longer word in it."""
    return [text, *_WORD.findall(text)]


# Visible ASCII alone, since a secret in a Chinese sentence has no spaces around it.
_WORD = re.compile(r"[!-~]{6,}")


def hide(text: str) -> str:
    """The text without anything that is known, named or shaped as a secret."""
    known = _known()
    if _PLAIN.fullmatch(text):
        # Too short for every shape, and for what encodes a secret: most of a line is such words.
        return _without_spellings(text, known)
    text = _without_known(text, known)
    text = _ENCODED.sub(lambda found: _without_encoded(found, known), text)
    text = _NAMED.sub(_without_value, text)
    text = _OPAQUE.sub(_without_opaque, text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " (cut)"


Known = tuple[str, ...]
"""Every spelling of what is known to be secret. No pattern: each request brings secrets of its own, and
compiling them cost ten times what looking for them does."""


def _without_known(text: str, known: Known) -> str:
    return _SHAPES.sub(HIDDEN, _without_spellings(text, known))


def _without_spellings(text: str, known: Known) -> str:
    for spelling in known:
        if spelling in text:
            text = text.replace(spelling, HIDDEN)
    return text


def _without_encoded(found: re.Match[str], known: Known) -> str:
    before, encoded = found[1] or "", found[2]
    if _encodes_a_secret(encoded, known):
        return before + HIDDEN
    # A slash may be a path's as well.
    parts = encoded.split("/")
    return before + "/".join(HIDDEN if _encodes_a_secret(part, known) else part for part in parts)


def _encodes_a_secret(encoded: str, known: Known) -> bool:
    # Fewer encode less than a code.
    if len(encoded) < 8:
        return False
    digits = unquote(encoded).rstrip("=").translate(_URL_SAFE)
    try:
        text = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).decode()
    except ValueError:
        return False
    return _without_known(text, known) != text


_URL_SAFE = str.maketrans("-_", "+/")


def _without_value(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    # A vendor's or AWS's error code is a word, and what an operator looks for.
    if name.strip("\"' :=").lower() == "code" and re.fullmatch(r"""["']?[A-Za-z.]+["']?""", value):
        return found[0]
    return name + (value[0] + HIDDEN + value[0] if value[0] in "\"'" else HIDDEN)


def _without_opaque(found: re.Match[str]) -> str:
    return HIDDEN if all(kind.search(found[0]) for kind in _KINDS) else found[0]


def flat(text: str, *, lines: bool = False) -> str:
    """The text with control characters spelt out; `lines` keeps its line ends."""
    return _CONTROL.sub(lambda found: _spelt(found[0], lines), text)


def _spelt(character: str, lines: bool) -> str:
    if lines and character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()


def clean(value: Any, *, lines: bool = False, name: str = "") -> Any:
    """A log line's value, fit to be written: its secrets hidden, its control characters spelt out.

    Containers stay containers; what JSON does not know becomes text. `name` is the value's key.
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
    held = invocation.current()
    return _spelt_out(_always, held.secrets if held is not None else frozenset())


@lru_cache(maxsize=8)
def _spelt_out(always: frozenset[str], given: frozenset[str]) -> Known:
    spellings = {spelling for secret in always | given for spelling in _spellings(secret)}
    # The longest first, or a secret within another one would leave the other's ends standing.
    return tuple(sorted(spellings, key=len, reverse=True))


@lru_cache(maxsize=64)
def _spellings(secret: str) -> frozenset[str]:
    """The ways in which programs write a text down: as it is, in JSON, a repr, or an address.

    Base64 is not among them, since what stands before the secret changes it: it is decoded.
    """
    if _UNRESERVED.fullmatch(secret):
        return frozenset({secret} if len(secret) >= MINIMUM else ())
    forms = {secret, *(unicodedata.normalize(form, secret) for form in ("NFC", "NFKC"))}
    spelt: set[str] = set()
    for form in forms:
        spelt |= {
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
    # And JSON that is quoted in its turn, as botocore quotes what it sends.
    for form in forms:
        for written in (json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]):
            spelt |= {_in_repr(written), json.dumps(written)[1:-1]}
    return frozenset(form for form in spelt if len(form) >= MINIMUM)


def _in_repr(text: str) -> str:
    # A text with quotation marks of both kinds has its single ones escaped.
    return repr('"' + text)[2:-1]
