"""A diff as data, as a list for a person, and in the letters of `git diff --name-status`.

In JSON each of `added`, `changed` and `deleted` is a list of objects with `path`, `old_id`,
`new_id`, `old_size`, `new_size`, `old_kind` and `new_kind`, null where that side is not there (an
id and a size also for a directory); `renamed` has `old_path`, `path`, `id` and `size`; `counts`
has their lengths.
"""

from __future__ import annotations

from helios.cli.quantity import size
from helios.cli.quoting import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from helios import Change, Diff, Rename

    Paint = Callable[[str, str], str]

PARTS = ("added", "changed", "deleted", "renamed")


class Changes:
    """What differs, or that part of it which touches `paths` (files or directories)."""

    def __init__(self, diff: Diff, paths: list[str] | None = None) -> None:
        self.added: list[Change] = diff.added
        self.changed: list[Change] = diff.changed
        self.deleted: list[Change] = diff.deleted
        self.renamed: list[Rename] = diff.renamed
        if paths is not None:
            chosen = tuple(paths)
            below = tuple(f"{path}/" for path in paths)

            def touches(path: str) -> bool:
                return path in chosen or path.startswith(below)

            self.added = [each for each in self.added if touches(each.path)]
            self.changed = [each for each in self.changed if touches(each.path)]
            self.deleted = [each for each in self.deleted if touches(each.path)]
            self.renamed = [
                each for each in self.renamed if touches(each.path) or touches(each.old_path)
            ]

    def __len__(self) -> int:
        return len(self.added) + len(self.changed) + len(self.deleted) + len(self.renamed)

    def in_order(self) -> list[tuple[str, Change | Rename]]:
        """All of them by path, each with the name of its part."""
        named: list[tuple[str, Change | Rename]] = []
        for part in PARTS:
            named += [(part, each) for each in getattr(self, part)]
        named.sort(key=lambda pair: pair[1].path)
        return named


def as_data(changes: Changes, diff: Diff | None = None) -> dict[str, object]:
    """The JSON form; with `diff`, every change has its text as `patch`, null if it is binary."""
    return {
        "counts": {part: len(getattr(changes, part)) for part in PARTS},
        "added": [_change(each, diff) for each in changes.added],
        "changed": [_change(each, diff) for each in changes.changed],
        "deleted": [_change(each, diff) for each in changes.deleted],
        "renamed": [
            {"old_path": each.old_path, "path": each.path, "id": each.id, "size": each.size}
            for each in changes.renamed
        ],
    }


def _change(change: Change, diff: Diff | None) -> dict[str, object]:
    described: dict[str, object] = {
        "path": change.path,
        "old_id": change.old_id,
        "new_id": change.new_id,
        "old_size": change.old_size,
        "new_size": change.new_size,
        "old_kind": change.old_kind,
        "new_kind": change.new_kind,
    }
    if diff is not None:
        text = diff.text(change)
        described["patch"] = text and text.decode("utf-8", "surrogateescape")
    return described


def summary(changes: Changes) -> str:
    """`3 added, 1 changed`."""
    counts = [(len(getattr(changes, part)), part) for part in PARTS]
    return ", ".join(f"{count:,} {part}" for count, part in counts if count) or "no differences"


def listing(changes: Changes, paint: Paint) -> Iterator[str]:
    """A line for each: what happened, the size now, and the path."""
    rows = [(part, *_size_and_path(each)) for part, each in changes.in_order()]
    width = max((len(shown) for _, shown, _ in rows), default=0)
    for part, shown, path in rows:
        yield f"  {paint(f'{part:<8}', part)} {shown:>{width}}  {path}"


def _size_and_path(each: Change | Rename) -> tuple[str, str]:
    from helios import Rename

    if isinstance(each, Rename):
        return size(each.size), f"{quoted(each.old_path)} -> {quoted(each.path)}"
    count = each.old_size if each.new_kind is None else each.new_size
    path = quoted(each.path)
    is_directory = "directory" in (each.new_kind, each.old_kind)
    return ("" if count is None else size(count)), (f"{path}/" if is_directory else path)


def name_status(changes: Changes) -> Iterator[str]:
    """As `git diff --name-status`: A, M, T (another kind), D or R100, a tab, the path."""
    from helios import Rename

    for _, each in changes.in_order():
        if isinstance(each, Rename):
            yield f"R100\t{quoted(each.old_path)}\t{quoted(each.path)}"
        else:
            yield f"{_letter(each)}\t{quoted(each.path)}"


def _letter(change: Change) -> str:
    if change.old_kind is None:
        return "A"
    if change.new_kind is None:
        return "D"
    return "M" if is_same_type(change) else "T"


def is_same_type(change: Change) -> bool:
    """Whether both sides are files (executable or not), or both symlinks, and so on."""
    files = ("file", "executable")
    return change.old_kind == change.new_kind or (
        change.old_kind in files and change.new_kind in files
    )
