"""Figures: the same work by Helios and its peers, in turns, with the result of each looked at.

Each peer's turn takes some time rather than a number of calls: a process of git takes as long as a
thousand commits of Helios. Files are put on disk before the clock starts, for those that need them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import count
from time import perf_counter, perf_counter_ns

from helios.bench.corpus import Edits
from helios.bench.figure import Figure, Measured
from helios.bench.latencies import NS_PER_US, Series, statistic_of
from helios.bench.peers import assembled
from helios.bench.peers.peer import Branching, Changes, Differing, Peer, Reading
from helios.bench.workbench import Workbench

Work = Callable[[Peer], int]
"""Does one piece of work, and gives the nanoseconds that it took."""


def loaded(bench: Workbench) -> tuple[list[Peer], list[str]]:
    """The peers with the corpus committed, and what is said of those that are missing."""

    def make() -> tuple[list[Peer], list[str]]:
        peers, missing = assembled(bench, bench.peers)
        for peer in peers:
            bench.say(f"  loading {len(bench.corpus)} files into {peer.name}")
            peer.load(bench.corpus.contents)
        return peers, missing

    return bench.once("peers", make)


def edits_of(bench: Workbench, name: str) -> Callable[[], Changes]:
    """Gives the changes of one commit after the other, the same ones for each peer."""
    edits = bench.once(
        ("edits of peers", name), lambda: Edits(f"{bench.seed} peers", bench.corpus.contents)
    )

    def changes() -> Changes:
        found: Changes = {}
        while len(found) < min(bench.sizes.changes, len(bench.corpus)):
            path, content = next(edits)
            found[path] = content
        bench.once(("edited", name), dict[str, bytes]).update(found)
        return found

    return changes


def in_turns(bench: Workbench, peers: Iterable[Peer], work: Work) -> dict[str, Series]:
    """Microseconds of each piece of work, in rounds; the order of the turns changes by the seed."""
    sizes = bench.sizes
    order = list(peers)
    samples: dict[str, Series] = {peer.name: [] for peer in order}
    chance = random.Random(f"{bench.seed} turns")  # noqa: S311
    for peer in order:
        # Warm-up: not counted.
        work(peer)
    for _ in range(sizes.rounds):
        chance.shuffle(order)
        for peer in order:
            taken: list[float] = []
            until = perf_counter() + sizes.turn_s
            while len(taken) < sizes.turn_works and (not taken or perf_counter() < until):
                taken.append(work(peer) / NS_PER_US)
            samples[peer.name].append(taken)
    return samples


def _notes(samples: dict[str, Series], missing: list[str]) -> tuple[str, ...]:
    said = []
    for name, series in samples.items():
        middle, high = statistic_of(series, "p50"), statistic_of(series, "p95")
        said.append(f"{name}: p50 {middle:.1f}, p95 {high:.1f} us ({sum(map(len, series))})")
    return (*said, *missing)


def commit(bench: Workbench) -> Measured:
    """A commit of K changed files of N."""
    peers, missing = loaded(bench)
    changes_of = {peer.name: edits_of(bench, peer.name) for peer in peers}

    def work(peer: Peer) -> int:
        changes = changes_of[peer.name]()
        peer.prepare(changes)
        start = perf_counter_ns()
        peer.commit(changes)
        return perf_counter_ns() - start

    samples = in_turns(bench, peers, work)
    for peer in peers:
        edited = bench.once(("edited", peer.name), dict[str, bytes])
        if peer.contents() != bench.corpus.contents | edited:
            raise AssertionError(f"{peer.name} has not committed what it was given")
        # Whoever gives the content of a whole tree may have ended what it had open.
    return Measured.of("p50", samples, _notes(samples, missing))


def branch(bench: Workbench) -> Measured:
    """A branch at the last commit."""
    peers, missing = loaded(bench)
    able = [peer for peer in peers if can(peer, Branching)]
    numbers = count()
    made: dict[str, set[str]] = {peer.name: set() for peer in able}

    def work(peer: Peer) -> int:
        name = f"peer-{next(numbers):06d}"
        made[peer.name].add(name)
        assert isinstance(peer, Branching)  # noqa: S101
        start = perf_counter_ns()
        peer.branch(name)
        return perf_counter_ns() - start

    samples = in_turns(bench, able, work)
    for peer in able:
        if isinstance(peer, Branching) and not made[peer.name] <= peer.branches():
            raise AssertionError(f"{peer.name} has not made all branches")
    return Measured.of("p50", samples, _notes(samples, missing))


def read(bench: Workbench) -> Measured:
    """A file of the last commit, each time another."""
    peers, missing = loaded(bench)
    able = [peer for peer in peers if can(peer, Reading)]
    chance = random.Random(f"{bench.seed} reads")  # noqa: S311
    paths = list(bench.corpus.contents)

    def work(peer: Peer) -> int:
        path = chance.choice(paths)
        assert isinstance(peer, Reading)  # noqa: S101
        start = perf_counter_ns()
        content = peer.read(path)
        elapsed = perf_counter_ns() - start
        edited = bench.once(("edited", peer.name), dict[str, bytes])
        if content != edited.get(path, bench.corpus.contents[path]):
            raise AssertionError(f"{peer.name}: {path} is not what was committed")
        return elapsed

    samples = in_turns(bench, able, work)
    return Measured.of("p50", samples, _notes(samples, missing))


def diff(bench: Workbench) -> Measured:
    """The last commit against the one before."""
    peers, missing = loaded(bench)
    able = [peer for peer in peers if can(peer, Differing)]
    expected = {}
    for peer in able:
        changes = edits_of(bench, peer.name)()
        peer.prepare(changes)
        peer.commit(changes)
        expected[peer.name] = sorted(changes)

    def work(peer: Peer) -> int:
        assert isinstance(peer, Differing)  # noqa: S101
        start = perf_counter_ns()
        found = peer.diff()
        elapsed = perf_counter_ns() - start
        if sorted(found) != expected[peer.name]:
            raise AssertionError(f"{peer.name} finds other differences: {found}")
        return elapsed

    samples = in_turns(bench, able, work)
    return Measured.of("p50", samples, _notes(samples, missing))


def can(peer: Peer, kind: type) -> bool:
    """Whether a peer has all methods of a protocol."""
    names = [name for name in vars(kind) if not name.startswith("_")]
    return all(callable(getattr(peer, name, None)) for name in names)


FIGURES = {
    "commit": Figure("commit, beside peers", "us", commit),
    "branch": Figure("branch, beside peers", "us", branch),
    "read": Figure("read of a file, beside peers", "us", read),
    "diff": Figure("diff of two commits, beside peers", "us", diff),
}
