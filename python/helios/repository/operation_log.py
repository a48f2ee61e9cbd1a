"""The operation log as a whole: each operation stands where it can, and once; says of its refs what
the one before it made of them; and the last one made of them what they are.

It is read while others write, so what is amiss counts only if it is so when it is read again
(`crates/helios-core/src/engine/verify/log.rs` says why that is enough).
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice

from helios import errors
from helios._core import OperationLog
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios._core import Engine
    from helios.store import Store

    Entry = tuple[int, int, str]

PAGE_LEN = 1000
SHOWN_DIGITS = 12


class Flaw(Result):
    """Something in the log that cannot be.

    `kind` is `undecodable`, `misplaced`, `gap`, `lost` (a gap where the journal has lost
    something) or `astray` (a ref that is elsewhere). `at` is the operation, as segment, offset and
    id; `before` the one before it that changed the ref. `left` is what the ref was made, `found`
    what it is, or what the next operation says that it was.
    """

    __slots__ = ("at", "before", "found", "kind", "left", "reason", "references")

    def __init__(
        self,
        kind: str,
        at: Entry,
        before: Entry | None,
        reason: str | None,
        references: list[bytes],
        values: tuple[str | None, str | None],
    ) -> None:
        self.kind = kind
        self.at = at
        self.before = before
        self.reason = reason
        self.references = [name.decode("utf-8", "replace") for name in references]
        self.left, self.found = values

    def __str__(self) -> str:
        segment, offset, _ = self.at
        what = f"operation {shown(self.at)} (segment {segment}, byte {offset})"
        names = ", ".join(self.references)
        if self.kind == "undecodable":
            return f"the operation of segment {segment}, byte {offset}: {self.reason}"
        if self.kind == "misplaced":
            return f"{what}, which changes {names}, is not the log's: {self.reason}"
        if self.kind == "astray" or self.before is None:
            return (
                f"{names} is {_where(self.found)}, but the last operation that changed it, "
                f"{shown(self.at)}, left it {_where(self.left)}: undo of it is refused; "
                "`verify --repair` makes them agree"
            )
        return (
            f"{what} found {names} {_where(self.found)}, but the one before it, "
            f"{shown(self.before)}, left it {_where(self.left)}: what was between them is lost, "
            f"and undo of {names} goes no further back than {shown(self.at)}"
        )


class Reading:
    """One reading of the log: what it says, what is wrong with it, and why it cannot be read
    further, if so. `store` is L2, None if that cannot be opened."""

    def __init__(self, engine: Engine, store: Store | None, undoable_since_us: int) -> None:
        self.log = OperationLog(engine, undoable_since_us)
        self.flaws: list[Flaw] = []
        self.failure: errors.HeliosError | None = None
        try:
            if store is not None:
                # What has left the journal is there now.
                store.refresh()
                operations = store.operations()
                while page := list(islice(operations, PAGE_LEN)):
                    self.log.stored(page)
        except errors.HeliosError as error:
            self.failure = error
        # Refs that cannot be read are told of as such.
        with suppress(errors.HeliosError):
            self.flaws = [Flaw(*found) for found in self.log.finish()]

    def confirmed(self, again: Reading) -> list[Flaw]:
        """The flaws that another reading has found, too."""
        known = {str(flaw) for flaw in again.flaws}
        return [flaw for flaw in self.flaws if str(flaw) in known]


def undoable_since_us(directory: str | None) -> int:
    """The time since which gc keeps all that undo may need; `directory` is None in memory."""
    from helios.repository import config as configuration

    now_us = time.time_ns() // 1000
    if directory is None:
        return now_us
    try:
        retention = configuration.load(directory).retention
    except errors.InvalidConfig:
        # Gc does nothing then.
        retention = configuration.Retention()
    return now_us - 1_000_000 * retention.undo_s


def astray(engine: Engine, store: Store | None) -> Iterator[tuple[str, str | None, str]]:
    """Refs that are not what the log says, each as its name, what it is, and what it can be.

    One that names a snapshot can only stay: an operation may be lost as well, and nothing tells
    which. One that is gone, or names nothing that can be read, can be what the log says.
    """
    never = 1 << 62
    flaws = Reading(engine, store, never)
    if not flaws.flaws:
        return
    for flaw in flaws.confirmed(Reading(engine, store, never)):
        if flaw.kind == "astray":
            for value in (flaw.found, flaw.left):
                if value is not None and _is_snapshot(engine, value):
                    yield flaw.references[0], flaw.found, value
                    break


def _is_snapshot(engine: Engine, value: str) -> bool:
    try:
        engine.snapshot(value)
    except errors.HeliosError:
        return False
    return True


def shown(entry: Entry) -> str:
    """The first digits of an operation's id."""
    return entry[2][:SHOWN_DIGITS]


def _where(value: str | None) -> str:
    return "not there" if value is None else f"at {value[:SHOWN_DIGITS]}"
