"""An agent that commits for long: what gc leaves of its history, beside `git gc`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from helios.bench.committer import committer, maintain, root_of
from helios.bench.companion import companion
from helios.bench.corpus import Edits
from helios.bench.figure import GIT, Figure, Limit, Measured
from helios.bench.stream import write_stream
from helios.bench.workbench import Workbench
from helios.repository.gc import Collected

POLICY = """\
[retention]
keep-last = {kept}
grace = "0s"
undo = "0s"
"""
SAMPLE_S = 0.02


@dataclass(frozen=True)
class Soaked:
    """What gc did, and the most that the repository took on disk meanwhile."""

    done: Collected
    peak_bytes: int
    after_bytes: int


def size_of(directory: Path) -> int:
    """The bytes of all files below a directory, as `du -b` counts them."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                # RocksDB replaces its files meanwhile.
                continue
    return total


def helios(bench: Workbench) -> Soaked:
    """Commits edits of a line, and collects all but the last of them."""

    def measure() -> Soaked:
        sizes = bench.sizes
        worker = committer(bench, "soak", bench.corpus.contents)
        repository = worker.repository
        worker.run(sizes.soak_commits)
        maintain(bench, repository)
        directory = root_of(repository) / ".helios"
        (directory / "config").write_text(POLICY.format(kept=sizes.soak_kept))
        peak = 0

        def sample(stop: Event) -> None:
            nonlocal peak
            while not stop.wait(SAMPLE_S):
                peak = max(peak, size_of(directory))

        with companion(sample):
            collected = repository.gc()
        bench.record("snapshots after gc", str(len(list(repository.log("main")))))
        return Soaked(collected, peak, size_of(directory))

    return bench.once("soak", measure)


def git(bench: Workbench) -> int:
    """Bytes of a bare repository with the history that is kept, after `git gc`."""
    sizes, programs = bench.sizes, bench.programs
    contents = dict(bench.corpus.contents)
    edits = Edits(f"{bench.seed} soak", contents)
    for _ in range(sizes.soak_commits - sizes.soak_kept + 1):
        path, content = next(edits)
        contents[path] = content
    kept = [dict([next(edits)]) for _ in range(sizes.soak_kept - 1)]
    root = bench.fresh("soak-git")
    root.mkdir()
    programs.run(programs.git("init", "-q", "--bare"), root)
    load = programs.git("-c", "fastimport.unpackLimit=1", "fast-import", "--quiet")
    stream = write_stream(bench.fresh("soak.stream"), [contents, *kept])
    programs.run(load, root, stream)
    programs.run(programs.git("gc", "-q"), root)
    return size_of(root)


def at_the_end(bench: Workbench) -> Measured:
    """Size of the repository after gc, beside git's of the same kept history."""
    soaked = helios(bench)
    of_git = git(bench)
    done = soaked.done
    return Measured(
        soaked.after_bytes,
        {GIT: of_git},
        (
            (
                f"{bench.sizes.soak_commits:,} commits, of which {done.kept_snapshots:,} are kept: "
                f"{soaked.after_bytes / of_git:.2f} x git gc of the same history"
            ),
            (
                f"before gc {done.bytes_before:,} B, at most {soaked.peak_bytes:,} B meanwhile "
                f"({soaked.peak_bytes / done.bytes_before:.2f} x)"
            ),
        ),
    )


def speed(bench: Workbench) -> Measured:
    """Time of that gc."""
    done = helios(bench).done
    objects = done.objects + done.kept_objects
    return Measured(
        done.elapsed_s,
        {},
        (
            (
                f"{done.snapshots + done.kept_snapshots:,} snapshots, {objects:,} objects: "
                f"{objects / done.elapsed_s:,.0f} objects/s; "
                f"{done.snapshots:,} snapshots and {done.objects:,} objects deleted"
            ),
        ),
    )


FIGURES = (
    Figure("gc soak: size of the kept history", "B", at_the_end, Limit(1.5, GIT)),
    Figure("gc of a long history", "s", speed),
)
