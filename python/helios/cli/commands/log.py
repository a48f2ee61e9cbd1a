"""`log`: lists snapshots. JSON: `snapshots`, newest first, each as in `helios.cli.snapshots` with
the `branches` that are there."""

from __future__ import annotations

from itertools import chain, islice
from time import time

from helios.cli.snapshots import age_of, as_data, line, paragraph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios import Repository, Snapshot
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
List a snapshot and those that it was made from, newest first.
"""
EXAMPLES = """\
  helios-cli log
  helios-cli log -n 10 --oneline
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


def run(context: Context) -> int:
    with context.open() as repository:
        names: dict[str, list[str]] = {}
        for name, found in repository.branches().items():
            names.setdefault(found, []).append(name)
        snapshots = _snapshots(context, repository)
        if context.json:
            listed = [
                {**as_data(snapshot), "branches": names.get(snapshot.id, [])}
                for snapshot in snapshots
            ]
            context.report({"snapshots": listed})
            return 0
        context.tell_warnings()
        lines = _lines if context.arguments.oneline else _paragraphs
        for each in lines(context, snapshots, names):
            context.terminal.line(each)
    return 0


def _snapshots(context: Context, repository: Repository) -> Iterator[Snapshot]:
    revision: str | None = context.arguments.revision
    limit: int | None = context.arguments.limit
    if revision is None:
        if repository.worktree.branch not in repository.branches():
            if not context.json:
                context.hint("There is no snapshot yet; `helios-cli commit` makes one")
            return iter(())
        revision = "@"
    snapshots = iter(repository.log(revision, limit))
    # The revision is looked up now, so that nothing is printed before an error.
    first = next(snapshots, None)
    return snapshots if first is None else chain([first], snapshots)


def _lines(
    context: Context, snapshots: Iterator[Snapshot], names: dict[str, list[str]]
) -> Iterator[str]:
    now_s = time()
    while page := list(islice(snapshots, _PAGE)):
        width = max(len(age_of(snapshot, now_s)) for snapshot in page)
        for snapshot in page:
            named = names.get(snapshot.id, [])
            yield line(snapshot, named, now_s, context.terminal.paint, width)


def _paragraphs(
    context: Context, snapshots: Iterator[Snapshot], names: dict[str, list[str]]
) -> Iterator[str]:
    now_s = time()
    between = False
    for snapshot in snapshots:
        if between:
            yield ""
        between = True
        yield from paragraph(snapshot, names.get(snapshot.id, []), now_s, context.terminal.paint)
