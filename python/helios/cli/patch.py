"""A diff as a patch that `git apply` takes, and as `git diff --stat` counts it.

Contents go out byte for byte. What a patch of git cannot hold is said in a line beside it, which
`git apply` passes over: an empty directory, and binary content.
"""

from __future__ import annotations

import os

from helios.cli.quantity import counted, size
from helios.cli.quoting import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios import Change, Diff, Rename
    from helios.cli.changes import Changes, Paint

_MODES = {"file": "100644", "executable": "100755", "symlink": "120000", "submodule": "160000"}
_ID_DIGITS = 12
_BAR_MAX = 40


def patch(diff: Diff, changes: Changes) -> Iterator[bytes]:
    """The patch, a piece for each path."""
    from helios import Rename

    for _, each in changes.in_order():
        if isinstance(each, Rename):
            yield _encoded(_rename(each))
        elif "directory" in (each.old_kind, each.new_kind):
            yield _encoded(_directory(each))
        else:
            text = diff.text(each) if each.old_id != each.new_id else b""
            yield _encoded(_header(each)) + _body(each, text)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _name(prefix: str, path: str) -> str:
    return quoted(f"{prefix}/{path}")


def _start(old_path: str, path: str) -> str:
    return f"diff --git {_name('a', old_path)} {_name('b', path)}\n"


def _rename(rename: Rename) -> str:
    return (
        f"{_start(rename.old_path, rename.path)}similarity index 100%\n"
        f"rename from {quoted(rename.old_path)}\nrename to {quoted(rename.path)}\n"
    )


def _directory(change: Change) -> str:
    verb = "added" if change.old_kind is None else "deleted"
    if change.old_kind is not None and change.new_kind is not None:
        verb = f"changed from {change.old_kind} to {change.new_kind}"
    return f"Empty directory {quoted(change.path)} {verb}\n"


def _header(change: Change) -> str:
    lines = [_start(change.path, change.path)]
    old_mode, new_mode = _MODES.get(change.old_kind or ""), _MODES.get(change.new_kind or "")
    if old_mode is None:
        lines.append(f"new file mode {new_mode}\n")
    elif new_mode is None:
        lines.append(f"deleted file mode {old_mode}\n")
    elif old_mode != new_mode:
        lines.append(f"old mode {old_mode}\nnew mode {new_mode}\n")
    if change.old_id != change.new_id:
        nothing = "0" * _ID_DIGITS
        old_id = (change.old_id or nothing)[:_ID_DIGITS]
        new_id = (change.new_id or nothing)[:_ID_DIGITS]
        kept_mode = f" {old_mode}" if old_mode == new_mode else ""
        lines.append(f"index {old_id}..{new_id}{kept_mode}\n")
    return "".join(lines)


def _body(change: Change, text: bytes | None) -> bytes:
    old = "/dev/null" if change.old_kind is None else _name("a", change.path)
    new = "/dev/null" if change.new_kind is None else _name("b", change.path)
    if text is None:
        return _encoded(f"Binary files {old} and {new} differ\n")
    hunks = _hunks(text)
    if not hunks:
        return b""
    # As git does, for readers that would end a name at its first space.
    tab = "\t" if " " in change.path else ""
    return _encoded(f"--- {old}{tab if old[0] != '/' else ''}\n") + (
        _encoded(f"+++ {new}{tab if new[0] != '/' else ''}\n") + hunks
    )


def _hunks(text: bytes) -> bytes:
    """A unified diff without its names, which are not quoted there."""
    start = text.find(b"\n@@ ")
    return text[start + 1 :] if start >= 0 else b""


def shown(piece: bytes, paint: Paint) -> Iterator[str]:
    """The lines of a piece of a patch for a terminal: in colour, control characters escaped."""
    in_header = True
    for line in piece.removesuffix(b"\n").split(b"\n"):
        text = os.fsdecode(line)
        if not text.isprintable():
            text = "".join(map(_visible, text))
        in_header = in_header and not line.startswith(b"@@")
        if in_header:
            yield paint(text, "heading")
        elif line.startswith(b"@@"):
            yield paint(text, "hunk")
        elif line.startswith((b"+", b"-")):
            yield paint(text, "added" if line.startswith(b"+") else "deleted")
        else:
            yield text


def _visible(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def stat(diff: Diff, changes: Changes, columns: int, paint: Paint) -> Iterator[str]:
    """A line for each path with its lines added and deleted, and a line with their sums."""
    from helios import Rename

    rows: list[tuple[str, int, int, str]] = []
    for _, each in changes.in_order():
        if isinstance(each, Rename):
            rows.append((f"{quoted(each.old_path)} => {quoted(each.path)}", 0, 0, ""))
            continue
        text = diff.text(each) if each.old_id != each.new_id else b""
        if text is None:
            sizes = f"Bin {size(each.old_size or 0)} -> {size(each.new_size or 0)}"
            rows.append((quoted(each.path), 0, 0, sizes))
        else:
            rows.append((quoted(each.path), *_line_counts(_hunks(text)), ""))
    if not rows:
        return
    width = max(len(path) for path, *_ in rows)
    digits = max(len(str(added + deleted)) for _, added, deleted, _ in rows)
    most = max(added + deleted for _, added, deleted, _ in rows)
    room = max(min(columns - width - digits - 6, _BAR_MAX), 10)
    for path, added, deleted, binary in rows:
        if binary:
            yield f" {path:<{width}} | {binary}"
            continue
        plus, minus = (_bar(count, most, room) for count in (added, deleted))
        bar = paint("+" * plus, "added") + paint("-" * minus, "deleted")
        yield f" {path:<{width}} | {added + deleted:>{digits}} {bar}".rstrip()
    added = sum(row[1] for row in rows)
    deleted = sum(row[2] for row in rows)
    yield (
        f" {counted(len(rows), 'path')} changed, {counted(added, 'line')} added, "
        f"{counted(deleted, 'line')} deleted"
    )


def _line_counts(hunks: bytes) -> tuple[int, int]:
    lines = hunks.split(b"\n")
    return (
        sum(line.startswith(b"+") for line in lines),
        sum(line.startswith(b"-") for line in lines),
    )


def _bar(count: int, most: int, room: int) -> int:
    if most <= room or not count:
        return count
    return max(1, count * room // most)
