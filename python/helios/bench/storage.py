"""Figures: bytes that peers write and keep for the same commits, with everything that follows.

What is written is counted by the system (`/proc/PID/io`): what a process and its children hand to
write(2), how many calls that takes, and the pages that become dirty. What is kept is the growth of
files, by their length and by the blocks that they take. Then each peer tidies up (maintenance and
gc of Helios, `git gc`), and both are counted again, so that nothing hides in a later step.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from helios.bench.chart import Chart
from helios.bench.committer import maintain
from helios.bench.figure import HELIOS, Figure, Measured
from helios.bench.peers import assembled
from helios.bench.peers.fast_import import FastImport
from helios.bench.peers.git import Git
from helios.bench.peers.helios import Helios
from helios.bench.peers.jujutsu import Jujutsu
from helios.bench.peers.peer import Peer
from helios.bench.sidebyside import edits_of
from helios.bench.workbench import Workbench
from helios.bench.written import Written, counted

BLOCK_BYTES = 512


@dataclass(frozen=True)
class Kept:
    """The files of a place: their lengths together, and the blocks that they take."""

    apparent: int
    allocated: int


@dataclass(frozen=True)
class Cost:
    """What commits cost a peer, for each one, first and then after tidying up."""

    written: Written
    grown: Kept
    tidying: Written
    tidied: Kept


def kept(place: Path) -> Kept:
    """What is below a directory, each file once, whatever links it has."""
    apparent = allocated = 0
    seen = set()
    for folder, _, names in os.walk(place):
        for name in names:
            try:
                found = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                apparent += found.st_size
                allocated += found.st_blocks * BLOCK_BYTES
    return Kept(apparent, allocated)


def _store(peer: Peer) -> Path | None:
    """Where a peer keeps history: what is checked out beside it does not count."""
    place = peer.place
    if place is None:
        return None
    return next(
        (place / name for name in (".helios", ".git", ".jj") if (place / name).is_dir()), place
    )


def _finish(peer: Peer) -> None:
    """Lets a peer write what it has held back, before anybody counts."""
    if isinstance(peer, FastImport):
        peer.finish()


def _tidy(bench: Workbench, peer: Peer) -> None:
    if isinstance(peer, Helios) and peer.repository is not None:
        maintain(bench, peer.repository)
        peer.repository.gc()
    elif isinstance(peer, Jujutsu):
        peer.tidy()
    elif peer.place is not None and bench.programs.git():
        # libgit2 and dulwich keep git's format, and leave this to git.
        bench.programs.run(bench.programs.git("gc", "-q", "--prune=now"), peer.place)


def _cost(bench: Workbench, peer: Peer) -> Cost | None:
    store = _store(peer)
    if store is None:
        return None
    changes_of = edits_of(bench, f"storage of {peer.name}")
    count = bench.sizes.git_commits if isinstance(peer, Git | Jujutsu) else bench.sizes.commits
    _finish(peer)
    before = kept(store)
    piped = peer.piped_bytes if isinstance(peer, FastImport) else 0
    prepared = []
    with counted() as written:
        for _ in range(count):
            changes = changes_of()
            # What the agent itself writes, its files, is nobody's cost.
            with counted() as own:
                peer.prepare(changes)
            prepared.append(own.asked)
            peer.commit(changes)
        _finish(peer)
    after = kept(store)
    with counted() as tidying:
        _tidy(bench, peer)
    tidied = kept(store)
    written.asked -= sum(prepared)
    if isinstance(peer, FastImport):
        written.asked -= peer.piped_bytes - piped
    return Cost(
        written.per(count),
        Kept((after.apparent - before.apparent) // count, _per(after, before, count)),
        tidying.per(count),
        Kept((tidied.apparent - before.apparent) // count, _per(tidied, before, count)),
    )


def _per(after: Kept, before: Kept, count: int) -> int:
    return (after.allocated - before.allocated) // count


def written(bench: Workbench) -> Measured:
    """Bytes handed to write(2) for each commit, tidying up included."""
    peers, missing = assembled(bench, bench.peers)
    totals: dict[str, float] = {}
    notes = []
    for peer in peers:
        bench.say(f"  {peer.name}")
        peer.load(bench.corpus.contents)
        cost = _cost(bench, peer)
        if cost is None:
            notes.append(f"{peer.name} keeps nothing on disk")
            continue
        totals[peer.name] = cost.written.asked + cost.tidying.asked
        notes.append(
            f"{peer.name}: {cost.written.asked:,.0f} B in {cost.written.calls:.1f} calls, pages "
            f"{cost.written.dirtied:,.0f} B; grown by {cost.grown.apparent:,} B "
            f"({cost.grown.allocated:,} B in blocks); tidying {cost.tidying.asked:,.0f} B, then "
            f"grown by {cost.tidied.apparent:,} B ({cost.tidied.allocated:,} B in blocks)"
        )
    notes.append(f"a commit changes {bench.sizes.changes} of {len(bench.corpus)} files")
    chart = Chart(
        "Bytes written per commit, tidying up included",
        "",
        "B",
        {name: [(0.0, total)] for name, total in totals.items()},
        kind="bars",
        log_y=True,
    )
    value = totals.pop(HELIOS)
    return Measured(value, totals, (*notes, *missing), charts=(chart,))


FIGURES = (Figure("bytes written per commit, beside peers", "B", written),)
