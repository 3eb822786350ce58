"""Texts that spreadsheets and databases write where a cell has no value, or hides it.

Every function expects a text that `chalicelib.domain.logins.fold` has normalised.
"""

from __future__ import annotations

import re

# Excel's #N/A, #NAME? and #DIV/0!, its ##### of a narrow column, and LibreOffice's Err:502.
_ERROR = re.compile(r"#(?:[A-Z][A-Z_]*/?[A0]?[!?]?|#+)|ERR:[0-9]{3}", re.ASCII | re.IGNORECASE)

_PROGRAMS = r"\\n|[\[<(]?null[\]>)]?|nil|none|nan|n/?a|undefined|empty|unknown|tbd|blank"
_PEOPLE = (
    "[无無空缺略]|空[值白]|没有|暂[无缺]|缺失|未知|未填写?|未设置?|未提供|不[详明]|待定|待补充?|同上"
    "|保密|无?密码|已?加密|(?:默认|初始)密码"
)
_WORDS = re.compile(f"{_PROGRAMS}|{_PEOPLE}", re.ASCII | re.IGNORECASE)

# A formula that refers to an empty cell has the result 0.
_ZERO = re.compile(r"0(?:\.0+)?", re.ASCII)
# One mark, once or repeated. Different marks together may be somebody's password.
_MARKS = re.compile(r"([\W_])\1*|x{3,}", re.IGNORECASE)
_MASK = re.compile(r"[*•●∙⋅]{4}")


def is_spreadsheet_artefact(folded: str) -> bool:
    """Return whether a text is a spreadsheet's error or formula, `="00123456"` included."""
    return folded.startswith("=") or _ERROR.fullmatch(folded) is not None


def is_placeholder(folded: str) -> bool:
    """Return whether a text only says that there is no value: NULL, 无, --, 0."""
    return (
        _WORDS.fullmatch(folded) is not None
        or _ZERO.fullmatch(folded) is not None
        or _MARKS.fullmatch(folded) is not None
    )


def is_masked(folded: str) -> bool:
    """Return whether a value is hidden by asterisks or dots, completely or in part."""
    return _MASK.search(folded) is not None
