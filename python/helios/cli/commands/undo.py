"""`undo`: reverts an operation. JSON: `operation_id` (null if nothing had to change), `of` (the
operation that was reverted, as in `op log`), `branch` and `snapshot_id` (where the worktree is
now), `safety_snapshot` (null if nothing was uncommitted), `written`, `deleted`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Undo the last operation that was done here: in this worktree, or to its branch. Once more undoes
the one before; `redo` goes forward again. Whatever OP names is undone alone, whoever did it.

A restore, switch or undo is taken back on disk as well; what is not committed is made a snapshot
first. A commit is taken back on its branch only: the files stay, as changes to commit.
If a branch has been moved since by something else, nothing is changed and both are named.
"""
EXAMPLES = """\
  helios-cli undo
  helios-cli undo 3f2a9c1d    (`op log` lists operations)
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("operation", nargs="?", help="an operation's id, or the first digits of it")


def run(context: Context) -> int:
    from helios.cli.operations import tell

    with context.open() as repository:
        with context.working(repository):
            done = repository.undo(context.arguments.operation)
        tell(context, repository, done, "Undid")
    return 0
