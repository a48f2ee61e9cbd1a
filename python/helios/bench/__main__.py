"""`python -m helios.bench`: measures all figures and prints them.

Exit code 0; 1 if a figure is not what it must be, or measuring it failed; 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from helios.bench import (
    commands,
    commits,
    durability,
    merges,
    processes,
    report,
    scale,
    soak,
    verify,
    volume,
)
from helios.bench.figure import Figure, Measured, Result, Unmeasurable
from helios.bench.machine import load_average
from helios.bench.workbench import QUICK, Sizes, Workbench
from helios.errors import HeliosError

SEED = 1
FIGURES: tuple[Figure, ...] = (
    *commits.FIGURES,
    *durability.FIGURES,
    *processes.FIGURES,
    *volume.FIGURES,
    *scale.FIGURES,
    *verify.FIGURES,
    *soak.FIGURES,
    *merges.FIGURES,
    *commands.FIGURES,
)


def arguments_of(given: list[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m helios.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smoke size: says nothing about speed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    parser.add_argument(
        "--only",
        action="append",
        metavar="TEXT",
        help="only figures whose name contains this; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="name the figures, measure nothing")
    parser.add_argument(
        "--dir", type=Path, help="work below this directory (default: the system's for temporary)"
    )
    parser.add_argument("--keep", action="store_true", help="do not delete what was made")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}")
    parser.add_argument("--floor", type=Path, metavar="PROGRAM", help="the built floor program")
    return parser.parse_args(given)


def measure(figure: Figure, bench: Workbench) -> Result:
    """The figure's result, whatever happens."""
    bench.say(f"measuring: {figure.name}")
    if hasattr(os, "sync"):
        # What earlier figures have left to be written back is not this one's.
        os.sync()
    start = perf_counter()
    measured: Measured | None = None
    unknown = failure = ""
    try:
        measured = figure.measure(bench)
    except Unmeasurable as reason:
        unknown = str(reason)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        failure = f"{error}: {said[-500:]}"
    except (HeliosError, OSError, AssertionError) as error:
        failure = f"{type(error).__name__}: {error}"
    return Result(figure, measured, perf_counter() - start, unknown, failure)


def run(bench: Workbench, figures: list[Figure], json_file: Path | None) -> int:
    """Measures and prints; the exit code."""
    load_before = load_average()
    for line in report.lines_of_header(bench, load_before):
        print(line)
    results = []
    for figure in figures:
        results.append(measure(figure, bench))
        for line in report.lines_of(results[-1]):
            print(line, flush=True)
    for line in report.lines_of_end(bench, results):
        print(line)
    if json_file is not None:
        data = report.as_data(bench, load_before, results)
        json_file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0 if all(result.passed for result in results) else 1


def main(given: list[str]) -> int:
    """Runs the benchmark."""
    arguments = arguments_of(given)
    wanted = arguments.only or [""]
    figures = [each for each in FIGURES if any(text in each.name for text in wanted)]
    if not figures:
        print(f"no figure is called {' or '.join(wanted)}; `--list` names them", file=sys.stderr)
        return 2
    if arguments.list:
        print(*(figure.name for figure in figures), sep="\n")
        return 0
    directory = Path(tempfile.mkdtemp(prefix="helios-bench-", dir=arguments.dir))
    floor = None if arguments.floor is None else arguments.floor.resolve()
    bench = Workbench(QUICK if arguments.quick else Sizes(), arguments.seed, directory, floor)
    try:
        return run(bench, figures, arguments.json)
    finally:
        bench.close()
        if not arguments.keep:
            bench.say("deleting what was made")
            shutil.rmtree(directory)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
