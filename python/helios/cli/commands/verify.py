"""`verify`: checks all that is stored, and repairs it.

JSON: `clean`, `damage` (each `kind`, `reason`, `id`, `place`, `cause`, `readable`, `reachable` and
`effects`, of objects with `ref`, `branch`, `path`, `snapshot_id` and `snapshots`), `notes`,
`restored`, `objects`, `records`, `bytes`, `elapsed_s`.
"""

from __future__ import annotations

from helios.cli.quantity import counted, duration, size
from helios.cli.quoting import quoted
from helios.cli.snapshots import short
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios.cli.arguments import Declarations
    from helios.cli.context import Context
    from helios.repository.verify import Damage, Effect

DESCRIPTION = """\
Check every stored object against its id, every reference, the journal, branches, operations and
the worktree's state. Nothing is written, and others may go on working. Exit code 1 says that there
is damage.

With --repair what is damaged or missing is restored from where it can be found: other records of
it, journal/lost, files of the worktree, and another repository (--from). Nothing is deleted.
"""
EXAMPLES = """\
  helios-cli verify
  helios-cli verify --repair --from /backup/project
"""
EFFECTS_SHOWN_MAX = 5
OPERATIONS = "operations/"


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("--repair", action="store_true", help="restore what can be restored")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        help="with --repair: take from this repository",
    )


def run(context: Context) -> int:
    source = context.arguments.source
    if source is not None and not context.arguments.repair:
        raise Usage("--from is for --repair; give both")
    with context.open() as repository, context.working(repository):
        found = repository.verify(
            repair=context.arguments.repair,
            source=None if source is None else context.absolute(source),
        )
    if context.json:
        context.report(
            {
                "clean": found.clean,
                "damage": [_data(damage) for damage in found.damage],
                "notes": found.notes,
                "restored": found.restored,
                "objects": found.objects,
                "records": found.records,
                "bytes": found.bytes,
                "elapsed_s": found.elapsed_s,
            }
        )
        return 0 if found.clean else 1
    for damage in found.damage:
        for line in _lines(damage):
            context.terminal.line(line)
    for note in found.notes:
        context.hint(f"note: {note}")
    if found.restored:
        context.say(f"Restored {counted(found.restored, 'object')}")
    looked = f"{counted(found.objects, 'object')} of {size(found.bytes)}"
    if found.clean:
        context.say(f"Clean: {looked} verified in {duration(found.elapsed_s)}")
        return 0
    context.terminal.line(
        f"{counted(len(found.damage), 'damage', 'damages')} found; {looked} verified in "
        f"{duration(found.elapsed_s)}"
    )
    if not context.arguments.repair:
        context.hint("`helios-cli verify --repair` restores what can be found elsewhere")
    return 1


def _data(damage: Damage) -> dict[str, object]:
    return {
        "kind": damage.kind,
        "reason": damage.reason,
        "id": damage.id,
        "place": damage.place,
        "cause": damage.cause,
        "readable": damage.readable,
        "reachable": bool(damage.effects),
        "effects": [
            {
                "ref": effect.reference,
                "branch": effect.branch,
                "path": effect.path,
                "snapshot_id": effect.snapshot,
                "snapshots": effect.snapshots,
            }
            for effect in damage.effects
        ],
    }


def _lines(damage: Damage) -> Iterator[str]:
    what = damage.kind if damage.id is None else f"{damage.kind} {damage.id}"
    where = f" in {damage.place}" if damage.place is not None and damage.id is not None else ""
    yield f"{what}{where}: {damage.reason}"
    if damage.readable and damage.kind == "corrupt":
        yield "  another record of it is intact"
    elif damage.id is not None and not damage.effects:
        yield "  nothing that a branch reaches is affected"
    for effect in damage.effects[:EFFECTS_SHOWN_MAX]:
        yield f"  affects {_shown(effect)}"
    more = len(damage.effects) - EFFECTS_SHOWN_MAX
    if more > 0:
        yield f"  and {more} more; --json lists all"


def _shown(effect: Effect) -> str:
    """`branch main: src/a in 2 snapshots, the newest 4f69aff0364d`."""
    what = effect.reference if effect.branch is None else f"branch {effect.branch}"
    operation = effect.reference.removeprefix(OPERATIONS)
    if operation != effect.reference:
        what = f"undo of operation {short(operation)}"
    path = "" if effect.path is None else f"{quoted(effect.path)} in "
    newest = short(effect.snapshot)
    if effect.snapshots > 1:
        newest = f"{counted(effect.snapshots, 'snapshot')}, the newest {newest}"
    return f"{what}: {path}{newest}"
