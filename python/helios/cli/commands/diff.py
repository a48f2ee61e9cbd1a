"""`diff`: what differs. JSON: `from`, `to` (null is the worktree), and the lists of
`helios.cli.changes`; with `--patch`, all but those renamed also have `patch`."""

from __future__ import annotations

from helios.cli.changes import Changes, as_data, listing, name_status, summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Diff, Repository
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Show what differs, as `git diff` does:
  diff            from the branch's last snapshot to the files on disk
  diff A          from snapshot A to the files on disk
  diff A B        from snapshot A to snapshot B
The output is a patch that `git apply` takes. Paths in it are relative to the root of the
worktree. Exits with 0, unless --exit-code asks for 1 where something differs.
"""
EXAMPLES = """\
  helios-cli diff
  helios-cli diff main~1 main --stat
  helios-cli diff main attempt-2 -- src    (only these paths)
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("old", nargs="?", metavar="from", help="a snapshot")
    parser.add_argument("new", nargs="?", metavar="to", help="a snapshot")
    # Only what follows `--`: before it a third word is a mistake.
    parser.set_defaults(paths=[])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-p", "--patch", action="store_true", help="show a patch (the default)")
    form.add_argument("--stat", action="store_true", help="count lines for each path")
    form.add_argument("--summary", action="store_true", help="list paths and sizes")
    form.add_argument("--name-status", action="store_true", help="list letters and paths, as git")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if anything differs")


def run(context: Context) -> int:
    with context.open() as repository:
        with context.working(repository):
            diff, old, new = _diff(context, repository)
        changes = Changes(diff, context.tree_paths(repository))
        if context.json:
            data = as_data(changes, diff if context.arguments.patch else None)
            context.report({"from": old, "to": new, **data})
        else:
            context.tell_warnings()
            _show(context, diff, changes)
    return 1 if changes and context.arguments.exit_code else 0


def _diff(context: Context, repository: Repository) -> tuple[Diff, str | None, str | None]:
    """The diff, and the ids of its sides; None is the worktree, or nothing before a first."""
    old: str | None = context.arguments.old
    new: str | None = context.arguments.new
    if old is None:
        status = repository.worktree.status()
        context.warn(status.warnings)
        return status.diff, status.base, None
    if new is None:
        old = repository.snapshot(old).id
        return repository.worktree.diff(old), old, None
    first, second = repository.snapshot(old), repository.snapshot(new)
    return repository.diff(first, second), first.id, second.id


def _show(context: Context, diff: Diff, changes: Changes) -> None:
    arguments, terminal = context.arguments, context.terminal
    if arguments.name_status:
        lines = name_status(changes)
    elif arguments.summary:
        lines = listing(changes, terminal.paint)
    elif arguments.stat:
        from helios.cli.patch import stat

        lines = stat(diff, changes, terminal.columns, terminal.paint)
    else:
        _show_patch(context, diff, changes)
        return
    for line in lines:
        terminal.line(line)
    if arguments.summary:
        context.hint(summary(changes))


def _show_patch(context: Context, diff: Diff, changes: Changes) -> None:
    from helios.cli.patch import patch, shown

    terminal = context.terminal
    for piece in patch(diff, changes):
        if terminal.is_terminal:
            for line in shown(piece, terminal.paint):
                terminal.line(line)
        else:
            terminal.data(piece)
