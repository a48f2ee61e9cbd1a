"""`op`: the operation log. JSON: of `op log` the list `operations`, each with `operation_id`,
`time`, `time_us`, `user`, `process`, `worktree`, `command`, `verb` and `of` (what it did to which
operation), and `changes` (`ref`, `old`, `new`, null where there is no snapshot); of `op restore`
as `undo`.
"""

from __future__ import annotations

from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Show the operation log, or go back to an operation:
  op log          every change of branches, tags and the worktree's files, newest first
  op restore OP   make all branches and tags, and the files that commands have changed here,
                  what they were right after the operation; this can be undone itself
An operation is named by its id, the first digits of it (4 or more), or `@`, the last one.
"""
EXAMPLES = """\
  helios-cli op log -n 10
  helios-cli op restore 3f2a9c1d
"""
ACTIONS = ("log", "restore")


def add_arguments(parser: Declarations) -> None:
    from helios.cli.arguments import whole_number

    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("operation", nargs="?", help="of `restore`: the operation to go back to")
    parser.add_argument(
        "-n", "--limit", type=whole_number, metavar="N", help="of `log`: at most N operations"
    )


def run(context: Context) -> int:
    arguments = context.arguments
    if arguments.action == "restore":
        return _restore(context)
    if arguments.operation is not None:
        raise Usage("`op log` takes no operation; -n N limits it to the last ones")
    from helios.cli.operations import as_data, lines

    with context.open() as repository:
        operations = repository.operations(arguments.limit)
        if context.json:
            context.report({"operations": [as_data(each) for each in operations]})
            return 0
        context.tell_warnings()
        for line in lines(operations, context.terminal.paint):
            context.terminal.line(line)
    return 0


def _restore(context: Context) -> int:
    operation = context.arguments.operation
    if operation is None or context.arguments.limit is not None:
        raise Usage("`op restore` takes an operation and nothing else; `op log` lists them")
    from helios.cli.operations import tell

    with context.open() as repository:
        with context.working(repository):
            done = repository.restore_operation(operation)
        tell(context, repository, done, "Went back to right after")
    return 0
