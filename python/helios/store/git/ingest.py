"""From git's objects into the map: which are read, and in what order."""

from __future__ import annotations

from helios._core import GitIngest
from helios.store.git.objects import CACHE, CHECK, stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from helios.store.git.derived import Derived
    from helios.store.git.process import Git

    Report = Callable[[str, int, int], object]
    """Takes what is done, how many objects of it, and of how many; 0 if that is not known."""

BLOB, TREE, COMMIT = 1, 2, 3
ALONE_BYTES_MAX = 1 << 16
"""Shorter lists of blobs are read by one process."""


class _Reading:
    """How much has been read, of how much."""

    def __init__(self, report: Report | None, total: int) -> None:
        self._report = report
        self._total = total
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count
        if self._report is not None and count:
            self._report("reading objects", self._count, self._total)


def everything(derived: Derived, git: Git, report: Report | None = None) -> int:
    """Takes in all objects that git has and the map has not; gives the number of rows added.

    Blobs come in the order of git's packs, which is the fastest; trees and commits in the reverse
    of it: packs have the newest first, and what a tree refers to behind it.
    """
    ingest = GitIngest(derived.map)
    if not ingest.list_packs(derived.objects_directory):
        _list(ingest, git)
    wanted = {kind: ingest.wanted(kind, reversed=kind != BLOB) for kind in (BLOB, TREE, COMMIT)}
    reading = _Reading(report, sum(lines.count(b"\n") for lines in wanted.values()))
    _feed_blobs(derived, ingest, git, wanted[BLOB], reading)
    for kind in (TREE, COMMIT):
        if wanted[kind]:
            _feed(ingest, git, wanted[kind], reading)
    return _finish(derived, ingest)


def reachable(derived: Derived, git: Git, ids: Sequence[str], known: Sequence[str]) -> int:
    """As `everything`, of what `ids` reach and `known`, which the map has, do not."""
    tips = "".join([*(f"{oid}\n" for oid in ids), "--not\n", *(f"{oid}\n" for oid in known)])
    found = b"".join(
        stream(
            git,
            "rev-list",
            "--objects",
            "--no-object-names",
            "--missing=allow-any",
            "--stdin",
            wanted=tips.encode(),
        )
    )
    lines = found.split(b"\n")
    lines.reverse()
    ingest = GitIngest(derived.map)
    # What is referred to comes before what refers to it.
    wanted = b"\n".join([line for line in lines if line]) + b"\n"
    _feed(ingest, git, wanted, _Reading(None, 0))
    return _finish(derived, ingest)


def _finish(derived: Derived, ingest: GitIngest) -> int:
    while unlearned := ingest.unlearned():
        derived.learn(unlearned)
        ingest.retry(unlearned)
    return ingest.finish()


def _feed_blobs(
    derived: Derived, ingest: GitIngest, git: Git, wanted: bytes, reading: _Reading
) -> None:
    """Two git processes read halves of the blobs: to unpack them is most of the work."""
    middle = wanted.find(b"\n", len(wanted) // 2) + 1
    if len(wanted) < ALONE_BYTES_MAX or not middle:
        if wanted:
            _feed(ingest, git, wanted, reading)
        return
    from concurrent.futures import ThreadPoolExecutor

    beside = GitIngest(derived.map)
    with ThreadPoolExecutor(1) as other:
        running = other.submit(_feed, beside, git, wanted[middle:], reading)
        _feed(ingest, git, wanted[:middle], reading)
        running.result()
    ingest.absorb(beside)


def _list(ingest: GitIngest, git: Git) -> None:
    rest = b""
    for piece in stream(git, "cat-file", "--batch-all-objects", "--unordered", CHECK, "--buffer"):
        lines, newline, rest_of_piece = (rest + piece).rpartition(b"\n")
        rest = rest_of_piece
        ingest.list(lines + newline)


def _feed(ingest: GitIngest, git: Git, wanted: bytes, reading: _Reading) -> None:
    known = len(ingest)
    for piece in stream(git, "-c", CACHE, "cat-file", "--batch", "--buffer", wanted=wanted):
        ingest.feed(piece)
        reading.add(len(ingest) - known)
        known = len(ingest)
