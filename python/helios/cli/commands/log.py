"""`log`: lists snapshots. JSON: `snapshots`, newest first, each as in `helios.cli.snapshots` with
the `branches` and `tags` that are there."""

from __future__ import annotations

from itertools import chain, islice
from time import time

from helios.cli.names import names_of
from helios.cli.snapshots import age_of, as_data, line, paragraph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios import Repository, Snapshot
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context
    from helios.cli.names import Names

DESCRIPTION = """\
List a snapshot and those that it was made from, newest first.
"""
EXAMPLES = """\
  helios-cli log
  helios-cli log -n 10 --oneline
  helios-cli log --graph --oneline
  helios-cli log feature~2
"""
# Ages are aligned within this many lines, so that a long log begins at once.
_PAGE = 100


def add_arguments(parser: Declarations) -> None:
    from helios.cli.arguments import whole_number

    parser.add_argument("revision", nargs="?", help="where to begin (default: @)")
    parser.add_argument(
        "-n", "--limit", type=whole_number, metavar="N", help="list at most N snapshots"
    )
    parser.add_argument("--oneline", action="store_true", help="a line for each snapshot")
    parser.add_argument(
        "--graph", action="store_true", help="draw which snapshot was made from which"
    )


def run(context: Context) -> int:
    with context.open() as repository:
        names = names_of(repository)
        snapshots = _snapshots(context, repository)
        if context.json:
            listed = [{**as_data(snapshot), **names.as_data(snapshot.id)} for snapshot in snapshots]
            context.report({"snapshots": listed})
            return 0
        context.tell_warnings()
        if context.arguments.graph:
            lines = _graph(context, snapshots, names)
        elif context.arguments.oneline:
            lines = _lines(context, snapshots, names)
        else:
            lines = _paragraphs(context, snapshots, names)
        for each in lines:
            context.terminal.line(each)
    return 0


def _snapshots(context: Context, repository: Repository) -> Iterator[Snapshot]:
    revision: str | None = context.arguments.revision
    limit: int | None = context.arguments.limit
    if revision is None:
        branch = repository.head
        if repository.branch(branch) is None:
            if not context.json:
                context.hint("There is no snapshot yet; `helios-cli commit` makes one")
            return iter(())
        revision = "@"
    graph: bool = context.arguments.graph
    snapshots = iter(repository.log(revision, limit, topological=graph))
    # The revision is looked up now, so that nothing is printed before an error.
    first = next(snapshots, None)
    return snapshots if first is None else chain([first], snapshots)


def _lines(context: Context, snapshots: Iterator[Snapshot], names: Names) -> Iterator[str]:
    now_s = time()
    while page := list(islice(snapshots, _PAGE)):
        width = max(len(age_of(snapshot, now_s)) for snapshot in page)
        for snapshot in page:
            named = names.shown(snapshot.id)
            yield line(snapshot, named, now_s, context.terminal.paint, width)


def _paragraphs(context: Context, snapshots: Iterator[Snapshot], names: Names) -> Iterator[str]:
    now_s = time()
    between = False
    for snapshot in snapshots:
        if between:
            yield ""
        between = True
        yield from paragraph(snapshot, names.shown(snapshot.id), now_s, context.terminal.paint)


def _graph(context: Context, snapshots: Iterator[Snapshot], names: Names) -> Iterator[str]:
    """The text of each snapshot beside a graph. A line that runs off at the end leads to more."""
    from helios.repository import Graph

    graph = Graph()
    now_s = time()
    paint = context.terminal.paint
    for snapshot in snapshots:
        named = names.shown(snapshot.id)
        if context.arguments.oneline:
            text = line(snapshot, named, now_s, paint)
        else:
            text = "\n".join([*paragraph(snapshot, named, now_s, paint), ""])
        drawn = graph.draw(snapshot.id, snapshot.parents, "o", text)
        yield from map(str.rstrip, drawn.removesuffix("\n").split("\n"))
