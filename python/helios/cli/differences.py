"""A diff in the form that the arguments ask for: a patch, or one of three kinds of list."""

from __future__ import annotations

from helios.cli.changes import listing, name_status, summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Diff
    from helios.cli.arguments import Declarations
    from helios.cli.changes import Changes
    from helios.cli.context import Context


def add_forms(parser: Declarations) -> None:
    """Declares the options that choose the form."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-p", "--patch", action="store_true", help="show a patch (the default)")
    form.add_argument("--stat", action="store_true", help="count lines for each path")
    form.add_argument("--summary", action="store_true", help="list paths and sizes")
    form.add_argument("--name-status", action="store_true", help="list letters and paths, as git")


def show(context: Context, diff: Diff, changes: Changes) -> None:
    """Prints the diff."""
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
