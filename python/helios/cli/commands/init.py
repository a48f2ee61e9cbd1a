"""`init`: makes a repository. JSON: `repository`, `root`, `branch`, `created`."""

from __future__ import annotations

import os

from helios.cli.quoting import quoted
from helios.errors import Refused, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Make a Helios repository in a directory: everything it stores is in DIRECTORY/.helios.
A repository that is there already is left as it is. With --git it is beside the git checkout in
that directory, whose files, index and branches stay as they are, and git is told to ignore it.
With --bare the directory becomes the repository itself, without a worktree, for git to push to.
"""
EXAMPLES = """\
  helios-cli init
  helios-cli init ~/project
  helios-cli init --git
  helios-cli init --bare ~/project.helios
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("directory", nargs="?", default=".", help="default: here")
    parser.add_argument("--force", action="store_true", help="also in the home directory or /")
    parser.add_argument(
        "--git", action="store_true", help="beside the git checkout in the directory"
    )
    parser.add_argument("--bare", action="store_true", help="no worktree: the directory is it")
    parser.add_argument(
        "--object-format", choices=("sha1", "sha256"), help="of its git view (default: sha1)"
    )


def run(context: Context) -> int:
    root = context.absolute(context.arguments.directory)
    if context.arguments.bare:
        return _run_bare(context, root)
    if context.arguments.object_format is not None:
        raise Usage("--object-format goes with --bare: it is for serving git")
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


def _run_bare(context: Context, root: str) -> int:
    """A repository without a worktree, with its git view."""
    from helios.git import view

    if context.arguments.git:
        raise Usage("--bare and --git do not go together: a checkout is a worktree")
    created = not os.path.exists(os.path.join(root, "format"))
    with context.init(root, force=context.arguments.force, bare=True) as repository:
        if repository.root is not None:
            raise Refused(f"{quoted(root)} is a worktree; a bare repository needs another place")
        found = view.of_or_make(repository, context.arguments.object_format)
        head = (found.head() or "").removeprefix("refs/heads/")
    if context.json:
        context.report({"repository": root, "root": None, "branch": head, "created": created})
        return 0
    context.tell_warnings()
    made = "Made a bare Helios repository in" if created else "A bare Helios repository is in"
    context.say(f"{made} {quoted(root)}")
    context.hint(f"next: git clone helios::{quoted(root)}")
    return 0
