"""`gc`: drops what the policy does not keep. JSON: `dry_run`, `snapshots`, `objects`,
`kept_snapshots`, `kept_objects`, `bytes_before`, `bytes_after`, `fits`, `elapsed_s`."""

from __future__ import annotations

from helios.cli.quantity import counted, duration, size
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Delete what nothing reaches any more, and drop the history that the repository's policy does not
keep. The policy is in .helios/config; without one, history is never dropped. Commits can go on
meanwhile, in any process.

With --quota the oldest snapshots are dropped too until the repository fits, but never those that
branches, tags, recent operations or named branches of the policy need. Exit code 1 if it cannot.
"""
EXAMPLES = """\
  helios-cli gc --dry-run
  helios-cli gc
  helios-cli gc --quota 2GiB
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    parser.add_argument("--quota", metavar="SIZE", help="what .helios may take, such as 2GiB")


def run(context: Context) -> int:
    arguments = context.arguments
    quota = None if arguments.quota is None else _size_of(arguments.quota)
    with context.open() as repository:
        with context.working(repository):
            done = repository.gc(dry_run=arguments.dry_run, quota=quota)
        if context.json:
            context.report({name: getattr(done, name) for name in sorted(done.__slots__)})
            return 0 if done.fits else 1
    context.tell_warnings()
    freed = f"{counted(done.snapshots, 'snapshot')}, {counted(done.objects, 'object')}"
    if done.dry_run:
        context.say(f"Would delete {freed}; {counted(done.kept_snapshots, 'snapshot')} stay")
    else:
        context.say(
            f"Deleted {freed} in {duration(done.elapsed_s)}; "
            f"{counted(done.kept_snapshots, 'snapshot')} stay"
        )
    about = "about " if done.dry_run else ""
    context.say(f"The repository: {size(done.bytes_before)} -> {about}{size(done.bytes_after)}")
    if not done.fits:
        context.terminal.problem(
            "warning", f"it does not fit into {size(quota or 0)}: what is left is protected"
        )
    return 0 if done.fits else 1


def _size_of(text: str) -> int:
    from helios.repository.config import size_of

    found = size_of(text)
    if found is None:
        raise Usage(f"--quota: {text!r} is no size; give one such as 500MiB or 2GiB")
    return found
