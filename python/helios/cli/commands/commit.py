"""`commit`: snapshots the worktree.

JSON: `snapshot_id`, `tree_id`, `parents`, `branch`, `created` (false if nothing had changed),
`new_objects`, `new_bytes`, `journal_bytes`, `elapsed_us` (0 if nothing had changed),
`initialized` (true if the repository was made just now), `repository`.
"""

from __future__ import annotations

from helios.cli.quantity import counted, duration, size
from helios.cli.quoting import quoted, subject
from helios.cli.snapshots import short
from helios.errors import Corruption, NotARepository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository, Snapshot
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Snapshot all files of the worktree, except those that .gitignore, .heliosignore and git's
other ignore files name. Where there is no repository yet, one is made in this directory.
"""
EXAMPLES = """\
  helios-cli commit -m "before the refactoring"
  helios-cli commit --json
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument(
        "-m", "--message", action="append", help="given twice or more: paragraphs of one message"
    )
    parser.add_argument("--author", help="default: HELIOS_AUTHOR, git's author, or user@host")
    parser.add_argument(
        "--allow-empty", action="store_true", help="make a snapshot even if nothing has changed"
    )
    parser.add_argument("--force", action="store_true", help="also in the home directory or /")


def run(context: Context) -> int:
    arguments = context.arguments
    try:
        repository = context.open()
        initialized = False
    except NotARepository:
        repository = context.init(context.directory, force=arguments.force)
        initialized = True
    with repository:
        if initialized and not context.json:
            context.say(f"Made a Helios repository in {quoted(repository.directory or '')}")
        worktree = repository.worktree
        branch = worktree.branch
        with context.working(repository):
            done = worktree.commit(
                "\n\n".join(arguments.message or ()),
                author=arguments.author,
                allow_empty=arguments.allow_empty,
            )
        context.warn(done.warnings)
        snapshot = done.snapshot
        if context.json:
            context.report(
                {
                    **_as_data(snapshot, branch),
                    "initialized": initialized,
                    "repository": repository.directory,
                }
            )
            return 0
        context.tell_warnings()
        if not context.quiet:
            _tell(context, repository, snapshot, branch)
    return 0


def _as_data(snapshot: Snapshot, branch: str) -> dict[str, object]:
    stats = snapshot.stats
    return {
        "snapshot_id": snapshot.id,
        "tree_id": snapshot.tree_id,
        "parents": list(snapshot.parents),
        "branch": branch,
        "created": stats is not None,
        "new_objects": stats.new_objects if stats else 0,
        "new_bytes": stats.new_bytes if stats else 0,
        "journal_bytes": stats.journal_bytes if stats else 0,
        "elapsed_us": stats.elapsed_us if stats else 0.0,
    }


def _tell(context: Context, repository: Repository, snapshot: Snapshot, branch: str) -> None:
    shown = context.terminal.paint(short(snapshot.id), "id")
    stats = snapshot.stats
    if stats is None:
        context.say(f"Nothing has changed since {shown} on {branch}; there is no new snapshot")
        return
    context.say(f"[{branch} {shown}] {subject(snapshot.message)}")
    context.say(
        f"{_what(repository, snapshot)}; {counted(stats.new_objects, 'new object')} of "
        f"{size(stats.new_bytes)}, {size(stats.journal_bytes)} written in "
        f"{duration(stats.elapsed_us / 1e6)}"
    )


def _what(repository: Repository, snapshot: Snapshot) -> str:
    """What the snapshot changes; what it holds if there is nothing to compare it with."""
    if snapshot.parents:
        from helios.cli.changes import Changes, summary

        try:
            return summary(Changes(repository.diff(snapshot.parents[0], snapshot)))
        except Corruption:
            # What came before is damaged; a warning has said so, and this snapshot is whole.
            pass
    return counted(len(repository.vst(snapshot)), "file")
