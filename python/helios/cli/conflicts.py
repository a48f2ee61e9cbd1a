"""Conflicts of a merge as data, and as a list for a person.

In JSON each has `path`, `reason`, and `base`, `ours` and `theirs`: what each side has there
(`path`, `kind`, `id`, `size`), or null.
"""

from __future__ import annotations

from helios.cli.quoting import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios import ConflictSide, PathConflict
    from helios.cli.changes import Paint


def as_data(conflicts: list[PathConflict]) -> list[dict[str, object]]:
    """The JSON form."""
    return [
        {
            "path": each.path,
            "reason": each.reason,
            "base": _side(each.base),
            "ours": _side(each.ours),
            "theirs": _side(each.theirs),
        }
        for each in conflicts
    ]


def _side(side: ConflictSide | None) -> dict[str, object] | None:
    if side is None:
        return None
    return {"path": side.path, "kind": side.kind, "id": side.id, "size": side.size}


def listing(conflicts: list[PathConflict], paint: Paint) -> Iterator[str]:
    """A line for each: why, and where; of a rename also from where to where."""
    width = max((len(each.reason) for each in conflicts), default=0)
    for each in conflicts:
        sides = (each.base, each.ours, each.theirs)
        others = {side.path for side in sides if side is not None} - {each.path}
        also = f"  ({', '.join(map(quoted, sorted(others)))})" if others else ""
        yield f"  {paint(f'{each.reason:<{width}}', 'deleted')}  {quoted(each.path)}{also}"
