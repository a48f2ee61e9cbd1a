"""`git push`: sends branches and tags to a git repository elsewhere. JSON: `pushed`, a list of
`ref`, `outcome` (`new`, `moved`, `forced`, `deleted`, `unchanged`, `rejected`) and `detail`.
"""

from __future__ import annotations

from helios.cli.quoting import printable
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Send branches and tags to a git repository elsewhere, by default the branch that the worktree is on.
A snapshot becomes one git commit, which it stays. Exit code 1 if the other side rejected any.
"""
EXAMPLES = """\
  helios-cli git push
  helios-cli git push origin main attempt-1
  helios-cli git push origin attempt-1:refs/heads/review --force-with-lease
  helios-cli git push origin --delete attempt-1
"""
FLAGS = ("force", "force_with_lease", "atomic", "delete", "tags", "dry_run")


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("remote", nargs="?", help="default: the only one, or origin")
    parser.add_argument("refs", nargs="*", default=[], help="branches, tags, or git's refspecs")
    parser.add_argument("-f", "--force", action="store_true", help="also where work there is lost")
    parser.add_argument(
        "--force-with-lease", action="store_true", help="also where it is as it was fetched"
    )
    parser.add_argument("--atomic", action="store_true", help="all or nothing")
    parser.add_argument("-d", "--delete", action="store_true", help="delete these refs there")
    parser.add_argument("--tags", action="store_true", help="send all tags, too")
    parser.add_argument("-n", "--dry-run", action="store_true", help="change nothing there")
    parser.add_argument(
        "-o", "--push-option", action="append", metavar="TEXT", help="for the server's hooks"
    )


def run(context: Context) -> int:
    from helios.git import remotes

    arguments = context.arguments
    if arguments.delete and not arguments.refs:
        raise Usage("--delete needs the refs to delete: `git push origin --delete NAME`")
    options = [f"--{flag.replace('_', '-')}" for flag in FLAGS if getattr(arguments, flag)]
    options += [f"--push-option={each}" for each in arguments.push_option or ()]
    with context.open() as repository, context.working(repository):
        sent = remotes.push(repository, arguments.remote, arguments.refs, options=options)
    code = int(any(each.outcome == "rejected" for each in sent))
    if context.json:
        listed = [
            {"ref": each.name, "outcome": each.outcome, "detail": each.detail} for each in sent
        ]
        context.report({"pushed": listed})
        return code
    context.tell_warnings()
    for each in sent:
        context.say(f"{each.outcome:<9}  {printable(each.name)}  {printable(each.detail)}".rstrip())
    if code:
        context.hint("next: helios-cli git fetch, then merge what is new there")
    return code
