"""Operations: the changes of refs that the repository's log keeps, newest first.

`docs/FORMAT.md` says what is in one. Its id is made of its position in the journal and its bytes,
so it stays the same in every process, and when maintenance moves the operation into L2.
"""

from __future__ import annotations

from helios._core import Engine
from helios.errors import AmbiguousOperation, BranchExists, UnknownOperation
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios.store import Store

    Changes = list[tuple[str, str | None, str | None]]
    """Full names of refs, and their snapshots before and after."""

BRANCHES = "heads/"
TAGS = "tags/"
WORKTREES = "worktrees/"
ID_DIGITS = 16
PREFIX_DIGITS_MIN = 4
VERBS = ("undo", "redo", "revert", "restore")
"""What an operation may do to another. `revert` is the undoing of one out of its turn."""
REPAIR = "repair"
"""Says that an operation makes refs and log agree. Undo and redo pass over it."""
NOTHING = "-"
"""Stands for a snapshot that is not there."""


class RefChange(Result):
    """A ref that was changed: its full name, and its snapshot before and after; None is none."""

    __slots__ = ("name", "new", "old")

    def __init__(self, name: str, old: str | None, new: str | None) -> None:
        self.name = name
        self.old = old
        self.new = new


class Head(Result):
    """A worktree that was put elsewhere: (branch, snapshot that commits build on), old and new."""

    __slots__ = ("new", "old", "worktree")

    def __init__(
        self, worktree: str, old: tuple[str, str | None], new: tuple[str, str | None]
    ) -> None:
        self.worktree = worktree
        self.old = old
        self.new = new

    def line(self) -> str:
        """As it stands in an operation."""
        fields = (*self.old, *self.new)
        return " ".join(["head", self.worktree, *(field or NOTHING for field in fields)])


class Merging(Result):
    """What a person merges by hand in a worktree: a snapshot or None, old and new."""

    __slots__ = ("new", "old", "worktree")

    def __init__(self, worktree: str, old: str | None, new: str | None) -> None:
        self.worktree = worktree
        self.old = old
        self.new = new

    def line(self) -> str:
        """As it stands in an operation."""
        return " ".join(["merging", self.worktree, self.old or NOTHING, self.new or NOTHING])


class Operation(Result):
    """One change of the repository's refs.

    `user` is who did it, `process` its number, `worktree` where; the last two are None where they
    are not known. `verb` and `of` say what it did to which operation: `undo`, `redo`, `revert` or
    `restore`; else both are None. `repair` is done to none: it makes refs and log agree.
    """

    __slots__ = (
        "changes",
        "command",
        "head",
        "id",
        "merging",
        "of",
        "process",
        "time_us",
        "user",
        "verb",
        "worktree",
    )

    def __init__(self, position: tuple[int, int], encoded: bytes) -> None:
        time_us, actor, command, changes = Engine.decode_operation(encoded)
        self.id: str = Engine.operation_id(position, encoded)
        self.time_us: int = time_us
        self.user, self.process, self.worktree = _who(actor)
        self.command, *notes = command.split("\n")
        self.changes: list[RefChange] = [RefChange(*change) for change in changes]
        self.verb: str | None = None
        self.of: str | None = None
        self.head: Head | None = None
        self.merging: Merging | None = None
        for note in notes:
            match note.split(" "):
                case [verb, of] if verb in VERBS:
                    self.verb, self.of = verb, of
                case ["repair"]:
                    self.verb = REPAIR
                case ["head", name, old, old_base, new, new_base]:
                    self.head = Head(name, (old, _id(old_base)), (new, _id(new_base)))
                case ["merging", name, old, new]:
                    self.merging = Merging(name, _id(old), _id(new))
                case _:
                    # A later release may have more to say.
                    pass

    def changes_ref(self, name: str) -> bool:
        """Whether the ref of this full name was changed."""
        return any(change.name == name for change in self.changes)


def _id(field: str) -> str | None:
    return None if field == NOTHING else field


def _who(actor: str) -> tuple[str, int | None, str | None]:
    rest, mark, worktree = actor.rpartition(" worktree=")
    if not mark:
        rest, worktree = actor, ""
    user, _, process = rest.rpartition(" pid=")
    if process.isascii() and process.isdigit():
        return user, int(process), worktree or None
    # An older Helios wrote the user alone.
    return actor, None, None


def require_free(name: str, engine: Engine) -> None:
    """Raises `BranchExists` if there is a branch or a tag of this name, so that a name never means
    two things; `InvalidName` if it cannot be one."""
    for kind, found in (("branch", engine.branch(name)), ("tag", engine.tag(name))):
        if found is not None:
            raise BranchExists(f"{kind} {name!r} exists already")


def operations(engine: Engine, store: Store | None) -> Iterator[Operation]:
    """All operations, newest first."""
    for position, encoded in _newest_first(engine, store):
        yield Operation(position, encoded)


def _newest_first(engine: Engine, store: Store | None) -> Iterator[tuple[tuple[int, int], bytes]]:
    oldest: tuple[int, int] | None = None
    for segment in reversed(engine.journal_segments()):
        for position, encoded in reversed(engine.journal_operations(segment)):
            oldest = position
            yield position, encoded
    if store is None:
        return
    # Maintenance may have moved some since; it takes the oldest segments first.
    store.refresh()
    for position, encoded in store.operations():
        if oldest is None or position < oldest:
            yield position, encoded


def find(name: str, engine: Engine, store: Store | None) -> Operation:
    """The operation with an id, an unambiguous prefix of one, or the last: `@`.

    Raises `UnknownOperation` or `AmbiguousOperation`.
    """
    digits = name.lower()
    if name != "@" and (
        digits.strip("0123456789abcdef") or not PREFIX_DIGITS_MIN <= len(digits) <= ID_DIGITS
    ):
        raise UnknownOperation(
            f"{name!r} is not an operation's id: {PREFIX_DIGITS_MIN} to {ID_DIGITS} hexadecimal "
            "digits, or `@`, the last; `op log` lists them"
        )
    matches: list[tuple[tuple[int, int], bytes]] = []
    for position, encoded in _newest_first(engine, store):
        if name == "@":
            return Operation(position, encoded)
        if Engine.operation_id(position, encoded).startswith(digits):
            matches.append((position, encoded))
            if len(digits) == ID_DIGITS:
                break
    if not matches:
        raise UnknownOperation(f"there is no operation {name}; `op log` lists them")
    if len(matches) > 1:
        shown = ", ".join(Engine.operation_id(*match) for match in matches[:5])
        raise AmbiguousOperation(
            f"{len(matches)} operations' ids begin with {name!r} ({shown}); give more digits"
        )
    return Operation(*matches[0])
