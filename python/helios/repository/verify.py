"""Verification: every stored record, every reference, the journal, refs, operations, the worktree.

It reads only, beside any number of writers: what looks like damage is looked at again at the end,
because objects move from the journal to L2 meanwhile. What `dropped/` refs name is where history
ends on purpose, and no damage (`DROPPED_PREFIX` in the core).
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain

from helios import errors
from helios._core import Engine, Verification
from helios.repository.account import user_at_host
from helios.repository.operation_log import Reading, shown, undoable_since_us
from helios.repository.result import Result
from helios.repository.standing import read_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from helios.repository.operation_log import Flaw
    from helios.repository.place import Place
    from helios.store import Store
    from helios.store.base import Page

    Finding = tuple[str, str, str | None, str | None, bool, str]
    Stretch = tuple[int, int, int]
    Root = tuple[bytes, str]

SYNCED = "journal/synced"
CACHE_BYTES = 64 << 20


class Effect(Result):
    """What a damage affects: a ref, snapshots that it is the first to reach, the newest of them,
    and the path in it (None: the snapshot itself or the root of its tree).

    What no ref reaches counts for the operation whose undo needs it: `operations/` and its id.
    """

    __slots__ = ("path", "reference", "snapshot", "snapshots")

    def __init__(self, reference: str, snapshots: int, snapshot: str, path: str | None) -> None:
        self.reference = reference
        self.snapshots = snapshots
        self.snapshot = snapshot
        self.path = path

    @property
    def branch(self) -> str | None:
        """The branch, if the ref is one."""
        prefix = "heads/"
        return self.reference.removeprefix(prefix) if self.reference.startswith(prefix) else None


class Damage(Result):
    """One damage.

    `kind` is `corrupt` (a stored record of object `id`; `readable` says that another one is
    intact), `missing` (nobody has the object `id`), `reference` (object `id` says of another what
    is not so), `journal`, `operation`, `l2` or `worktree`. `place` is `journal` or `l2`. `cause` is
    the other object: what `id` is stored with the help of, what refers to it, or what it refers to.
    """

    __slots__ = ("cause", "effects", "id", "kind", "place", "readable", "reason")

    def __init__(
        self,
        kind: str,
        reason: str,
        id: str | None = None,
        place: str | None = None,
        cause: str | None = None,
        readable: bool = False,
        effects: list[Effect] | None = None,
    ) -> None:
        self.kind = kind
        self.reason = reason
        self.id = id
        self.place = place
        self.cause = cause
        self.readable = readable
        self.effects = effects or []


class Verified(Result):
    """What was verified: `damage`, `notes` on what is no damage, and how much was looked at.

    `restored` is how many objects a repair has put in place before.
    """

    __slots__ = ("bytes", "damage", "elapsed_s", "notes", "objects", "records", "restored")

    def __init__(
        self,
        damage: list[Damage],
        notes: list[str],
        objects: int,
        records: int,
        bytes: int,
        elapsed_s: float,
        restored: int,
    ) -> None:
        self.restored = restored
        self.damage = damage
        self.notes = notes
        self.objects = objects
        self.records = records
        self.bytes = bytes
        self.elapsed_s = elapsed_s

    @property
    def clean(self) -> bool:
        """Whether there is no damage."""
        return not self.damage


class Pass:
    """One verification. `store` is L2, None if it cannot be opened because of `failure`; `places`
    are the repository's worktrees."""

    def __init__(
        self,
        engine: Engine,
        store: Store | None,
        places: list[Place],
        failure: errors.HeliosError | None = None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._places = places
        self._damage = [] if failure is None else [unreadable_store(failure)]
        self._notes: list[str] = []
        self._gaps: list[tuple[bytes, bytes | None, str]] = []
        self.verification: Verification

    def run(self, restored: int = 0, notes: Iterable[str] = ()) -> Verified:
        from time import perf_counter

        start = perf_counter()
        self._notes += notes
        expected = self._engine.journal_size()[1]
        if self._store is not None:
            # A figure for the progress alone.
            with suppress(errors.HeliosError):
                expected += self._store.counts().objects
        self.verification = Verification(self._engine, expected)
        self.verification.journal()
        if self._store is not None:
            self._records(self._store)
            self._damage += derived_damage(self._store)
        log = self._read_log()
        worktrees = list(self._worktrees())
        roots = self._roots()
        done = self.verification.finish([each for _, each in [*roots, *worktrees]], log.log)
        findings, records, objects, size, stretches, torn, operations, synced_ahead = done
        self._journal(stretches, torn, operations)
        if synced_ahead:
            reason = "it names a segment that is not there: commits would not wait for the disk"
            self._damage.append(Damage("journal", f"{SYNCED}: {reason}", place=SYNCED))
        if findings or log.flaws:
            # By now some of what was undoable may be so no longer.
            again = self._read_log()
            self._operations(log.confirmed(again))
            log = again
        if log.failure is not None:
            reason = f"the operation log cannot be read: {log.failure}"
            self._damage.append(Damage("operation", reason, place="l2"))
        self._objects(findings, [*roots, *worktrees], log)
        elapsed_s = perf_counter() - start
        return Verified(self._damage, self._notes, objects, records, size, elapsed_s, restored)

    def _records(self, store: Store) -> None:
        """Hands over L2: one page is verified while the next is read."""
        pages = self._taken(store)
        first, second = next(pages, None), next(pages, None)
        if first is None or second is None:
            if first is not None:
                self._strange(self.verification.records(first.records, first.large))
            return
        # Only where there is something to gain: its import takes longer than all of a small L2.
        from concurrent.futures import Future, ThreadPoolExecutor

        with ThreadPoolExecutor(1) as verifier:
            running: Future[list[bytes]] | None = None
            for page in chain((first, second), pages):
                if running is not None:
                    self._strange(running.result())
                running = verifier.submit(self.verification.records, page.records, page.large)
            if running is not None:
                self._strange(running.result())

    def _taken(self, store: Store) -> Iterator[Page]:
        """The pages of L2 that hold something; gaps are noted."""
        for page in store.pages(with_large=False):
            if page.gap is not None:
                self._gaps.append(page.gap)
            if page.records or page.large:
                yield page

    def _strange(self, keys: list[bytes]) -> None:
        for key in keys:
            if key != b"counters":
                reason = f"it has a record under the key {key.hex()}, which is no id"
                self._damage.append(Damage("l2", reason, place="l2"))

    def _read_log(self) -> Reading:
        directory = self._places[0].repository if self._places else None
        return Reading(self._engine, self._store, undoable_since_us(directory))

    def _operations(self, flaws: list[Flaw]) -> None:
        lost = [flaw for flaw in flaws if flaw.kind == "lost"]
        for flaw in flaws:
            if flaw.kind != "lost":
                place = "l2" if flaw.kind in ("undecodable", "misplaced") else None
                damage = Damage("operation", str(flaw), place=place)
                value = flaw.found or flaw.left
                if value is not None:
                    damage.effects = [Effect(name, 0, value, None) for name in flaw.references]
                self._damage.append(damage)
        if lost:
            each = f"on {lost[0].references[0]} than {shown(lost[0].at)}"
            more = f", and on {len(lost) - 1} more refs" if len(lost) > 1 else ""
            self._notes.append(
                "operations were lost with what the journal has lost: undo goes no further back "
                f"{each}{more}"
            )

    def _worktrees(self) -> Iterator[Root]:
        """What the worktrees came from, as roots."""
        for place in self._places:
            name = os.path.join(os.path.relpath(place.state, place.repository), "head")
            try:
                branch, base = read_head(place)
                exists = self._engine.branch(branch) is not None
                is_whole = _is_whole(os.path.join(place.state, "head"))
            except errors.HeliosError as error:
                # One that was removed meanwhile is none.
                if place.is_known():
                    self._damage.append(Damage("worktree", f"{name}: {error}"))
                continue
            # Where L2 cannot be read nobody knows what is there.
            is_gone = base is not None and not exists and not self._l2_is_damaged
            if not is_whole or is_gone:
                reason = f"{name} does not hold a branch that is there and a snapshot, a line each"
                self._damage.append(Damage("worktree", f"{reason}; `switch` writes it anew"))
            if base is None:
                continue
            if len(base) != 64 or base.strip("0123456789abcdef"):
                reason = f"{name} names no snapshot in its second line; `switch` writes it anew"
                self._damage.append(Damage("worktree", reason))
                continue
            yield os.fsencode(name), base

    @property
    def _l2_is_damaged(self) -> bool:
        return any(damage.kind == "l2" for damage in self._damage)

    def _roots(self) -> list[Root]:
        try:
            return self.verification.roots()
        except errors.HeliosError as error:
            reason = f"refs cannot be read: {error}"
            self._damage.append(Damage("l2", reason, place="l2"))
            return []

    def _journal(
        self, stretches: list[Stretch], torn: Stretch | None, operations: list[tuple[int, int]]
    ) -> None:
        for segment, offset, length in stretches:
            reason = (
                f"segment {segment}: {length} bytes from byte {offset} are damaged and are "
                "passed over"
            )
            self._damage.append(Damage("journal", reason, place="journal"))
        for segment, offset in operations:
            reason = f"the operation of segment {segment}, byte {offset}, does not decode"
            self._damage.append(Damage("operation", reason, place="journal"))
        if torn is not None:
            segment, offset, length = torn
            self._notes.append(
                f"the journal ends in {length} bytes that are no whole frame (segment {segment}, "
                f"byte {offset}): a commit that was not finished, or the last one, damaged; the "
                "next commit keeps them in journal/lost"
            )
        lost = len(self._engine.journal_damage()) - len(stretches)
        if lost > 0:
            self._notes.append(f"journal/lost keeps {lost} pieces that could not be read")

    def _objects(self, findings: list[Finding], roots: list[Root], log: Reading) -> None:
        damage = [
            Damage(kind, reason, found, place, cause, readable)
            for found, kind, place, cause, readable, reason in findings
        ]
        if damage:
            # What cannot be had because of an object: it, and what is stored with its help.
            objects = {each.id: [each.id] for each in damage if each.id is not None}
            for each in damage:
                if each.kind == "corrupt" and each.id is not None and each.cause is not None:
                    objects.setdefault(each.cause, []).append(each.id)
            effects = self.verification.effects(
                roots, log.log, [objects[each.id] for each in damage if each.id is not None]
            )
            for each, affected in zip(damage, effects, strict=True):
                each.effects = [_effect(*one) for one in affected]
        gone = [each for each in damage if each.kind == "missing" and not each.effects]
        if self._store is None and self._damage:
            # All of L2 is: to list each object of it says nothing more.
            gone = [each for each in damage if each.kind == "missing" and each.cause]
            if gone:
                self._notes.append(f"{len(gone)} objects that the journal refers to are in L2")
        elif gone:
            self._notes.append(
                f"{len(gone)} objects are gone that only unreachable objects refer to: what a gc "
                "leaves that was cut short"
            )
        damage = [each for each in damage if each not in gone]
        ids = sorted(bytes.fromhex(each.id) for each in damage if each.id is not None)
        for low, high, reason in self._gaps:
            if any(low <= each and (high is None or each < high) for each in ids):
                continue  # That is what cannot be read there.
            end = "the last" if high is None else high.hex()[:12]
            told = f"keys from {low.hex()[:12] or 'the first'} to {end} cannot be read: {reason}"
            damage.append(Damage("l2", told, place="l2"))
        self._damage += damage


def _is_whole(path: str) -> bool:
    """Whether a worktree's head is as it is written; one that was never written is, too."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return True
    # A third is what is being merged by hand.
    return content.endswith(b"\n") and content.count(b"\n") in {2, 3}


def _effect(name: bytes, snapshots: int, snapshot: str, path: bytes | None) -> Effect:
    shown = None if path is None else os.fsdecode(path)
    return Effect(name.decode("utf-8", "replace"), snapshots, snapshot, shown)


def derived_damage(store: Store) -> Iterator[Damage]:
    """What is wrong with the objects that are derived from git's: each is derived once."""
    try:
        if not store.derives():
            return
        yield from (Damage(*found, place="git") for found in store.underivable())
    except errors.HeliosError as error:
        yield Damage("corrupt", f"what is derived from git cannot be read: {error}", place="git")


def unreadable_store(error: errors.HeliosError) -> Damage:
    """The damage that L2 cannot be opened."""
    reason = (
        f"{error}; what has left the journal cannot be read. "
        "`verify --repair` moves L2 aside and builds it anew from what can be found"
    )
    return Damage("l2", reason, place="l2")


class Opened:
    """A context manager: an engine of a repository and its L2, which has read nothing yet.

    `store` is None where L2 cannot be opened, and `failure` says why.
    """

    def __init__(self, directory: str) -> None:
        self.engine: Engine
        self.store: Store | None = None
        self.failure: errors.HeliosError | None = None
        self._directory = directory

    def __enter__(self) -> Self:
        from helios.store.derived import DerivedStore
        from helios.store.rocksdb import RocksStore

        l2 = RocksStore.open(os.path.join(self._directory, "l2"), writable=False)
        self.store = DerivedStore(l2, self._directory)
        try:
            self.store.check()
        except (errors.Corruption, errors.StorageError) as error:
            self.store.close()
            self.store, self.failure = None, error
        self.engine = open_engine(self._directory, self.store)
        return self

    def __exit__(self, *raised: object) -> None:
        if self.store is not None:
            self.store.close()


def open_engine(directory: str, store: Store | None) -> Engine:
    """An engine with an empty cache that never starts maintenance."""
    return Engine.open(
        directory,
        durability="process",
        cache_bytes=CACHE_BYTES,
        store=store,
        author="",
        actor=user_at_host(),
        command="",
        maintenance=None,
    )
