"""A run: measures figures one after the other, and keeps what has been measured, come what may.

A run that is interrupted is partial, and says so wherever it is shown.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter, sleep

from helios.bench.figure import Figure, Measured, Result, Unmeasurable
from helios.bench.inference import analyse
from helios.bench.machine import load_average
from helios.bench.noise import Listening, Noise, worst
from helios.bench.suites import REPLAY, SUITES, chosen, disk_bytes
from helios.bench.workbench import SMOKE, Sizes, Workbench
from helios.errors import HeliosError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 1
COMPLETE = ""
LEAVING_S = 10.0
"""What commits have started has so long to notice that its repository is gone."""


@dataclass(frozen=True)
class Settings:
    """What a run is asked to do."""

    smoke: bool = False
    seed: int = SEED
    files: int | None = None
    changes: int | None = None
    seconds: float | None = None
    peers: Collection[str] | None = None
    replay: Path | None = None
    directory: Path | None = None
    floor: Path | None = None

    @property
    def sizes(self) -> Sizes:
        """How much work each figure does."""
        sizes = SMOKE if self.smoke else Sizes()
        if self.files is not None:
            directories = max(1, self.files // 100)
            sizes = replace(sizes, files=self.files, directories=directories)
        if self.changes is not None:
            sizes = replace(sizes, changes=self.changes)
        if self.seconds is not None:
            sizes = replace(sizes, seconds=self.seconds)
        return sizes


@dataclass
class Run:
    """What has been measured so far."""

    bench: Workbench
    load_before: str
    results: list[Result] = field(default_factory=list)
    partial: str = COMPLETE
    """Why the run ended before its time; empty if it did not."""
    unmeasured: list[str] = field(default_factory=list)
    """Figures that were not come to."""

    @property
    def noise(self) -> Noise | None:
        """The worst over all figures."""
        return worst(result.noise for result in self.results if result.noise is not None)

    @property
    def passed(self) -> bool:
        """Whether nothing is missed, nothing went wrong, and all was come to."""
        return not self.partial and all(result.passed for result in self.results)


@contextmanager
def workbench(
    settings: Settings, needed_bytes: int, say: Callable[[str], None]
) -> Iterator[Workbench]:
    """A workbench in a temporary directory, which is deleted at the end, whatever happens.

    Raises `StorageError` if the disk is too small, before anything is written.
    """
    directory = settings.directory or Path(tempfile.gettempdir())
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        raise StorageError(
            f"{directory} has {free >> 20:,} MiB free, and this takes up to "
            f"{needed_bytes >> 20:,} MiB; name another directory with --dir, or fewer suites"
        )
    place = Path(tempfile.mkdtemp(prefix="helios-benchmark-", dir=settings.directory))
    bench = Workbench(
        settings.sizes,
        settings.seed,
        place,
        settings.floor,
        settings.peers,
        settings.replay,
        say,
    )
    try:
        yield bench
    finally:
        try:
            bench.close()
        finally:
            say("deleting what was made")
            try:
                _remove(place)
            except KeyboardInterrupt:
                # Once more, then: only who insists leaves files behind.
                _remove(place)
                raise


def _remove(place: Path) -> None:
    """Deletes a directory in which maintenance and monitors that commits have started may still be
    writing: they end when they notice."""
    end = perf_counter() + LEAVING_S
    while True:
        shutil.rmtree(place, ignore_errors=True)
        if not place.exists() or perf_counter() >= end:
            return
        sleep(0.1)


def measure(figure: Figure, bench: Workbench, suite: str = "") -> Result:
    """The figure's result, whatever happens but an interruption."""
    if hasattr(os, "sync"):
        # What earlier figures have left to be written back is not this one's.
        os.sync()
    listening = Listening(bench.sizes.listened_s)
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
    seconds = perf_counter() - start
    noise = listening.end()
    analysis = None if measured is None else analyse(measured, bench.seed)
    return Result(figure, measured, seconds, unknown, failure, noise, analysis, suite)


def run(
    bench: Workbench,
    suites: dict[str, tuple[Figure, ...]],
    shown: Callable[[Result], None],
) -> Run:
    """Measures the figures of the suites, and shows each result. Ctrl-C ends it early."""
    done = Run(bench, load_average())
    wanted = [(suite, figure) for suite, figures in suites.items() for figure in figures]
    try:
        for number, (suite, figure) in enumerate(wanted):
            bench.say(f"[{number + 1}/{len(wanted)}] {figure.name}")
            done.results.append(measure(figure, bench, suite))
            shown(done.results[-1])
    except KeyboardInterrupt:
        done.partial = "interrupted"
        done.unmeasured = [figure.name for _, figure in wanted[len(done.results) :]]
    return done


def needed_bytes(settings: Settings, words: list[str]) -> int:
    """About what a run writes, which is kept until its end."""
    return disk_bytes(chosen(words, settings.replay is not None), settings.sizes)


def names(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Suite and name of each figure."""
    for suite, figures in chosen([*words] or [*SUITES, REPLAY], replayed=True).items():
        for figure in figures:
            yield suite, figure.name
