"""`worktree`: adds, lists, removes and forgets worktrees.

JSON: of `list` `worktrees` (each `name`, `root`, `branch`, `snapshot_id`, `main`, `missing`,
`current`); of `add` `name`, `root`, `branch`, `snapshot_id`, `created` (the branch was made),
`files`, `bytes`, `carried` and `shared`; of `remove` `removed`, `branch`, `safety_snapshot`,
`missing`; of `prune` `pruned` (as in the list).
"""

from __future__ import annotations

import os

from helios.cli.quantity import counted, size
from helios.cli.quoting import printable, quoted
from helios.cli.snapshots import short
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context
    from helios.repository.worktrees import ListedWorktree

DESCRIPTION = """\
Give each agent a directory of its own, on one repository. `add` makes one that follows a branch,
which is made at START if it is not there; no two follow the same branch. Ignored files that
.worktreeinclude names (in .gitignore's syntax, in the main worktree) come along. `remove` deletes
one: what is not committed is committed first, and the branch stays. `prune` forgets those whose
directories are missing.
"""
EXAMPLES = """\
  helios-cli worktree add ../agent-1 attempt-1
  helios-cli worktree add ../agent-2 attempt-2 main~3
  helios-cli worktree list
  helios-cli worktree remove ../agent-1
"""
ACTIONS = ("add", "list", "remove", "prune")


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("directory", nargs="?", help="of `add`, new or empty; of `remove`")
    parser.add_argument("branch", nargs="?", help="of `add`: the branch to follow")
    parser.add_argument(
        "start", nargs="?", help="of `add`: the snapshot to make the branch at (default: @)"
    )
    parser.add_argument(
        "--force", action="store_true", help="of `remove`: delete ignored files, too"
    )


def run(context: Context) -> int:
    arguments = context.arguments
    action = arguments.action
    words = [arguments.directory, arguments.branch, arguments.start]
    given = sum(word is not None for word in words)
    least, most = {"add": (2, 3), "remove": (1, 1)}.get(action, (0, 0))
    if not least <= given <= most or "" in words:
        raise Usage(
            {
                "add": "`worktree add` takes a directory, a branch, and maybe where to make it",
                "remove": "`worktree remove` takes a directory",
            }.get(action, f"`worktree {action}` takes no further words")
        )
    if arguments.force and action != "remove":
        raise Usage("--force is for `worktree remove`")
    with context.open() as repository:
        {"add": _add, "list": _list, "remove": _remove, "prune": _prune}[action](
            context, repository
        )
    return 0


def _add(context: Context, repository: Repository) -> None:
    arguments = context.arguments
    root = context.absolute(arguments.directory)
    with context.working(repository):
        added = repository.add_worktree(root, arguments.branch, arguments.start)
    context.warn(added.warnings)
    if context.json:
        context.report(
            {
                "name": added.name,
                "root": added.root,
                "branch": added.branch,
                "snapshot_id": added.snapshot,
                "created": added.created,
                "files": added.files,
                "bytes": added.bytes,
                "carried": added.carried,
                "shared": added.shared,
            }
        )
        return
    context.tell_warnings()
    verb = "a new branch" if added.created else "branch"
    context.say(
        f"Made the worktree {quoted(added.root)} on {verb} {added.branch} at "
        f"{short(added.snapshot)}"
    )
    carried = f"; {counted(added.carried, 'ignored file')} came along" if added.carried else ""
    shared = f"; {added.shared:,} shared" if added.shared else ""
    context.say(f"{counted(added.files, 'file')}, {size(added.bytes)}{carried}{shared}")


def _data(listed: ListedWorktree, current: str | None) -> dict[str, object]:
    return {
        "name": listed.name,
        "root": listed.root,
        "branch": listed.branch,
        "snapshot_id": listed.base,
        "main": listed.is_main,
        "missing": listed.missing,
        "current": listed.name == current,
    }


def _list(context: Context, repository: Repository) -> None:
    worktrees = repository.worktrees()
    current = repository.worktree.name
    if context.json:
        context.report({"worktrees": [_data(each, current) for each in worktrees]})
        return
    context.tell_warnings()
    paint = context.terminal.paint
    shown = [quoted(each.root) for each in worktrees]
    width = max(map(len, shown))
    for each, root in zip(worktrees, shown, strict=True):
        mark = "*" if each.name == current else " "
        base = short(each.base) if each.base else "no snapshot yet"
        missing = paint("  missing", "deleted") if each.missing else ""
        branch = paint(printable(each.branch), "renamed")
        context.terminal.line(f"{mark} {root:<{width}}  {paint(base, 'id')}  {branch}{missing}")


def _remove(context: Context, repository: Repository) -> None:
    root = context.absolute(context.arguments.directory)
    # What is removed may be where this runs.
    os.chdir(os.path.dirname(repository.directory or root))
    with context.working(repository):
        removed = repository.remove_worktree(root, force=context.arguments.force)
    safety = removed.safety
    if context.json:
        context.report(
            {
                "removed": removed.root,
                "branch": removed.branch,
                "safety_snapshot": safety and safety.id,
                "missing": removed.missing,
            }
        )
        return
    context.tell_warnings()
    how = ", which was missing" if removed.missing else ""
    context.say(f"Removed the worktree {quoted(removed.root)}{how}")
    if safety is not None:
        context.say(f"What was not committed is now {short(safety.id)} on branch {removed.branch}")
    context.hint(f"undo: helios-cli worktree add {quoted(removed.root)} {removed.branch}")


def _prune(context: Context, repository: Repository) -> None:
    pruned = repository.prune_worktrees()
    if context.json:
        context.report({"pruned": [_data(each, None) for each in pruned]})
        return
    context.tell_warnings()
    for each in pruned:
        context.say(f"Forgot the worktree {quoted(each.root)}; branch {each.branch} stays")
    if not pruned:
        context.say("No worktree is missing")
