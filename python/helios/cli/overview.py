"""What `helios-cli --help` shows: every command in a line."""

from __future__ import annotations

from helios.cli.commands import COMMANDS

_HEAD = """\
usage: helios-cli [-C DIR] [--json] [--quiet] COMMAND ...

Content-addressed snapshots of working trees.

commands:
"""

_TAIL = """
options for every command, before or after its name:
  -C DIR                     run as if started in DIR
  --json                     print one JSON object; errors too, on standard error
  -q, --quiet                say nothing about success; warnings and errors remain
  --durability disk|process  what a commit survives: a power cut (default), or only the
                             death of the process, which is faster
  -h, --help                 show help, also of one command
  -V, --version              show the version

a snapshot is named by its id or the first digits of it (4 or more), by a branch, or by
`@` (the branch of the worktree); `~N` behind it goes N snapshots back: main~2, @~1

environment: HELIOS_AUTHOR, HELIOS_DURABILITY, HELIOS_CACHE_BYTES, HELIOS_TRACEBACK, NO_COLOR
exit codes: 0 done, 1 differences (--exit-code) or conflicts of a merge, 2 usage,
3 not a repository, 4 no such snapshot or path, 5 conflict, 6 corruption, 7 read-only,
8 newer format, 9 refused, 10 storage, 11 git, 70 defect
"""


def overview() -> str:
    """The text, with a newline at its end."""
    return f"{_HEAD}{_lines('')}{_TAIL}"


def overview_of(family: str) -> str:
    """The same of the commands of one family."""
    head = f"usage: helios-cli {family} COMMAND ...\n\ncommands:\n"
    return f"{head}{_lines(f'{family} ')}\n`helios-cli help {family} COMMAND` tells more of one\n"


def _lines(prefix: str) -> str:
    return "".join(
        f"  {name:<13}{line}\n" for name, line in COMMANDS.items() if name.startswith(prefix)
    )
