"""Texts whose characters were lost or replaced before the directory file was written."""

from __future__ import annotations

import re

# What programs write for a character that their encoding lacks: a question mark, a box, an asterisk,
# a character reference of HTML, an escape of JSON, a percent-encoded byte.
_SUBSTITUTES = re.compile(
    r"[?？\ufffd\ufffc□■▯�*＊]"
    r"|&#(?:[0-9]{1,7}|x[0-9a-f]{1,6});?|&[a-z]{2,8};"
    r"|\\u[0-9a-f]{4}|(?:%[0-9a-f]{2}){2}",
    re.ASCII | re.IGNORECASE,
)
# U+FFFD in UTF-8 read as GBK, and uninitialised memory of Windows programs read as GBK.
_GARBAGE = re.compile("锟斤拷|锟斤|斤拷|烫烫|屯屯|葺葺")

# Office Open XML writes a character that XML forbids as its code: _x000D_. It escapes the escape: a
# text "_x000D_" is written _x005F_x000D_.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_", re.ASCII)

_CHINESE = re.compile("[\u3400-\u9fff（）·]{3,}")


def is_lost(text: str) -> bool:
    """Return whether a name has substitutes, or was decoded with the wrong encoding."""
    return (
        _SUBSTITUTES.search(text) is not None
        or is_garbage(text)
        or _is_utf_8_in(text, "cp1252")
        or _is_utf_8_in(text, "latin-1")
        or _is_utf_8_in(text, "gb18030")
    )


def is_garbage(text: str) -> bool:
    """Return whether a text has characters that come only from decoding with the wrong encoding."""
    return _GARBAGE.search(text) is not None or _ESCAPED.search(text) is not None


def _is_utf_8_in(text: str, encoding: str) -> bool:
    """Return whether a text is Chinese in UTF-8 that was decoded as `encoding`."""
    if text.isascii():
        return False
    try:
        return _CHINESE.fullmatch(text.encode(encoding).decode("utf-8")) is not None
    except UnicodeError:
        return False


def unescape(text: str) -> str:
    """Decode the escapes of Office Open XML; two that form a surrogate pair are one character."""
    if "_x" not in text:
        return text
    units = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
