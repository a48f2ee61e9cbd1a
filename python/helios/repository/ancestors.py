"""Walks over a snapshot's ancestors. Each is given once."""

from __future__ import annotations

from heapq import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios._core import Engine, Snapshot


def by_time(first: Snapshot, engine: Engine) -> Iterator[Snapshot]:
    """Newest first, reading no further than asked."""
    seen = {first.id}
    # The counter keeps the order stable between snapshots of one microsecond.
    queue = [(-first.time_us, 0, first)]
    while queue:
        _, _, found = heappop(queue)
        yield found
        for parent in found.parents:
            if parent not in seen:
                seen.add(parent)
                snapshot = engine.snapshot(parent)
                heappush(queue, (-snapshot.time_us, len(seen), snapshot))


def topologically(first: Snapshot, engine: Engine) -> Iterator[Snapshot]:
    """Children before their parents, whatever the clocks said; the newest first where that leaves a
    choice."""
    snapshots: dict[str, Snapshot] = {}
    children: dict[str, int] = {first.id: 0}
    for snapshot in by_time(first, engine):
        snapshots[snapshot.id] = snapshot
        for parent in set(snapshot.parents):
            children[parent] = children.get(parent, 0) + 1
    order = {found: number for number, found in enumerate(snapshots)}
    ready = [0]
    ids = list(snapshots)
    while ready:
        found = snapshots[ids[heappop(ready)]]
        yield found
        for parent in set(found.parents):
            children[parent] -= 1
            if not children[parent]:
                heappush(ready, order[parent])
