"""A push, as the view's hook sees it: all its refs move in git and in Helios, in one operation.

git hands the whole push to the hook `proc-receive` (githooks(5)) once its objects are in the view,
and leaves it to the hook to move the refs. Under the view's lock, the refs that a push may move are
locked and compared in git, moved in Helios by compare-and-swap, and then moved in git. Who dies in
between leaves git's refs behind those of Helios, and whoever comes next brings them in step.

The hooks `pre-receive` and `reference-transaction` would not do: of a push that is not atomic, git
makes a transaction, and starts the hook several times, for each single ref.
"""

from __future__ import annotations

import os
import sys

from helios import errors
from helios.git import pkt_line
from helios.git.transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from helios import Repository
    from helios.git.view import View
    from helios.repository.turn import Turn

    Changes = Mapping[str, tuple[str | None, str | None]]

ATTEMPTS = 10
ARRIVING_S_MAX = 24 * 60 * 60
"""Objects of a push to which nothing was added for so long belong to one that was killed."""
NAMES_SHOWN = 5
STALE = "it has moved meanwhile; fetch first"
NOT_ALONE = "another ref of this atomic push was rejected"

# Before git 2.29 nobody asks `proc-receive`; then `update` is asked, which is not otherwise.
_UPDATE = """\
#!/bin/sh
echo 'helios: a push needs git 2.29 or later' >&2
exit 1
"""


class Command:
    """One ref that a push wants moved, from what the client saw; None is no ref. `problem` is why
    it is rejected."""

    __slots__ = ("name", "new", "old", "problem")

    def __init__(self, name: str, old: str | None, new: str | None) -> None:
        self.name = name
        self.old = old
        self.new = new
        self.problem: str | None = None


