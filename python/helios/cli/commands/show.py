"""`show`: a snapshot and what it changed. JSON: the snapshot as in `log`, with `branches` and
`tags`, and the lists of `helios.cli.changes` against its first parent; with `--patch`, all but
those renamed also have `patch`."""

from __future__ import annotations

from time import time

from helios.cli.changes import Changes, as_data
from helios.cli.differences import add_forms, show
from helios.cli.names import names_of
from helios.cli.snapshots import as_data as snapshot_as_data
from helios.cli.snapshots import paragraph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Show a snapshot: who made it when and why, and what differs from the snapshot that it was made
from. Of a merge, that is the first of its parents; of a first snapshot, an empty tree.
"""
EXAMPLES = """\
  helios-cli show
  helios-cli show main~2 --stat
  helios-cli show 3f2a9c1d -- src    (only these paths)
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("snapshot", nargs="?", default="@", help="default: @")
    # Only what follows `--`: before it a second word is a mistake.
    parser.set_defaults(paths=[])
    add_forms(parser)


def run(context: Context) -> int:
    with context.open() as repository:
        snapshot = repository.snapshot(context.arguments.snapshot)
        with context.working(repository):
            diff = repository.changes(snapshot)
        changes = Changes(diff, context.tree_paths(repository))
        names = names_of(repository)
        if context.json:
            shown = snapshot_as_data(snapshot)
            shown |= names.as_data(snapshot.id)
            context.report({**shown, **as_data(changes, diff if context.arguments.patch else None)})
            return 0
        context.tell_warnings()
        for line in paragraph(snapshot, names.shown(snapshot.id), time(), context.terminal.paint):
            context.terminal.line(line)
        if changes:
            context.terminal.line()
        show(context, diff, changes)
    return 0
