"""Walks over a snapshot's ancestors that gc has kept. Each is given once."""

from __future__ import annotations

from heapq import heappop, heappush

from helios import errors

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
                snapshot = _kept(parent, engine)
                if snapshot is not None and (snapshot.id == parent or snapshot.id not in seen):
                    seen.add(snapshot.id)
                    heappush(queue, (-snapshot.time_us, len(seen), snapshot))


def _kept(parent: str, engine: Engine) -> Snapshot | None:
    """The parent; where gc has dropped it, the nearest kept one that history goes on at, if any."""
    try:
        return engine.snapshot(parent)
    except (errors.ObjectNotFound, errors.Collected):
        following = engine.dropped(parent)
        if following is None:
            raise
        return None if following == parent else engine.snapshot(following)


def topologically(first: Snapshot, engine: Engine) -> Iterator[Snapshot]:
    """Children before their parents, whatever the clocks said; the newest first where that leaves a
    choice."""
    snapshots = {snapshot.id: snapshot for snapshot in by_time(first, engine)}
    parents = {found: _parents(snapshots[found], snapshots, engine) for found in snapshots}
    children = dict.fromkeys(snapshots, 0)
    for above in parents.values():
        for parent in above:
            children[parent] += 1
    order = {found: number for number, found in enumerate(snapshots)}
    ready = [0]
    ids = list(snapshots)
    while ready:
        found = ids[heappop(ready)]
        yield snapshots[found]
        for parent in parents[found]:
            children[parent] -= 1
            if not children[parent]:
                heappush(ready, order[parent])


def _parents(found: Snapshot, kept: dict[str, Snapshot], engine: Engine) -> set[str]:
    """The ids of a snapshot's parents, or of what history goes on at."""
    above = (
        parent if parent in kept else engine.dropped(parent) or parent for parent in found.parents
    )
    return {parent for parent in above if parent in kept}
