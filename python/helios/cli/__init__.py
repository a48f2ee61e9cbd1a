"""The command line, `helios-cli`, also installed as `helios`.

Start-up is part of the interface: agents call this hundreds of times an hour. `--version` is
answered here, and everything else imports only what its own command needs: no `argparse` for
arguments that are well-formed, no `json` for plain values, and the repository when it is opened.

Exit codes are those of `helios.errors`, and beside them

====  ==========================================================================================
code  meaning
====  ==========================================================================================
1     differences, where `--exit-code` asks for them; conflicts of a merge
70    a defect of Helios (`HELIOS_TRACEBACK=1` shows where)
130   interrupted (Ctrl-C)
141   the reader of the output went away (as by SIGPIPE, without its message)
====  ==========================================================================================
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = 130
READER_GONE = 141


def command() -> NoReturn:
    """Runs one command, and ends the process with its exit code.

    What is done is on disk or printed by then, so the system may have the memory back as it is:
    the interpreter would take it apart object by object, which is milliseconds. Where somebody has
    asked to be called at the end, or has threads, the process ends the usual way.
    """
    code = main()
    import atexit

    is_awaited = "threading" in sys.modules or atexit._ncallbacks()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        is_awaited = True
    if not is_awaited:
        import os

        os._exit(code)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command, and gives its exit code. No exception leaves it, and no traceback."""
    if arguments is None:
        arguments = sys.argv[1:]
    try:
        if arguments in (["--version"], ["-V"]):
            from helios import __version__

            print(f"helios-cli {__version__}")
            if sys.stdout is not None:
                sys.stdout.flush()
            return 0
        import gc

        from helios.cli.invocation import run

        # A command ends before its cycles matter; looking for them would cost it milliseconds.
        gc.disable()
        code = run(arguments)
        # Nor are they looked for when the process ends: that would cost milliseconds, too.
        gc.freeze()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        from helios.cli.terminal import abandon_output

        abandon_output()
        return READER_GONE
