"""The go/no-go gates of phase 0: what must hold, on this machine, before anything is built on it.

A gate is `go` only if the whole 95% confidence interval is on the right side of its target. It is
`no-go` if what was measured is beyond the no-go bound, and `short` in between. What could not be
measured is `unknown`, and what was measured while the machine was too noisy is `refused`, after
three attempts: such a run is not `go`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter_ns

from helios import Repository
from helios.bench import commits
from helios.bench.chart import Chart
from helios.bench.committer import TIME_US, Committer, committer, maintain, on_corpus
from helios.bench.corpus import Edits, Writer, tiny_files
from helios.bench.evidence import Evidence, checkout, evidence
from helios.bench.figure import GIT, HELIOS, Figure, Measured, Result, Unmeasurable
from helios.bench.inference import Interval, analyse, available, ratio_of, slope_of
from helios.bench.latencies import NS_PER_US, Series, statistic_of
from helios.bench.peers.git import Git
from helios.bench.run import measure
from helios.bench.workbench import Workbench
from helios.bench.written import counted

ATTEMPTS = 3
BRANCHED_SIZES = (100, 1_000, 10_000, 100_000)
PUT_BYTES = 4 << 10
US_PER_MS = 1000.0
NS_PER_MS = 1e6


class Word(Enum):
    """What is said of a gate."""

    GO = "go"
    SHORT = "short"
    NO_GO = "no-go"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True)
class Judged:
    """A gate with what came out."""

    name: str
    target: str
    measured: str
    word: Word
    notes: tuple[str, ...] = ()
    result: Result | None = None
    """Where something was measured."""


@dataclass(frozen=True)
class Below:
    """A figure whose upper end of the interval must be below `target`."""

    target: float
    no_go: float

    def word(self, value: float, interval: Interval) -> Word:
        """What is said of a value and its interval."""
        if interval.high < self.target:
            return Word.GO
        return Word.NO_GO if value >= self.no_go else Word.SHORT


@dataclass(frozen=True)
class Above:
    """A figure whose lower end of the interval must be above `target`."""

    target: float
    no_go: float

    def word(self, value: float, interval: Interval) -> Word:
        """What is said of a value and its interval."""
        if interval.low > self.target:
            return Word.GO
        return Word.NO_GO if value <= self.no_go else Word.SHORT


@dataclass(frozen=True)
class Gate:
    """One row of the table."""

    name: str
    target: str
    judge: Callable[[Gate, Workbench], Judged]

    def judged(
        self, measured: str, word: Word, *notes: str, result: Result | None = None
    ) -> Judged:
        """The gate with what came out."""
        return Judged(self.name, self.target, measured, word, notes, result)


# What is timed or counted


def timed(figure: Figure, bound: Below, gate: Gate, bench: Workbench) -> Judged:
    """A figure whose interval is judged."""
    result, notes = _quietly(figure, bench)
    measured = result.measured
    if measured is None or result.analysis is None:
        said = result.unknown or result.failure
        return gate.judged("-", Word.UNKNOWN, said, result=result)
    interval = result.analysis.intervals.get(HELIOS)
    shown = f"{measured.value:.3g} {figure.unit}"
    if interval is None:
        return gate.judged(shown, Word.UNKNOWN, *notes, _no_interval(), result=result)
    shown += f" ({interval.low:.3g} to {interval.high:.3g})"
    if result.refusal:
        return gate.judged(shown, Word.REFUSED, *notes, result.refusal, result=result)
    return gate.judged(shown, bound.word(measured.value, interval), *notes, result=result)


def _quietly(figure: Figure, bench: Workbench) -> tuple[Result, tuple[str, ...]]:
    """Measures again while the machine is too noisy, and says so.

    What came out is not looked at before.
    """
    result = measure(figure, bench)
    tries = 1
    while result.refusal and tries < ATTEMPTS:
        bench.say(f"  again, the machine was too noisy: {result.refusal}")
        result = measure(figure, bench)
        tries += 1
    notes = result.measured.notes if result.measured else ()
    if tries > 1:
        notes = (*notes, f"measured {tries} times, because the machine was noisy; the last counts")
    return result, notes


def _no_interval() -> str:
    return f"without a confidence interval there is no verdict: {available() or 'too few samples'}"


def io_reduction(gate: Gate, bench: Workbench) -> Judged:
    """Bytes handed to write(2) for the same edits, maintenance included, against git's."""
    try:
        helios, git = _written(bench)
    except (Unmeasurable, OSError) as reason:
        return gate.judged("-", Word.UNKNOWN, str(reason))
    ratio = ratio_of(helios, git, "mean", bench.seed)
    reduction = 100 * (1 - ratio.value)
    shown = f"{reduction:.3f}%"
    of_helios, of_git = (statistic_of(series, "mean") for series in (helios, git))
    said = f"bytes per commit: helios {of_helios:,.0f} with maintenance"
    notes = (f"{said}, git add -A && git commit {of_git:,.0f}",)
    chart = Chart(
        "Bytes written per commit",
        "",
        "B",
        {
            HELIOS: [(0.0, of_helios)],
            GIT: [(0.0, of_git)],
        },
        kind="bars",
        log_y=True,
    )
    figure = Figure(gate.name, "B", lambda _: measured)
    measured = Measured.of("mean", {HELIOS: helios, GIT: git}, notes, (chart,))
    result = Result(figure, measured, 0.0, analysis=analyse(measured, bench.seed))
    if ratio.interval is None:
        return gate.judged(shown, Word.UNKNOWN, *notes, _no_interval(), result=result)
    interval = Interval(100 * (1 - ratio.interval.high), 100 * (1 - ratio.interval.low))
    shown += f" ({interval.low:.3f} to {interval.high:.3f})"
    return gate.judged(shown, Above(99, 90).word(reduction, interval), *notes, result=result)


