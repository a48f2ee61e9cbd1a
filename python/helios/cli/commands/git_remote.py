"""`git remote`: names git repositories elsewhere. JSON: `remotes`, a list of `name` and `url`; of
`add` and `remove` `name`, and `url` of what was added."""

from __future__ import annotations

import os

from helios.cli.quoting import printable
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
List the git repositories elsewhere that `git fetch` and `git push` know, add one, or forget one.
What was fetched from it goes too, but for tags and for what branches have taken over.
"""
EXAMPLES = """\
  helios-cli git remote
  helios-cli git remote add origin https://example.org/project.git
  helios-cli git remote remove origin
"""
ACTIONS = ("list", "add", "remove")


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS, help="default: list")
    parser.add_argument("name", nargs="?", help="of `add` and `remove`")
    parser.add_argument("url", nargs="?", help="of `add`: what git would clone from")


def run(context: Context) -> int:
    from helios.git import remotes

    arguments = context.arguments
    action, name, url = arguments.action, arguments.name, arguments.url
    given = sum(each is not None for each in (name, url))
    if given != {"list": 0, "add": 2, "remove": 1}[action]:
        raise Usage(
            "`git remote add` takes a name and a URL, `git remote remove` a name, "
            "`git remote list` nothing"
        )
    with context.open() as repository:
        if action == "add":
            if os.path.exists(context.absolute(url)):
                # As git is told, wherever it runs.
                url = context.absolute(url)
            remotes.add(repository, name, url)
            data: dict[str, object] = {"name": name, "url": url}
            said = [f"Added the remote {printable(name)}"]
        elif action == "remove":
            remotes.remove(repository, name)
            data = {"name": name}
            said = [f"Forgot the remote {printable(name)}"]
        else:
            found = sorted(remotes.urls(repository).items())
            data = {"remotes": [{"name": each, "url": where} for each, where in found]}
            said = [f"{printable(each)}\t{printable(where)}" for each, where in found]
    if context.json:
        context.report(data)
        return 0
    context.tell_warnings()
    for line in said:
        if action == "list":
            context.terminal.line(line)
        else:
            context.say(line)
    return 0
