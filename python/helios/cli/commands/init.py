"""`init`: makes a repository. JSON: `repository`, `root`, `branch`, `created`."""

from __future__ import annotations

import os

from helios.cli.quoting import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Make a Helios repository in a directory: everything it stores is in DIRECTORY/.helios.
A repository that is there already is left as it is. With --git it is beside the git checkout in
that directory, whose files, index and branches stay as they are, and git is told to ignore it.
"""
EXAMPLES = """\
  helios-cli init
  helios-cli init ~/project
  helios-cli init --git
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("directory", nargs="?", default=".", help="default: here")
    parser.add_argument("--force", action="store_true", help="also in the home directory or /")
    parser.add_argument(
        "--git", action="store_true", help="beside the git checkout in the directory"
    )


def run(context: Context) -> int:
    root = context.absolute(context.arguments.directory)
    if context.arguments.git:
        from helios.git.checkout import Checkout

        # Before anything is made.
        Checkout(root)
    created = not os.path.exists(os.path.join(root, ".helios", "format"))
    with context.init(root, force=context.arguments.force) as repository:
        if context.arguments.git:
            from helios.git import checkout

            checkout.init(repository)
        branch = repository.worktree.branch
        directory = repository.directory or ""
    if context.json:
        data = {"repository": directory, "root": root, "branch": branch, "created": created}
        context.report(data)
        return 0
    context.tell_warnings()
    if created:
        context.say(f"Made a Helios repository in {quoted(directory)}")
        context.hint('next: helios-cli commit -m "what this is"')
    else:
        context.say(f"{quoted(directory)} is a Helios repository already")
    return 0
