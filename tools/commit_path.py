#!/usr/bin/env python3
"""Where the time of a small commit goes, in nanoseconds: `make commit-path`.

Commits one edit after the other to the tree of 10,000 files of the benchmark, under `perf`, which
looks 2,500 times a second where the process is (more often would slow it), and prints the shares of
the mean latency. What is compiled into one function counts for that function. Run it on a quiet
machine.

Needs Linux and `perf` (`apt-get install linux-perf`). Exit code 0; 3 if perf fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter_ns, sleep

from helios import Repository
from helios.bench.corpus import Corpus, Edits

FILES, DIRECTORIES = 10_000, 100
WARM_UP, COMMITS = 2_000, 100_000
SAMPLES_PER_S = 2_500
TAKEN_AT = 0.5
"""Seconds that perf has to begin."""

SYSTEM_CALLS = "system calls: lock, read and write of the journal"
# The first that fits decides: object file, symbol, stage.
STAGES = (
    ("", r"blake3", "hashing (BLAKE3)"),
    ("", r"crc32", "checksum of the frame and of the ledger"),
    ("kernel", r"", SYSTEM_CALLS),
    ("", r"pread|pwrite|flock|getpid|write_all", SYSTEM_CALLS),
    ("_core", r"mi_|alloc::|rawvec|arc", "memory"),
    ("_core", r"journal", "journal: what is where"),
    ("_core", r"cache|lru::", "L1"),
    ("_core", r"splice|record", "stored forms"),
    ("_core", r"tree|vst", "tree nodes: find, edit, encode"),
    ("_core", r"hashbrown|hash", "tables"),
    ("_core", r"", "binding, and the rest of the core"),
    ("libc", r"mem(move|cmp|set|cpy|chr)", "copying and comparing bytes"),
    ("libc", r"malloc|free|chunk", "memory"),
    ("libpython|python", r"", "Python: the call, its arguments, the result"),
    ("", r"", "others"),
)


def stage_of(binary: str, symbol: str) -> str:
    """The stage that a function belongs to."""
    return next(
        stage
        for file, pattern, stage in STAGES
        if re.search(file, binary) and re.search(pattern, symbol, re.IGNORECASE)
    )


def recorded(directory: Path) -> tuple[float, Path]:
    """Nanoseconds per commit, and what perf has seen meanwhile."""
    corpus = Corpus("1", FILES, DIRECTORIES)
    with Repository.init(directory / "tree", author="bench") as repository:
        vst = repository.vst("main")
        for path, content in corpus.contents.items():
            vst.write(path, content)
        vst.commit("base")
        repository.maintenance()
        edits = Edits("commit path", dict(corpus.contents))
        for _ in range(WARM_UP):
            vst.write(*next(edits))
            vst.commit("edit")
        # Made before, so that their making is not among the samples.
        ahead = [next(edits) for _ in range(COMMITS)]
        seen = directory / "perf.data"
        command = ["perf", "record", "-q", "-F", str(SAMPLES_PER_S), "-t", str(os.getpid())]
        perf = subprocess.Popen([*command, "-o", str(seen)])
        sleep(TAKEN_AT)
        start = perf_counter_ns()
        for path, content in ahead:
            vst.write(path, content)
            vst.commit("edit")
        elapsed = perf_counter_ns() - start
        perf.send_signal(signal.SIGINT)
        perf.wait()
        return elapsed / COMMITS, seen


def shares(seen: Path) -> Counter[str]:
    """Samples by stage."""
    command = ["perf", "report", "-i", str(seen), "--stdio", "--no-children", "-g", "none"]
    command += ["--sort", "dso,symbol", "--field-separator", "\t", "-F", "sample,dso,symbol"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: Counter[str] = Counter()
    for line in report.splitlines():
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) >= 3 and fields[0].isdigit():
            found[stage_of(fields[1], fields[2])] += int(fields[0])
    return found


def main() -> int:
    """Prints the table."""
    with tempfile.TemporaryDirectory(prefix="helios-commit-path-") as directory:
        try:
            mean_ns, seen = recorded(Path(directory))
            found = shares(seen)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"perf: {error}", file=sys.stderr)
            return 3
    total = sum(found.values())
    if not total:
        print("perf: it has taken no samples", file=sys.stderr)
        return 3
    print(f"one commit: {mean_ns:,.0f} ns (mean of {COMMITS:,}; {total:,} samples)")
    for stage, count in found.most_common():
        print(f"  {mean_ns * count / total:7,.0f} ns  {count / total:6.1%}  {stage}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
