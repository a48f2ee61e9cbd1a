"""`tag`: lists, makes, moves and deletes tags.

JSON: of the list `tags` (each `name`, `snapshot_id`); of the others `created` or `deleted`, and
`snapshot_id`.
"""

from __future__ import annotations

from helios.cli.quoting import printable
from helios.cli.snapshots import short
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
List tags, put one on a snapshot, or delete one. A tag is a name that commits do not move. It is
called what a branch may be called, but no branch and tag have the same name.
"""
EXAMPLES = """\
  helios-cli tag
  helios-cli tag before-refactoring
  helios-cli tag -f works main~2
  helios-cli tag -d works
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("name", nargs="?", help="the tag to make; without it, list all")
    parser.add_argument("snapshot", nargs="?", default="@", help="what to put it on (default: @)")
    parser.add_argument("-f", "--force", action="store_true", help="move a tag that is there")
    parser.add_argument("-d", "--delete", metavar="NAME", help="delete this tag")


def run(context: Context) -> int:
    arguments = context.arguments
    if arguments.delete is not None and (arguments.name is not None or arguments.force):
        raise Usage("a tag to make and one to delete are two commands; give one")
    if arguments.force and arguments.name is None:
        raise Usage("-f moves a tag: name it")
    with context.open() as repository:
        if not context.json:
            context.tell_warnings()
        if arguments.delete is not None:
            found = repository.delete_tag(arguments.delete)
            if context.json:
                context.report({"deleted": arguments.delete, "snapshot_id": found})
                return 0
            context.say(f"Deleted tag {printable(arguments.delete)}, which was on {short(found)}")
            context.hint("undo: helios-cli undo")
        elif arguments.name is not None:
            name = arguments.name
            found = repository.create_tag(name, arguments.snapshot, force=arguments.force)
            if context.json:
                context.report({"created": name, "snapshot_id": found})
                return 0
            context.say(f"Tagged {short(found)} as {printable(name)}")
        else:
            from helios.cli.references import LISTED_MAX, listing

            tags = repository.tags(None if context.json else LISTED_MAX + 1)
            if context.json:
                listed = [{"name": name, "snapshot_id": found} for name, found in tags.items()]
                context.report({"tags": listed})
                return 0
            for line in listing(repository, tags, context.terminal.paint):
                context.terminal.line(line)
    return 0
