"""Objects that are derived from what git stores: the other side of `helios.store.derived`."""

from __future__ import annotations

import os
from _thread import allocate_lock

from helios import errors
from helios._core import GitMap
from helios.store.git.objects import GitObjects, object_format
from helios.store.git.process import Git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = tuple[str, int, int, bool, int, str]

ID_BYTES = {"sha1": 20, "sha256": 32}
ID_DIGITS = 64
"""Of a Helios id. A row may have no more than its first 24."""
# Nodes of large directories are asked for one by one, and come together.
KEPT_BYTES_MAX = 16 << 20
ROWS_AT_ONCE = 256
WRITTEN = 1
"""The role of a row whose Helios object is stored, and not derived."""


class Derived:
    """What is derived from the git repository in `directory`, by its map."""

    def __init__(self, directory: str) -> None:
        """Raises `StorageError`, `CorruptObject` and `FormatTooNew` for the map."""
        self._directory = directory
        self._place = os.path.join(directory, "helios", "map")
        self.objects_directory = os.path.join(directory, "objects")
        packs = os.path.join(self.objects_directory, "pack")
        self.map = GitMap(self._place, packs, ID_BYTES[object_format(directory)])
        self._objects = GitObjects(directory)
        self._seen = self._age()
        self._lock = allocate_lock()
        self._kept: dict[bytes, bytes] = {}
        self._kept_bytes = 0
        if self.map.is_orphaned():
            # Somebody has repacked the view, which rows of packs do not outlive.
            self._derive_anew()

    def _derive_anew(self) -> None:
        from helios.store.git.ingest import everything

        try:
            everything(self, Git(self._directory))
        except errors.StorageError:
            # Who may not write finds the rest, and nothing of that pack.
            return

    def records(self, ids: Sequence[bytes]) -> list[bytes | None]:
        """The record of each id; None where it is not derived, or git does not have its origin.

        Raises `GitNotFound`, `GitFailed`.
        """
        found = {each: self._kept[each] for each in ids if each in self._kept}
        wanted = [each for each in ids if each not in found]
        found |= self._derive(wanted)
        if len(found) < len(set(ids)) and self._refresh():
            found |= self._derive([each for each in wanted if each not in found])
        return [found.get(each) for each in ids]

    def _derive(self, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        origins = dict(zip(ids, self.map.origins(list(ids), True), strict=True))
        found: dict[bytes, bytes] = {}
        attempt = 0
        while True:
            # Another origin of an object is tried where git has lost the one before.
            asked = {
                rows[attempt][0]: rows[attempt][1]
                for each, rows in origins.items()
                if each not in found and attempt < len(rows)
            }
            if not asked:
                return found
            for oid, read in zip(asked, self._objects.read(list(asked)), strict=True):
                if read is not None:
                    made = self._made(oid, *read)
                    self._keep(made)
                    found.update((each, record) for each, record in made if each in origins)
            attempt += 1

    def _made(self, oid: str, kind: int, content: bytes) -> list[tuple[bytes, bytes]]:
        """Id and record of what is derived from a git object."""
        while True:
            made, unlearned = self.map.derive(oid, kind, content)
            if not unlearned:
                return made
            self.learn(unlearned)

    def learn(self, oids: Sequence[str]) -> None:
        """Derives git objects of which the map has no more than the beginning of the Helios id, and
        before them what they need in turn. Those that git has lost count as not known then.

        Raises `GitNotFound`, `GitFailed`.
        """
        contents: dict[str, tuple[int, bytes] | None] = {}
        waiting: list[str] = []
        further = list(oids)
        while True:
            unread = [oid for oid in further if oid not in contents]
            contents.update(zip(unread, self._objects.read(unread), strict=True))
            waiting += further
            if not waiting:
                return
            content = contents[waiting[-1]]
            further = [] if content is None else self.map.derive(waiting[-1], *content)[1]
            if not further:
                self.map.give_up([waiting.pop()])

    def _keep(self, made: list[tuple[bytes, bytes]]) -> None:
        if len(made) <= 2:
            return
        with self._lock:
            if self._kept_bytes > KEPT_BYTES_MAX:
                self._kept, self._kept_bytes = {}, 0
            self._kept.update(made)
            self._kept_bytes += sum(len(record) for _, record in made)

    def closed(self, ids: Sequence[bytes]) -> list[bool]:
        """Whether each object is derived, with all that it leads to, and git has it."""
        self._refresh()
        origins = [
            [row[0] for row in rows if not row[3]] for rows in self.map.origins(list(ids), True)
        ]
        asked = list({oid for rows in origins for oid in rows})
        there = set(self._objects.existing(asked))
        return [any(oid in there for oid in rows) for rows in origins]

    def find(self, oids: Sequence[str]) -> list[Row | None]:
        """The row of the map for each git id: git id, kind, role, whether it is mixed, size,
        Helios id (`GitMap`); None where there is none."""
        self._refresh()
        rows = self.map.find(list(oids))
        begun = [row[0] for row in rows if row is not None and len(row[5]) < ID_DIGITS]
        if not begun:
            return rows
        self.learn(begun)
        return self.map.find(list(oids))

    def underivable(self) -> Iterator[tuple[str, str, str]]:
        """As of a store. Raises `CorruptObject` first if the map is not as it was written."""
        self._refresh()
        self.map.check()
        place = (0, 0)
        while True:
            rows, place = self.map.page(place, ROWS_AT_ONCE)
            if not rows:
                return
            read = self._objects.read([row[0] for row in rows])
            for (oid, kind, role, _, _, found), content in zip(rows, read, strict=True):
                if role == WRITTEN:
                    continue
                if content is None:
                    yield "missing", f"git has lost {oid}, which it is derived from", found
                    continue
                begins = bytes.fromhex(found)
                made = self._made(oid, *content)
                if content[0] != kind or not any(each.startswith(begins) for each, _ in made):
                    yield "corrupt", f"it is not what is derived from git's {oid}", found

    def ids_with_prefix(self, hex_prefix: str, kind: int) -> list[bytes]:
        """As of a store, for what is derived."""
        self._refresh()
        low = bytes.fromhex(hex_prefix.ljust(ID_DIGITS, "0"))
        high = bytes.fromhex(hex_prefix.ljust(ID_DIGITS, "f"))
        found = set()
        for oid, _, _, _, _, each in self.map.rows_between(low, high, kind):
            if len(each) == ID_DIGITS:
                found.add(bytes.fromhex(each))
            elif (row := self.find([oid])[0]) is not None:
                found.add(bytes.fromhex(row[5]))
        return sorted(each for each in found if low <= each <= high)

    def head(self) -> str | None:
        """The branch that git's HEAD names, be it unborn or not; read without git."""
        try:
            with open(os.path.join(self._directory, "HEAD"), encoding="utf-8") as file:
                name = file.readline().strip()
        except (OSError, UnicodeDecodeError):
            return None
        mark = "ref: refs/heads/"
        return name.removeprefix(mark) if name.startswith(mark) else None

    def _age(self) -> int:
        try:
            return os.stat(self._place).st_mtime_ns
        except OSError:
            return 0

    def _refresh(self) -> bool:
        """Takes in what others have added to the map; false if that is nothing."""
        age = self._age()
        if age == self._seen:
            return False
        self.map.refresh()
        self._seen = age
        return True

    def close(self) -> None:
        """Ends git."""
        self._objects.close()
