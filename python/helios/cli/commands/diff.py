"""`diff`: what differs. JSON: `from`, `to` (null is the worktree), and the lists of
`helios.cli.changes`; with `--patch`, all but those renamed also have `patch`."""

from __future__ import annotations

from helios.cli.changes import Changes, as_data
from helios.cli.differences import add_forms, show

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
    add_forms(parser)
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
            show(context, diff, changes)
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
