"""RocksDB's MANIFEST, and the note by which damage to it is seen.

The file CURRENT names the MANIFEST, which lists the tables that count. RocksDB checks the records
in it, but takes one that does not read for the torn end of a crash, and goes on with an older
state; at some damage it waits for ever. So the writer notes beside the database (`l2.manifest`)
how long the MANIFEST is and the checksum of its bytes, and nobody hands RocksDB one that does not
begin with these.

A MANIFEST only grows, and its successor has a higher number. A writer that dies between a change of
RocksDB's and the note of it therefore leaves a note that is older, never one that is wrong: what
lies behind it is taken as it is. So is everything where there is no note, or none that reads.
"""

from __future__ import annotations

import os
from io import FileIO
from zlib import crc32

from helios.errors import CorruptObject

PREFIX = "MANIFEST-"
NOTE_BYTES_MAX = 256


class Manifest:
    """Name and content of a MANIFEST."""

    __slots__ = ("content", "name")

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.content = content


def current(directory: str) -> str | None:
    """The name of the MANIFEST that counts; None if there is no database in the directory.

    Raises `CorruptObject` if there are tables but not the file that names the MANIFEST: RocksDB
    would take that for a new database, and a writer would drop the tables.
    """
    path = os.path.join(directory, "CURRENT")
    try:
        with FileIO(path) as file:
            name = file.read(64).strip()
    except FileNotFoundError:
        if has_tables(directory):
            raise _corrupt(directory, "it has tables, but no file CURRENT") from None
        return None
    text = name.decode("ascii", "replace")
    if not text.startswith(PREFIX) or not text[len(PREFIX) :].isdecimal():
        raise _corrupt(path, "it names no manifest")
    return text


def has_tables(directory: str) -> bool:
    """Whether the directory holds data of a database."""
    try:
        return any(name.endswith((".sst", ".blob", ".pack")) for name in os.listdir(directory))
    except FileNotFoundError:
        return False


def load(directory: str) -> Manifest | None:
    """The MANIFEST that counts, checked; None if there is no database.

    Raises `CorruptObject` if it is not what was noted, `FileNotFoundError` if it is missing.
    """
    # The note first: a writer beside us makes what it is compared with longer, or newer.
    noted = _noted(directory)
    name = current(directory)
    if name is None:
        return None
    path = os.path.join(directory, name)
    with FileIO(path) as file:
        content = file.readall()
    if noted is not None:
        noted_name, length, checksum = noted
        number, noted_number = int(name[len(PREFIX) :]), int(noted_name[len(PREFIX) :])
        if number < noted_number:
            raise _corrupt(
                os.path.join(directory, "CURRENT"), f"it names {name}, older than {noted_name}"
            )
        is_same = number == noted_number
        if is_same and (len(content) < length or crc32(content[:length]) != checksum):
            raise _corrupt(path, f"its first {length} bytes are not those that were written")
    return Manifest(name, content)


def note(directory: str) -> None:
    """Notes the MANIFEST as it is now. Only the writer of the database may call this."""
    name = current(directory)
    if name is None:
        return
    with FileIO(os.path.join(directory, name)) as file:
        content = file.readall()
    line = b"%s %d %08x" % (name.encode(), len(content), crc32(content))
    # Not synced: RocksDB has synced what it says, and an older or damaged note does no harm.
    temporary = f"{_note_path(directory)}.new"
    with open(temporary, "wb") as noted:
        noted.write(b"%s %08x\n" % (line, crc32(line)))
    os.replace(temporary, _note_path(directory))


def _note_path(directory: str) -> str:
    return f"{directory}.manifest"


def _noted(directory: str) -> tuple[str, int, int] | None:
    """Name, length and checksum in the note; None if there is none that reads."""
    try:
        with FileIO(_note_path(directory)) as file:
            line, _, checksum = file.read(NOTE_BYTES_MAX).rstrip(b"\n").rpartition(b" ")
        if int(checksum, 16) != crc32(line):
            return None
        name, length, content_checksum = line.decode().split(" ")
        return name, int(length), int(content_checksum, 16)
    except (OSError, ValueError):
        return None


def _corrupt(path: str, reason: str) -> CorruptObject:
    return CorruptObject(f"{path} is corrupt: {reason}; restore it from a copy of the repository")
