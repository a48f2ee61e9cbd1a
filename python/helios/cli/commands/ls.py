"""`ls`: lists a directory of a snapshot. JSON: `snapshot_id`, `path`, and the list `entries`, each
with `path`, `kind`, `id` and `size` (bytes; of a directory, the number of files below it)."""

from __future__ import annotations

from helios.cli.quoting import quoted
from helios.errors import PathNotADirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Entry, Repository
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
List the files and directories of a snapshot, of a directory in it, or one file. The path is seen
from the root of the snapshot, wherever the command runs.
"""
EXAMPLES = """\
  helios-cli ls
  helios-cli ls -l main~2:src
  helios-cli ls -r attempt-1
"""
_LETTERS = {
    "file": "file",
    "executable": "exec",
    "symlink": "link",
    "directory": "dir",
    "submodule": "module",
}


def add_arguments(parser: Declarations) -> None:
    parser.add_argument(
        "directory", nargs="?", default="@", metavar="SNAPSHOT[:PATH]", help="default: @"
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="also all below it")
    parser.add_argument("-l", "--long", action="store_true", help="show kinds and sizes")


def run(context: Context) -> int:
    arguments = context.arguments
    revision, _, path = arguments.directory.partition(":")
    with context.open() as repository:
        found = repository.resolve(revision or "@")
        entries = _entries(repository, found, path, arguments.recursive)
        if context.json:
            listed = [
                {"path": each.path, "kind": each.kind, "id": each.id, "size": each.size}
                for each in entries
            ]
            context.report({"snapshot_id": found, "path": path, "entries": listed})
            return 0
        context.tell_warnings()
        for line in _long(entries) if arguments.long else map(_name, entries):
            context.terminal.line(line)
    return 0


def _entries(repository: Repository, found: str, path: str, recursive: bool) -> list[Entry]:
    try:
        return repository.entries(found, path, recursive=recursive)
    except PathNotADirectory:
        return [repository.entry(found, path)]


def _name(entry: Entry) -> str:
    return quoted(entry.path) + ("/" if entry.kind == "directory" else "")


def _long(entries: list[Entry]) -> list[str]:
    from helios.cli.quantity import counted, size

    rows = [
        (
            _LETTERS[each.kind],
            counted(each.size, "file") if each.kind == "directory" else size(each.size),
            _name(each),
        )
        for each in entries
    ]
    width = max((len(shown) for _, shown, _ in rows), default=0)
    return [f"{kind:<6}  {shown:>{width}}  {name}" for kind, shown, name in rows]
