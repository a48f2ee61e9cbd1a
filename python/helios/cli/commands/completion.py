"""`completion`: prints a script with which a shell completes commands, options and paths.

shtab writes it from the parsers, so that it knows what they know.
"""

from __future__ import annotations

from helios.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Print a completion script for a shell.
"""
EXAMPLES = """\
  helios-cli completion bash > ~/.local/share/bash-completion/completions/helios-cli
  helios-cli completion zsh > ~/.zfunc/_helios-cli
  helios-cli completion fish > ~/.config/fish/completions/helios-cli.fish
"""
SHELLS = ("bash", "zsh", "fish", "tcsh")


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("shell", choices=SHELLS)


def run(context: Context) -> int:
    try:
        import shtab
    except ImportError:
        raise StorageError(
            "completion scripts are written by shtab, which is not installed; "
            "`pip install shtab` installs it"
        ) from None
    from helios.cli.parser import parser_of_all

    parser = parser_of_all()
    script = shtab.complete(parser, shell=context.arguments.shell)
    if context.json:
        context.report({"shell": context.arguments.shell, "script": script})
    else:
        context.terminal.line(script)
    return 0