def install(view: View) -> None:
    """Puts the hooks into the view, which run this very Helios."""
    from shlex import quote

    run = f"#!/bin/sh\nexec {quote(sys.executable)} -P -m helios.git.push\n"
    directory = os.path.join(view.directory, "hooks")
    for name, script in (("proc-receive", run), ("update", _UPDATE)):
        path = os.path.join(directory, name)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                if file.read() == script:
                    continue
        except FileNotFoundError:
            os.makedirs(directory, exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(script)
        os.chmod(temporary, 0o755)  # noqa: S103 - git runs it for all who may read the view
        os.replace(temporary, path)


def tidy(view: View) -> None:
    """Takes away what killed pushes and fetches have left: notes that keep a pack from a collection
    that never comes here, but are in the way of the same pack; and objects that never arrived."""
    from contextlib import suppress
    from shutil import rmtree
    from time import time

    objects = os.path.join(view.directory, "objects")
    with suppress(OSError), os.scandir(os.path.join(objects, "pack")) as entries:
        for entry in entries:
            if entry.name.endswith(".keep"):
                with suppress(OSError):
                    _forget(entry.path)
    with suppress(OSError), os.scandir(objects) as entries:
        for entry in entries:
            if entry.name.startswith("tmp_objdir-"):
                # The push that it belongs to may take it away meanwhile, or directories in it.
                with suppress(OSError):
                    below = (os.stat(each).st_mtime for each, _, _ in os.walk(entry.path))
                    latest = max([os.stat(entry.path).st_mtime, *below])
                    if time() - latest > ARRIVING_S_MAX:
                        rmtree(entry.path, ignore_errors=True)


def _forget(keep: str) -> None:
    with open(keep, "rb") as file:
        said = file.read(64)
    # Whose process may still live does without.
    if said.startswith((b"receive-pack ", b"fetch-pack ")):
        os.unlink(keep)


def main() -> int:
    """Runs as the hook `proc-receive`, in the view's directory."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    hello, *_ = [*pkt_line.read(source), b""]
    features = hello.partition(b"\0")[2].split(b" ")
    known = [each for each in (b"push-options", b"atomic") if each in features]
    pkt_line.write(sink, [b"version=1\0" + b" ".join(known)])
    commands = [_command(line) for line in pkt_line.read(source)]
    options = pkt_line.read(source) if b"push-options" in known else []
    try:
        _receive(commands, options, atomic=b"atomic" in known)
    except (errors.HeliosError, OSError) as error:
        print(f"helios: {error}", file=sys.stderr)
        for command in commands:
            command.problem = command.problem or "Helios could not take it"
    pkt_line.write(sink, map(_answer, commands))
    return 0


def _command(line: bytes) -> Command:
    old, new, name = os.fsdecode(line).split(" ", 2)
    return Command(name, *(found if found.strip("0") else None for found in (old, new)))


def _answer(command: Command) -> bytes:
    if command.problem is None:
        return os.fsencode(f"ok {command.name}")
    return os.fsencode(f"ng {command.name} {command.problem}")


def _receive(commands: list[Command], options: Sequence[bytes], *, atomic: bool) -> None:
    from helios import Repository

    line = _command_line(commands, options, atomic=atomic)
    with Repository.at(os.path.dirname(os.getcwd()), durability="disk", command=line) as repository:
        receive(repository, commands, line, atomic=atomic)


def _command_line(commands: list[Command], options: Sequence[bytes], *, atomic: bool) -> str:
    """What the operation log says."""
    words = ["git push", *(["--atomic"] if atomic else [])]
    words += [f"-o {each.decode('utf-8', 'replace')}" for each in options]
    for each in commands[:NAMES_SHOWN]:
        name = os.fsencode(each.name).decode("utf-8", "replace")
        words.append(name if each.new is not None else f":{name}")
    if len(commands) > NAMES_SHOWN:
        words.append(f"and {len(commands) - NAMES_SHOWN} more")
    return " ".join(words)


def receive(
    repository: Repository, commands: list[Command], line: str, *, atomic: bool = False
) -> None:
    """Moves the refs, in git and in Helios; notes in each command why it was rejected.

    The objects are in the view already. Raises `BranchMoved` if others move the branches again and
    again, and `GitFailed`, `StorageError`, `Corruption` if nothing could be done.
    """
    from helios.git import sync
    from helios.git import view as views

    view = views.of(repository)
    if view is None:
        raise errors.GitFailed(f"{views.directory_of(repository)} is gone")
    kept = {each.branch for each in repository.worktrees() if not each.missing}
    if repository.root is None:
        # As git has it of a bare repository: clones would have nothing to check out.
        kept.add(repository.head)
    turn = view.turn()
    with turn:
        for left in reversed(range(ATTEMPTS)):
            sync.sync_in_turn(repository, view)
            _compare(view, commands, kept)
            try:
                with _prepared(view, turn, commands, atomic=atomic) as transaction:
                    changes = transaction.changes
                    sync.take(repository, changes, command=line, then=transaction.commit)
                return
            except errors.Conflict:
                # Somebody has committed since the view was brought in step.
                if not left:
                    raise


def _compare(view: View, commands: list[Command], kept: set[str]) -> None:
    """Rejects what has moved since the client looked, and deletions of the branches in `kept`."""
    present = view.references()
    for each in commands:
        if present.get(each.name) != each.old:
            each.problem = STALE
        elif each.new is None and each.name.removeprefix("refs/heads/") in kept:
            each.problem = "a worktree, or HEAD, is on this branch"


def _prepared(view: View, turn: Turn, commands: list[Command], *, atomic: bool) -> Transaction:
    """A transaction of all refs that can move; the others are rejected."""
    changes = _accepted(commands, atomic=atomic)
    try:
        return Transaction(view, turn, changes)
    except errors.GitFailed:
        view.unlock()
    try:
        return Transaction(view, turn, changes)
    except errors.GitFailed:
        # At least one of them cannot move.
        pass
    for each in commands:
        if each.problem is None:
            try:
                Transaction(view, turn, {each.name: (each.old, each.new)}).close()
            except errors.GitFailed as error:
                each.problem = _reason(error)
    try:
        return Transaction(view, turn, _accepted(commands, atomic=atomic))
    except errors.GitFailed as error:
        # Each could move without the others.
        for each in commands:
            each.problem = each.problem or _reason(error)
        return Transaction(view, turn, {})


def _accepted(commands: list[Command], *, atomic: bool) -> Changes:
    if atomic and any(each.problem is not None for each in commands):
        for each in commands:
            each.problem = each.problem or NOT_ALONE
    return {each.name: (each.old, each.new) for each in commands if each.problem is None}


def _reason(error: errors.GitFailed) -> str:
    """What git says, in one line; a client is shown no more."""
    return str(error).rpartition("fatal: ")[2].replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