def _written(bench: Workbench) -> tuple[Series, Series]:
    """Bytes of each commit: of Helios the mean of a batch and its maintenance, of git each one."""
    worker = committer(bench, "gate volume", bench.corpus.contents)
    batch = max(1, bench.sizes.steady_commits // 10)
    helios = []
    for _ in range(10):
        with counted() as written:
            worker.run(batch)
            maintain(bench, worker.repository)
        helios.append(written.asked / batch)
    git = Git(bench)
    git.load(bench.corpus.contents)
    edits = Edits(f"{bench.seed} gate git", bench.corpus.contents)
    of_git = []
    for _ in range(max(5, bench.sizes.git_commits)):
        changes = dict([next(edits)])
        git.prepare(changes)
        with counted() as written:
            git.commit(changes)
        of_git.append(written.asked)
    return [helios], [of_git]


def put(bench: Workbench) -> Measured:
    """Storing a new content of 4 KiB so that it can be asked for: a write and its commit."""
    worker = on_corpus(bench)
    writer = Writer(f"{bench.seed} put")
    repository = worker.repository
    vst = repository.vst("main").fork(f"put-{len(repository.branches())}")
    samples = []
    for number in range(bench.sizes.commits):
        content = writer.text(PUT_BYTES)
        start = perf_counter_ns()
        vst.write("put", content)
        vst.commit("put", time_us=TIME_US + number)
        samples.append((perf_counter_ns() - start) / NS_PER_MS)
    return Measured.of("p95", {HELIOS: [samples]})


def get(bench: Workbench) -> Measured:
    """Reading a content by its id from L2, with nothing in the cache, and verifying it."""
    worker = on_corpus(bench)
    maintain(bench, worker.repository)
    chance = random.Random(f"{bench.seed} get")  # noqa: S311
    with Repository.open(worker.root, cache_bytes=0) as repository:
        vst = repository.vst("main")
        paths = chance.sample(vst.walk(), min(bench.sizes.reads, len(bench.corpus)))
        samples = []
        for path in paths:
            start = perf_counter_ns()
            content = vst.read(path)
            samples.append((perf_counter_ns() - start) / NS_PER_MS)
            if not content:
                raise AssertionError(f"{path} is empty")
    return Measured.of("p95", {HELIOS: [samples]})


def fork(bench: Workbench) -> Measured:
    """A fork of the corpus, each by itself; reading the clock is in it."""
    vst = on_corpus(bench).vst
    samples = []
    for _ in range(bench.sizes.forks):
        start = perf_counter_ns()
        vst.fork()
        samples.append((perf_counter_ns() - start) / NS_PER_US)
    return Measured.of("p95", {HELIOS: [samples]})


def branch_growth(gate: Gate, bench: Workbench) -> Judged:
    """What a branch costs in trees of 100 to 100,000 files: the slope of medians over tenfolds.

    The slope must not be above 0, and the interval must be narrow enough to say so: its upper end
    must stay below a doubling over all sizes.
    """
    workers: dict[int, Committer] = {}
    for files in (size for size in BRANCHED_SIZES if size <= bench.sizes.sizes_max):
        bench.say(f"  building {files} files")
        workers[files] = committer(bench, f"gate {files}", tiny_files(files))
    taken: dict[int, list[float]] = {}
    numbers = count()
    chance = random.Random(f"{bench.seed} branches")  # noqa: S311
    order = list(workers)

    def grow(_bench: Workbench) -> Measured:
        taken.update({files: [] for files in workers})
        for _ in range(bench.sizes.gate_branches):
            chance.shuffle(order)
            for files in order:
                name = f"gate-{next(numbers)}"
                repository = workers[files].repository
                start = perf_counter_ns()
                repository.create_branch(name, "main")
                taken[files].append((perf_counter_ns() - start) / NS_PER_US)
        largest, *others = sorted(taken, reverse=True)
        samples: dict[str, Series] = {HELIOS: [taken[largest]]}
        samples |= {f"{files} files": [taken[files]] for files in others}
        lines = {
            name: [(float(files), statistic_of([taken[files]], name)) for files in sorted(taken)]
            for name in ("p50", "p95")
        }
        chart = Chart("Creating a branch against tree size", "files", "us", lines, log_x=True)
        return Measured.of("p50", samples, charts=(chart,))

    result, notes = _quietly(Figure(gate.name, "us", grow), bench)
    if result.measured is None:
        return gate.judged("-", Word.UNKNOWN, result.unknown or result.failure, result=result)
    medians = ", ".join(
        f"{files:,} files {statistic_of([samples], 'p50'):.1f}"
        for files, samples in sorted(taken.items())
    )
    notes = (f"medians in us: {medians}", *notes)
    by_size = {_tenfolds(files): [samples] for files, samples in sorted(taken.items())}
    try:
        slope, interval = slope_of(by_size, bench.seed)
    except Unmeasurable as reason:
        return gate.judged("-", Word.UNKNOWN, *notes, str(reason), result=result)
    shown = f"{slope:+.3f} us a tenfold ({interval.low:+.3f} to {interval.high:+.3f})"
    if result.refusal:
        return gate.judged(shown, Word.REFUSED, *notes, result.refusal, result=result)
    at_least, at_most = (statistic_of([taken[size]], "p50") for size in (min(taken), max(taken)))
    growth_max = interval.high * (_tenfolds(max(taken)) - _tenfolds(min(taken)))
    if interval.low <= 0 and growth_max < at_least:
        word = Word.GO
    else:
        word = Word.NO_GO if at_most > 2 * at_least else Word.SHORT
    return gate.judged(shown, word, *notes, result=result)


def _tenfolds(files: int) -> float:
    return len(str(files)) - 1.0


# What others have checked


def licences(gate: Gate, root: Path | None) -> Judged:
    """The last `make licenses`."""
    try:
        found = evidence(root, "licenses", "make licenses")
    except Unmeasurable as reason:
        return gate.judged("-", Word.UNKNOWN, str(reason))
    counts = found.data.get("verdicts", {})
    denied, packages = counts.get("denied"), found.data.get("packages")
    shown = f"{packages} packages, {denied} denied"
    good = found.status == "pass" and denied == 0
    notes = () if good else (str(found.data.get("reason", "")),)
    return gate.judged(shown, Word.GO if good else Word.NO_GO, *notes, found.when)


def coverage(gate: Gate, root: Path | None) -> Judged:
    """The last `make cover`."""
    try:
        found = evidence(root, "coverage", "make cover")
        percents = [float(found.data[f"{name}_percent"]) for name in ("python", "rust")]
    except (Unmeasurable, KeyError, TypeError, ValueError) as reason:
        return gate.judged("-", Word.UNKNOWN, str(reason))
    shown = f"Python {percents[0]:.1f}%, Rust {percents[1]:.1f}%"
    word = Word.GO if min(percents) >= 85 and found.status == "pass" else Word.NO_GO
    return gate.judged(shown, word, found.when)


def vulnerabilities(gate: Gate, root: Path | None) -> Judged:
    """The last `make audit`. One without a rating counts as critical: nobody knows better."""
    try:
        found = evidence(root, "audit", "make audit")
        critical = sum(_critical(found, ecosystem) for ecosystem in ("python", "rust"))
    except (Unmeasurable, KeyError, TypeError, AttributeError) as reason:
        return gate.judged("-", Word.UNKNOWN, str(reason))
    word = Word.GO if critical == 0 else Word.NO_GO
    return gate.judged(f"{critical} critical or unrated", word, found.when)


def _critical(found: Evidence, ecosystem: str) -> int:
    severities = found.data[ecosystem]["severities"]
    return int(severities.get("critical", 0)) + int(severities.get("unrated", 0))


def gates(root: Path | None) -> tuple[Gate, ...]:
    """The gates in the order of the table. `root` is where `.compliance` is."""
    commit = replace(commits.ALONE, must=None, aim=None)
    return (
        Gate("commit p95", "< 70 us", partial(timed, commit, Below(70, 100))),
        Gate("I/O reduction against git", "> 99%", io_reduction),
        Gate(
            "content-addressed put p95",
            "< 1 ms",
            partial(timed, Figure("put p95", "ms", put), Below(1, 10)),
        ),
        Gate(
            "content-addressed get p95",
            "< 1 ms",
            partial(timed, Figure("get p95", "ms", get), Below(1, 10)),
        ),
        Gate("branch creation is O(1)", "slope is not above 0", branch_growth),
        Gate(
            "snapshot fork p95",
            "< 10 us",
            partial(timed, Figure("fork p95", "us", fork), Below(10, US_PER_MS)),
        ),
        Gate("licences", "all compatible, no AGPL", lambda gate, _: licences(gate, root)),
        Gate("coverage", ">= 85%", lambda gate, _: coverage(gate, root)),
        Gate("vulnerabilities", "no critical one", lambda gate, _: vulnerabilities(gate, root)),
    )


@dataclass
class Validation:
    """What has been judged so far."""

    judged: list[Judged]
    partial: str = ""

    @property
    def go(self) -> bool:
        """Whether all gates hold."""
        return not self.partial and all(each.word is Word.GO for each in self.judged)

    @property
    def verdict(self) -> str:
        """`go`, `no-go`, or why neither can be said."""
        if self.go:
            return "go"
        words = [each.word for each in self.judged]
        if Word.NO_GO in words:
            return "no-go"
        open_ones = [each.name for each in self.judged if each.word is not Word.GO]
        return f"not go: {self.partial or ', '.join(open_ones)}"


def validate(
    bench: Workbench, shown: Callable[[Judged], None], root: Path | None = None
) -> Validation:
    """Judges all gates. Ctrl-C ends it early, and then it is not `go`."""
    done = Validation([])
    wanted = gates(root or checkout())
    try:
        for number, gate in enumerate(wanted):
            bench.say(f"[{number + 1}/{len(wanted)}] {gate.name}")
            done.judged.append(gate.judge(gate, bench))
            shown(done.judged[-1])
    except KeyboardInterrupt:
        done.partial = f"interrupted after {len(done.judged)} of {len(wanted)} gates"
    return done
