"""Figures: git repositories brought into Helios and out of it, beside stock git doing the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from helios.bench.commands import interleaved
from helios.bench.committer import committer
from helios.bench.corpus import Edits, Writer
from helios.bench.figure import GIT, HELIOS, Figure, Limit, Measured
from helios.bench.stream import commit_of, write_stream
from helios.bench.workbench import Workbench

MS = 1000.0
ALLOWANCE_MS = 100.0
ALLOWANCE = "100 ms"
START_S = 1_600_000_000
LINES = 8
SMALL_SHARE = 80
"""The small history has this part of the commits of the large one."""


def _history(bench: Workbench, commits: int) -> Path:
    """A bare repository, packed: each commit changes a line of two small files, four directories
    deep, so that its objects are many and small."""

    def make() -> Path:
        bench.say(f"  building {commits} commits")
        programs, root = bench.programs, bench.fresh("history.git")
        root.mkdir()
        programs.run(programs.git("init", "-q", "--bare"), root)
        writer = Writer(f"{bench.seed} history {commits}")
        count = bench.sizes.history_files
        paths = [f"{n % 8}/{n // 8 % 6}/{n // 48 % 4}/{n}.txt" for n in range(count)]
        lines = {path: [writer.line() for _ in range(LINES)] for path in paths}
        stream = root.parent / "stream"
        with open(stream, "xb") as file:
            for number in range(commits):
                changed = [writer.choice(paths) for _ in range(2)] if number else paths
                for path in changed:
                    lines[path] = [*lines[path][1:], writer.line()]
                files = {path: b"".join(lines[path]) for path in changed}
                file.write(commit_of(files, START_S + number))
        programs.run(programs.git("fast-import", "--quiet"), root, stream)
        programs.run(programs.git("repack", "-adq"), root)
        return root

    return bench.once(("history", commits), make)


def _imported(bench: Workbench, commits: int) -> Path:
    """The same history in Helios."""

    def make() -> Path:
        root = bench.fresh("imported")
        _import(bench, _history(bench, commits), root)
        return root

    return bench.once(("imported", commits), make)


def _served(bench: Workbench, commits: int) -> Path:
    """The same history as a mirror of git has it. What `repack` has made also has a bitmap, which
    would speed clones up by half, and which the view has no room for: a third of its map."""

    def make() -> Path:
        root = bench.fresh("served.git")
        _clone(bench, str(_history(bench, commits)), root)
        return root

    return bench.once(("served", commits), make)


def _import(bench: Workbench, source: Path, target: Path) -> float:
    command = bench.programs.helios_cli("git", "import", "-q", "--mirror", str(source), str(target))
    return bench.programs.seconds(command, target.parent)


def _clone(bench: Workbench, url: str, target: Path) -> float:
    """Not by links: what is cloned from the same machine is sent as to another one."""
    options = ("clone", "-q", "--mirror", "--no-local")
    return bench.programs.seconds(bench.programs.git(*options, url, str(target)), target.parent)


def _require_equal(bench: Workbench, *repositories: Path) -> None:
    """Raises `AssertionError` unless git has the same refs in all of these."""
    programs = bench.programs
    listing = programs.git("for-each-ref", "--format=%(objectname) %(refname)")
    found = {programs.run(listing, root) for root in repositories}
    if len(found) != 1 or b"refs/heads/main" not in found.pop():
        raise AssertionError("what was copied has other refs")


def imports(bench: Workbench) -> Measured:
    """`helios-cli git import --mirror` beside `git clone --mirror --no-local`."""
    source = _history(bench, bench.sizes.history_commits)
    made: dict[str, Path] = {}

    def fresh(name: str) -> Path:
        made[name] = bench.fresh(name)
        return made[name]

    works: dict[str, Callable[[], float]] = {
        HELIOS: lambda: _import(bench, source, fresh(HELIOS)),
        GIT: lambda: _clone(bench, str(source), fresh(GIT)),
    }
    samples = interleaved(bench.sizes.rounds, works)
    _require_equal(bench, source, made[GIT], made[HELIOS] / "git")
    bench.record("imported", bench.programs.run(["git", "rev-parse", "main"], source).decode())
    return Measured.of("p50", samples)


def clone(bench: Workbench, commits: int, count: int) -> Measured:
    """`git clone helios::` beside `git clone` of a bare repository, in ms."""
    source, imported = _served(bench, commits), _imported(bench, commits)
    urls = {HELIOS: f"helios::{imported}", GIT: str(source)}
    made: dict[str, Path] = {}

    def work(name: str) -> float:
        made[name] = bench.fresh(name)
        return _clone(bench, urls[name], made[name]) * MS

    samples = interleaved(count, {name: partial(work, name) for name in urls})
    _require_equal(bench, source, *made.values())
    return Measured.of("p50", samples)


def large_clone(bench: Workbench) -> Measured:
    """Of the whole history."""
    return clone(bench, bench.sizes.history_commits, bench.sizes.rounds)


def _small(bench: Workbench) -> int:
    return max(2, bench.sizes.history_commits // SMALL_SHARE)


def small_clone(bench: Workbench) -> Measured:
    """Of a short history: what counts is how fast the helper starts."""
    return clone(bench, _small(bench), bench.sizes.starts)


def fetch(bench: Workbench) -> Measured:
    """`git fetch` of nothing, beside the same from a bare repository."""
    commits = _small(bench)
    source, imported = _served(bench, commits), _imported(bench, commits)
    programs = bench.programs
    clones = {}
    for name, url in ((HELIOS, f"helios::{imported}"), (GIT, str(source))):
        clones[name] = bench.fresh(name)
        _clone(bench, url, clones[name])
    command = programs.git("fetch", "-q", "origin")
    works: dict[str, Callable[[], float]] = {
        HELIOS: lambda: programs.seconds(command, clones[HELIOS]) * MS,
        GIT: lambda: programs.seconds(command, clones[GIT]) * MS,
    }
    samples = interleaved(bench.sizes.starts, works)
    return Measured.of("p50", samples, references={ALLOWANCE: ALLOWANCE_MS})


def export(bench: Workbench) -> Measured:
    """`helios-cli git export` of snapshots born in Helios beside `git fast-import` of the same."""
    sizes, programs = bench.sizes, bench.programs
    contents = bench.corpus.contents
    built = committer(bench, "exported", contents)
    built.run(sizes.exported_commits)
    built.repository.close()
    edits = Edits(f"{bench.seed} exported", contents)
    commits = [contents, *(dict([next(edits)]) for _ in range(sizes.exported_commits))]
    stream = write_stream(bench.fresh("exported-stream"), commits)
    made: dict[str, Path] = {}

    def by_helios() -> float:
        # Each time for the first time: what is written to git once is kept.
        copy = bench.fresh("exported")
        shutil.copytree(built.root, copy)
        made[HELIOS] = copy.parent / "exported.git"
        command = programs.helios_cli("-C", str(copy), "git", "export", "-q", str(made[HELIOS]))
        return programs.seconds(command, copy.parent)

    def by_git() -> float:
        made[GIT] = bench.fresh("fast-import.git")
        made[GIT].mkdir()
        programs.run(programs.git("init", "-q", "--bare"), made[GIT])
        start = perf_counter()
        programs.run(programs.git("fast-import", "--quiet"), made[GIT], stream)
        return perf_counter() - start

    samples = interleaved(sizes.rounds, {HELIOS: by_helios, GIT: by_git})
    trees = {
        programs.run(programs.git("log", "--format=%T", "main"), root) for root in made.values()
    }
    if len(trees) != 1 or trees.pop().count(b"\n") != sizes.exported_commits + 1:
        raise AssertionError("the exported commits have other trees")
    return Measured.of("p50", samples)


def disk(bench: Workbench) -> Measured:
    """All files of an imported repository by the source's packs with their indexes, apparent
    sizes: `size-pack` of `git count-objects -v`."""
    commits = bench.sizes.history_commits
    source, imported = _history(bench, commits), _imported(bench, commits)
    packs = sum(
        path.stat().st_size
        for path in (source / "objects" / "pack").iterdir()
        if path.suffix in {".pack", ".idx"}
    )
    files = [path for path in imported.rglob("*") if path.is_file()]
    taken = sum(path.stat().st_size for path in files)
    rows = sum(path.stat().st_size for path in files if path.suffix == ".rows")
    listing = bench.programs.git("cat-file", "--batch-all-objects", "--batch-check")
    objects = bench.programs.run(listing, source).count(b"\n")
    said = f"{objects} objects of {packs / objects:.0f} bytes with their index; the map has "
    return Measured(taken / packs, notes=(f"{said}{rows / objects:.1f} bytes for each",))


FIGURES = (
    Figure("git import of 20,000 commits", "s", imports, Limit(2, GIT)),
    Figure("disk after git import, by the packs", "x", disk, Limit(1.25)),
    Figure("git clone of 20,000 commits", "ms", large_clone, Limit(1.5, GIT)),
    Figure("git clone of 250 commits", "ms", small_clone, Limit(1.5, GIT)),
    Figure("git fetch of nothing", "ms", fetch, Limit(1, GIT, ALLOWANCE)),
    Figure("git export of 1,000 commits", "s", export, Limit(1, GIT)),
)
