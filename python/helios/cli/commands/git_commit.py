"""`git commit`: makes a snapshot a commit of the git checkout beside it. JSON: `commit`, `branch`
(git's, null if HEAD is detached), `snapshot_id`, `created`, `index_kept`."""

from __future__ import annotations

from helios.cli.quoting import printable
from helios.cli.snapshots import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Make a snapshot the next commit on the branch of the git checkout that the repository is in, with
git's author. Files on disk stay as they are. What git tracks and Helios leaves out (ignored files,
submodules) stays as it is in HEAD. Hooks do not run, and nothing is signed.
"""
EXAMPLES = """\
  helios-cli git commit @ -m "one commit of many snapshots"
  helios-cli git commit attempt-2
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("snapshot", help="a snapshot, a branch, a tag")
    parser.add_argument(
        "-m", "--message", action="append", help="default: the snapshot's; twice: paragraphs"
    )
    parser.add_argument(
        "--allow-empty", action="store_true", help="make a commit even if HEAD has these files"
    )


def run(context: Context) -> int:
    from helios.git import checkout

    arguments = context.arguments
    message = None if arguments.message is None else "\n\n".join(arguments.message)
    with context.open() as repository, context.working(repository):
        done = checkout.commit(
            repository, arguments.snapshot, message, allow_empty=arguments.allow_empty
        )
    if done.index_kept:
        context.warn([(".git/index", "other changes are staged, so it was left as it is")])
    if context.json:
        context.report(
            {
                "commit": done.commit,
                "branch": done.branch,
                "snapshot_id": done.snapshot,
                "created": done.created,
                "index_kept": done.index_kept,
            }
        )
        return 0
    context.tell_warnings()
    if done.created:
        where = "detached HEAD" if done.branch is None else done.branch.removeprefix("refs/heads/")
        context.say(f"[git {printable(where)} {done.commit[:12]}] from {short(done.snapshot)}")
    else:
        context.say(f"git's HEAD has the files of {short(done.snapshot)} already")
    return 0
