"""`benchmark`: measures Helios beside its floors and its peers, or compares two runs.

`--json FILE` writes the whole run there, with every sample; `-` is standard output. docs/CLI.md has
the fields.
"""

from __future__ import annotations

import os
import sys

from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from helios.bench.run import Settings
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Measure Helios on this machine, beside what the machine itself takes for the same work (the floor),
and beside git and other peers, in turns, in one run. All of it happens in a temporary directory,
which is deleted at the end.

  benchmark [SUITE...]            the suites, or figures by a part of their name; all without any
  benchmark --phase0-validation   the go/no-go gates, in under five minutes
  benchmark compare OLD NEW       two runs that --json has saved, by ratio to their floors

Exit code 0 says that every figure is what it must be, that all gates are `go`, or that nothing has
become worse; 1 that this is not so. Ctrl-C ends early, and what has been measured is still written,
marked as partial.
"""
EXAMPLES = """\
  helios-cli benchmark --phase0-validation
  helios-cli benchmark commit storage --peers git,fast-import --html report.html
  helios-cli benchmark --replay ../some-git-repository
  helios-cli benchmark --json now.json --baseline before.json
  helios-cli benchmark compare before.json now.json
"""
JSON_TAKES_FILE = True
COMPARE = "compare"
CLEAR_LINE = "\r\x1b[K"
PHASE0_BYTES = 3 << 30


def positive(text: str) -> int:
    """The type of an argument that counts something, at least one."""
    from helios.cli.arguments import whole_number

    value = whole_number(text)
    if not value:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError("it must be 1 or more")
    return value


def add_arguments(parser: Declarations) -> None:
    from helios.cli.commands.watch import seconds

    parser.add_argument(
        "suites", metavar="SUITE", nargs="*", default=[], help="what to measure (--list)"
    )
    parser.add_argument("--phase0-validation", action="store_true", help="judge the go/no-go gates")
    parser.add_argument("--list", action="store_true", help="name suites, figures and peers only")
    parser.add_argument("--peers", metavar="NAMES", help="only these peers, such as git,libgit2")
    parser.add_argument("--files", metavar="N", type=positive, help="files of the usual tree")
    parser.add_argument("--changes", metavar="K", type=positive, help="files that a commit changes")
    parser.add_argument("--seconds", metavar="S", type=seconds, help="length of sustained load")
    parser.add_argument("--replay", metavar="DIR", help="replay the history of this git repository")
    parser.add_argument("--html", metavar="FILE", help="write a report to look at")
    parser.add_argument("--baseline", metavar="FILE", help="compare with this saved run")
    parser.add_argument("--seed", metavar="N", type=positive, default=1, help="default: 1")
    parser.add_argument("--dir", metavar="DIR", help="make the temporary directory in here")
    parser.add_argument("--floor", metavar="PROGRAM", help="the built floor program")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny sizes: shows that it works, not how fast it is"
    )


def run(context: Context) -> int:
    import gc

    # Other commands end before it matters.
    gc.enable()
    arguments = context.arguments
    words: list[str] = arguments.suites
    if words[:1] == [COMPARE]:
        return _compare(context, words[1:])
    if arguments.list:
        return _list(context, words)
    _stop_on_termination()
    _writable(context)
    settings = _settings(context)
    if arguments.phase0_validation:
        if words or arguments.baseline or arguments.replay:
            raise Usage("--phase0-validation judges all gates; give it alone")
        return _phase0(context, settings)
    return _measure(context, settings, words)


def _measure(context: Context, settings: Settings, words: list[str]) -> int:
    from helios.bench import report
    from helios.bench.comparison import compare, load
    from helios.bench.comparison import lines as lines_of_comparison
    from helios.bench.run import needed_bytes, run, workbench
    from helios.bench.suites import chosen

    suites = chosen(words, settings.replay is not None)
    baseline = context.arguments.baseline
    old = None if baseline is None else load(_path(context, baseline))
    worse = False
    with workbench(settings, needed_bytes(settings, words), _progress(context)) as bench:
        for line in report.lines_of_header(bench, _load()):
            _line(context, line)
        done = run(bench, suites, lambda result: _lines(context, report.lines_of(result)))
        _lines(context, report.lines_of_end(done))
        data = report.as_data(done)
        if old is not None:
            comparison = compare(old, data)
            worse = comparison.worse
            _line(context, "")
            _lines(context, lines_of_comparison(comparison))
        # Before the files are deleted, which may take long.
        _write(context, data)
    if done.partial:
        raise KeyboardInterrupt
    return 0 if done.passed and not worse else 1


def _phase0(context: Context, settings: Settings) -> int:
    from helios.bench import verdicts
    from helios.bench.gates import validate
    from helios.bench.run import workbench

    needed = PHASE0_BYTES if not settings.smoke else PHASE0_BYTES // 100
    with workbench(settings, needed, _progress(context)) as bench:
        load_before = _load()
        _lines(context, verdicts.lines_of_header(bench, load_before))
        done = validate(bench, lambda one: _lines(context, verdicts.lines_of(one)))
        _lines(context, verdicts.lines_of_end(done))
        _write(context, verdicts.as_data(bench, done, load_before))
    if done.partial:
        raise KeyboardInterrupt
    return 0 if done.go else 1


def _compare(context: Context, files: list[str]) -> int:
    from helios.bench.comparison import as_data, compare, lines, load

    if len(files) != 2:
        raise Usage("`benchmark compare` takes two files: the old run and the new one")
    old, new = (load(_path(context, file)) for file in files)
    comparison = compare(old, new)
    _lines(context, lines(comparison))
    _write(context, as_data(comparison))
    return 1 if comparison.worse else 0


def _list(context: Context, words: list[str]) -> int:
    from helios.bench.peers import PEERS
    from helios.bench.run import names

    last = ""
    for suite, name in names(words):
        if suite != last:
            _line(context, suite)
        _line(context, f"  {name}")
        last = suite
    _line(context, f"peers: {', '.join(PEERS)}")
    return 0


def _settings(context: Context) -> Settings:
    from helios.bench.peers import PEERS
    from helios.bench.run import Settings

    arguments = context.arguments
    peers = None
    if arguments.peers is not None:
        peers = arguments.peers.split(",")
        if unknown := sorted(set(peers) - PEERS.keys()):
            raise Usage(f"no peer is called {unknown[0]!r}; there are {', '.join(PEERS)}")
    return Settings(
        smoke=arguments.smoke,
        seed=arguments.seed,
        files=arguments.files,
        changes=arguments.changes,
        seconds=arguments.seconds,
        peers=peers,
        replay=_directory(context, "--replay", arguments.replay),
        directory=_directory(context, "--dir", arguments.dir),
        floor=_floor(context),
    )


def _path(context: Context, name: str) -> Path:
    from pathlib import Path

    return Path(context.absolute(name))


def _directory(context: Context, option: str, name: str | None) -> Path | None:
    if name is None:
        return None
    path = _path(context, name)
    if not path.is_dir():
        raise Usage(f"{option}: {name!r} is not a directory")
    return path


def _floor(context: Context) -> Path | None:
    """The floor program that is named, or the one that the checkout has built."""
    if context.arguments.floor is not None:
        path = _path(context, context.arguments.floor)
        if not path.is_file():
            raise Usage(f"--floor: {context.arguments.floor!r} is not a file")
        return path
    from helios.bench.evidence import checkout

    root = checkout()
    built = None if root is None else root / "target" / "release" / "examples" / "floor"
    return built if built is not None and built.is_file() else None


def _writable(context: Context) -> None:
    """A run takes minutes: that its result cannot be written is said before it."""
    for name in (context.arguments.html, context.arguments.json):
        if name and name != "-":
            folder = os.path.dirname(context.absolute(name))
            if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
                raise Usage(f"{name!r} cannot be written: {folder!r} is no writable directory")


def _write(context: Context, data: dict[str, object]) -> None:
    from json import dumps

    target = context.arguments.json
    if target == "-":
        context.terminal.line(dumps(data))
    elif target:
        _path(context, target).write_text(dumps(data) + "\n", encoding="utf-8")
    if context.arguments.html:
        from helios.bench.page import page

        _path(context, context.arguments.html).write_text(page(data), encoding="utf-8")
        _line(context, f"report:      {context.arguments.html}")


def _load() -> str:
    from helios.bench.machine import load_average

    return load_average()


def _lines(context: Context, lines: Iterable[str]) -> None:
    for line in lines:
        _line(context, line)


def _line(context: Context, line: str) -> None:
    """A line of the table, unless standard output is for JSON."""
    if context.arguments.json == "-":
        return
    if context.terminal.error_is_terminal:
        sys.stderr.write(CLEAR_LINE)
    context.terminal.line(line)
    context.terminal.flush()


class _Progress:
    """What is being done, in one line of a terminal; nowhere else.

    It is drawn when something is said, never from a thread, which would disturb what is measured.
    """

    def __init__(self) -> None:
        self._figure = ""

    def __call__(self, text: str) -> None:
        if not text.startswith(" "):
            self._figure = text
        shown = text if not text.startswith(" ") else f"{self._figure}:{text[1:]}"
        sys.stderr.write(f"{CLEAR_LINE}{shown}"[: 100 + len(CLEAR_LINE)])
        if text.startswith("deleting"):
            sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()


def _quiet(text: str) -> None:
    del text


def _progress(context: Context) -> Callable[[str], None]:
    shown = context.terminal.error_is_terminal and not context.quiet
    return _Progress() if shown else _quiet


def _stop_on_termination() -> None:
    """SIGTERM ends a run as Ctrl-C does: what was made is deleted."""
    import signal

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
