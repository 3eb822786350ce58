"""XLSX files made part by part, as programs other than Excel write them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from infra.ops.enrolment.directory_row import COLUMN_NAMES

FIRM = (
    "11010148",
    "北京示例会计师事务所（特殊普通合伙）",
    "11",
    "京财会许可〔2012〕0084号",
    "甄示例",
    "0123",
    "13800001234",
    "",
    "Opening-1",
)

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"


def cell(text: str) -> str:
    """Return a cell with a text."""
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def row(texts: Sequence[str] = COLUMN_NAMES, *, replaced: Mapping[str, str] | None = None) -> str:
    """Return a row of texts; `replaced` has the XML of single cells by column."""
    cells = zip(COLUMN_NAMES, texts, strict=False)
    changed = replaced or {}
    return f"<row>{''.join(changed.get(name, cell(text)) for name, text in cells)}</row>"


def sheet(*rows: str, after: str = "", main: str = MAIN) -> str:
    """Return the XML of a sheet; `after` follows the rows."""
    return f'<worksheet xmlns="{main}"><sheetData>{"".join(rows)}</sheetData>{after}</worksheet>'


def write(
    path: Path,
    sheets: Mapping[str, str],
    *,
    states: Mapping[str, str] | None = None,
    parts: Mapping[str, str] | None = None,
    main: str = MAIN,
    office: str = _OFFICE,
) -> Path:
    """Write an XLSX file with sheets by name; `parts` are more parts of the folder `xl` by name."""
    names = list(sheets)
    listed = "".join(
        f"<sheet name={quoteattr(name)} sheetId='{number}' r:id='s{number}'"
        f" state={quoteattr((states or {}).get(name, 'visible'))}/>"
        for number, name in enumerate(names)
    )
    related = "".join(
        f'<Relationship Id="s{number}" Type="{office}/worksheet" Target="sheets/{number}.xml"/>'
        for number in range(len(names))
    ) + "".join(
        f'<Relationship Id="{part}" Type="{office}/{part}" Target="{part}.xml"/>'
        for part in parts or {}
    )
    files = {
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONSHIPS}"><Relationship Id="w"'
        f' Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONSHIPS}">{related}'
        "</Relationships>",
        **{f"xl/sheets/{number}.xml": sheets[name] for number, name in enumerate(names)},
        **{f"xl/{part}.xml": content for part, content in (parts or {}).items()},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
