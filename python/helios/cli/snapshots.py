"""A snapshot as data, and as a line or a paragraph for a person."""

from __future__ import annotations

from time import gmtime, localtime, strftime

from helios.cli.quantity import age
from helios.cli.quoting import printable, subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios import Snapshot
    from helios.cli.changes import Paint

SHORT_DIGITS = 12


def short(id: str) -> str:
    """The first digits of an id: enough to name it."""
    return id[:SHORT_DIGITS]


def as_data(snapshot: Snapshot) -> dict[str, object]:
    """The JSON form; metadata values that are not UTF-8 are decoded as paths are."""
    return {
        "snapshot_id": snapshot.id,
        "tree_id": snapshot.tree_id,
        "parents": list(snapshot.parents),
        "time": utc(snapshot.time_us),
        "time_us": snapshot.time_us,
        "author": snapshot.author,
        "message": snapshot.message,
        "metadata": {
            key: value.decode("utf-8", "surrogateescape")
            for key, value in snapshot.metadata.items()
        },
    }


def utc(time_us: int) -> str:
    """A time as ISO 8601 writes it."""
    seconds, rest = divmod(time_us, 1_000_000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{rest:06d}Z"


def age_of(snapshot: Snapshot, now_s: float) -> str:
    """`3 minutes ago`."""
    return age(snapshot.time_us / 1e6, now_s)


def line(
    snapshot: Snapshot, names: list[str], now_s: float, paint: Paint, age_width: int = 0
) -> str:
    """Short id, age, names, first line of the message."""
    named = f"{paint('(' + ', '.join(map(printable, names)) + ')', 'renamed')} " if names else ""
    when = paint(f"{age_of(snapshot, now_s):<{age_width}}", "dim")
    return f"{paint(short(snapshot.id), 'id')}  {when}  {named}{subject(snapshot.message)}"


def paragraph(snapshot: Snapshot, names: list[str], now_s: float, paint: Paint) -> Iterator[str]:
    """As `git log` shows a commit."""
    named = f" {paint('(' + ', '.join(map(printable, names)) + ')', 'renamed')}" if names else ""
    yield paint(f"snapshot {snapshot.id}", "id") + named
    if len(snapshot.parents) > 1:
        yield f"Merge:  {' '.join(map(short, snapshot.parents))}"
    if snapshot.author:
        yield f"Author: {printable(snapshot.author)}"
    when = strftime("%Y-%m-%d %H:%M:%S %z", localtime(snapshot.time_us / 1e6))
    yield f"Date:   {when} ({age_of(snapshot, now_s)})"
    text = snapshot.message.strip("\n")
    if text.strip():
        yield ""
        for each in text.split("\n"):
            yield f"    {printable(each)}".rstrip()
