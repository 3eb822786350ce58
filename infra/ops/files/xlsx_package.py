"""The zip package of an XLSX file: its parts within limits, and the XML of a part as events.

Every part is read as a stream, and the sizes are checked before anything is unpacked, so that a
file that unpacks to gigabytes needs neither the memory nor the time.
"""

from __future__ import annotations

import errno
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat  # nosec B407

from chalicelib.domain.catalogue import DIRECTORY_FILES, fill

from .lines import DirectoryError

_MEBIBYTE = 1 << 20
# A directory of ten thousand firms has a sheet of about five mebibytes.
_MAXIMUM_PART = 128 * _MEBIBYTE
# Unpacked strings need about four times their size in memory.
_MAXIMUM_STRINGS = 32 * _MEBIBYTE
_MAXIMUM_PARTS = 10_000
_CHUNK = 1 << 16
_RELATIONSHIPS = "_rels/{}.rels"

# What the standard library raises for a damaged package, and for one with a password.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    expat.ExpatError,
    EOFError,
    ValueError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


@contextmanager
def damage_refused() -> Iterator[None]:
    """Raise DirectoryError for every error of a damaged package. Other errors of files pass."""
    try:
        yield
    except DirectoryError:
        raise
    except _DAMAGE:
        raise DirectoryError(DIRECTORY_FILES["xlsx"]) from None
    except OSError as error:
        # The package states an impossible position of a part.
        if error.errno != errno.EINVAL:
            raise
        raise DirectoryError(DIRECTORY_FILES["xlsx"]) from None


class Event(NamedTuple):
    """An event of a part's XML."""

    kind: str
    """`start`, `end` or `text`."""
    name: str
    """Local name of the element; the characters, where `kind` is `text`."""
    attributes: Mapping[str, str]
    """By local name; empty but for `start`."""


class Relationship(NamedTuple):
    """A part that another part refers to."""

    kind: str
    """Last part of the relationship's type: `worksheet`, `styles`."""
    target: str
    """Path in the package."""


class Package:
    """The parts of an open zip file. To be used within `damage_refused`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Read the list of parts. Some programs write paths with backslashes or other case."""
        self._archive = archive
        infos = archive.infolist()
        if len(infos) > _MAXIMUM_PARTS:
            raise DirectoryError(fill(DIRECTORY_FILES["too-large"], limit=_MAXIMUM_PARTS))
        self._infos = {_path(info.filename): info for info in infos}

    def has(self, path: str) -> bool:
        """Return whether the package has a part."""
        return _path(path) in self._infos

    def chunks(self, path: str, maximum: int = _MAXIMUM_PART) -> Iterator[bytes]:
        """Yield the bytes of a part. Raises KeyError where it is missing."""
        info = self._infos[_path(path)]
        # zipfile never reads more than this size, even where more is packed.
        if info.file_size > maximum:
            limit = f"{maximum // _MEBIBYTE} MiB"
            raise DirectoryError(fill(DIRECTORY_FILES["too-large"], limit=limit))
        with self._archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    def events(self, path: str, maximum: int = _MAXIMUM_PART) -> Iterator[Event]:
        """Yield the events of a part's XML."""
        yield from parse(self.chunks(path, maximum))

    def strings(self, path: str) -> Iterator[Event]:
        """Yield the events of the part with the shared strings, all of which are held in memory."""
        yield from self.events(path, _MAXIMUM_STRINGS)

    def relationships(self, path: str) -> dict[str, Relationship]:
        """Return the relationships of a part by their id; `path` is empty for the package's."""
        folder, name = posixpath.split(path)
        file = posixpath.join(folder, _RELATIONSHIPS.format(name))
        if not self.has(file):
            return {}
        return {
            event.attributes["Id"]: Relationship(
                event.attributes["Type"].rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, event.attributes["Target"])),
            )
            for event in self.events(file)
            if event.kind == "start" and event.name == "Relationship"
        }


def open_package(path: Path) -> zipfile.ZipFile:
    """Open the zip file. Raises DirectoryError where it is no XLSX, and says what it is; OSError."""
    with damage_refused():
        archive = zipfile.ZipFile(path)
    names = {_path(name) for name in archive.namelist()}
    if {"xl/workbook.bin", "content.xml", "index/document.iwa"} & names:
        archive.close()
        raise DirectoryError(DIRECTORY_FILES["other-format"])
    return archive


def parse(chunks: Iterator[bytes]) -> Iterator[Event]:
    """Yield the events of an XML document, with the names reduced to their local part.

    Raises ValueError for a document type, which XLSX never has and which can define entities that
    expand to gigabytes; expat.ExpatError.
    """
    # B407 warns of entities, which need a document type.
    pending: list[Event] = []
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        local = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        pending.append(Event("start", name.rpartition(":")[2], local))

    def end(name: str) -> None:
        pending.append(Event("end", name.rpartition(":")[2], {}))

    def text(characters: str) -> None:
        pending.append(Event("text", characters, {}))

    def doctype(*_: object) -> None:
        raise ValueError

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    for chunk in chunks:
        parser.Parse(chunk, False)
        yield from pending
        pending.clear()
    parser.Parse(b"", True)
    yield from pending


def last_match(
    chunks: Iterator[bytes], pattern: re.Pattern[bytes], longest: int
) -> tuple[int, bytes]:
    """Return the position after the last match in a stream of bytes, or 0, and the last bytes.

    A match has at most `longest` bytes, and so many are returned.
    """
    position = end = 0
    tail = b""
    for chunk in chunks:
        window = tail + chunk
        begins = position - len(tail)
        for match in pattern.finditer(window):
            end = max(end, begins + match.end())
        position += len(chunk)
        tail = window[-longest:]
    return end, tail


def _path(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
