"""`git setup`: checks that git finds Helios. JSON: `git`, `helper` (their paths, null if missing),
`version` of git, `submodules` (whether git follows submodules at `helios::` URLs), `problems`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Check what `git clone helios::PATH` needs: git 2.29 or later, and `git-remote-helios` on PATH. In a
repository, its git view is given its settings again. Exit code 1 if something is missing.
"""
EXAMPLES = """\
  helios-cli git setup
  helios-cli git setup --submodules
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument(
        "--submodules",
        action="store_true",
        help="have git follow submodules at helios:: URLs (protocol.helios.allow, in your "
        "git configuration)",
    )


def run(context: Context) -> int:
    from helios.errors import NotARepository
    from helios.git import setup

    try:
        repository = context.open()
    except NotARepository:
        found = setup.setup(None, submodules=context.arguments.submodules)
    else:
        with repository:
            found = setup.setup(repository, submodules=context.arguments.submodules)
    code = int(bool(found.problems))
    if context.json:
        context.report(
            {
                "git": found.git,
                "version": found.version,
                "helper": found.helper,
                "submodules": found.submodules,
                "problems": found.problems,
            }
        )
        return code
    context.tell_warnings()
    for problem in found.problems:
        context.terminal.problem("warning", problem)
    if not code:
        context.say(f"git {found.version} finds {found.helper}")
        context.hint("next: git clone helios::/path/to/repository")
    return code
