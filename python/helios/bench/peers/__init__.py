"""Peers: other ways to do the same work, each driven as its own users drive it.

`PEERS` is what `--peers` knows, by name. A peer that is not installed is said to be missing, and
one that cannot do a piece of work has no such method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from helios.bench.figure import Unmeasurable
from helios.bench.peers.dulwich import Dulwich
from helios.bench.peers.fast_import import FastImport
from helios.bench.peers.git import Git
from helios.bench.peers.helios import Helios
from helios.bench.peers.jujutsu import Jujutsu
from helios.bench.peers.libgit2 import Libgit2, Libgit2InMemory
from helios.bench.peers.peer import Peer
from helios.bench.workbench import Workbench

PEERS: dict[str, Callable[[Workbench], Peer]] = {
    Helios.name: Helios,
    Git.name: Git,
    FastImport.name: FastImport,
    Libgit2.name: Libgit2,
    Libgit2InMemory.name: Libgit2InMemory,
    Dulwich.name: Dulwich,
    Jujutsu.name: Jujutsu,
}


def assembled(
    bench: Workbench, wanted: Iterable[str] | None = None
) -> tuple[list[Peer], list[str]]:
    """Helios and the peers that are wanted and installed, and what is said of the others."""
    chosen = set(PEERS if wanted is None else wanted) | {Helios.name}
    peers, missing = [], []
    for name, make in PEERS.items():
        if name not in chosen:
            continue
        try:
            peers.append(bench.open.enter_context(make(bench)))
        except Unmeasurable as reason:
            missing.append(f"{name} is missing: {reason}")
    return peers, missing
