"""One of several processes that commit to the same repository side by side.

`python -m helios.bench.writer ROOT BRANCH COUNT DURABILITY`: opens the repository, makes its edits,
commits some of them, so that what they need is in memory, says `ready`, waits for a line and
commits the others. Then it prints, in nanoseconds, when it began and when each batch ended by the
system's monotonic clock, and in a second line the latency of each commit.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from itertools import islice
from time import monotonic_ns

from helios import Repository
from helios.bench.committer import Committer, Durability
from helios.bench.corpus import Edits, Writer
from helios.bench.writers import BATCH

FILES = 50
"""How many of the files are edited."""
WARM_UP = 200
"""Commits that do not count."""


def main(arguments: list[str]) -> int:
    """Runs the writer."""
    root, branch, count = arguments[:3]
    durability: Durability = "disk" if arguments[3] == "disk" else "process"
    with Repository.open(root, durability=durability, author="bench") as repository:
        vst = repository.vst(branch)
        paths = vst.walk()
        contents = {path: vst.read(path) for path in paths[:: max(1, len(paths) // FILES)]}
        # One of few writers makes more commits than one of many: its files must not grow by them.
        edits = list(islice(Edits(branch, contents, Writer.with_other_line), WARM_UP + int(count)))
        worker = Committer(repository, vst, iter(edits))
        worker.run(WARM_UP)
        print("ready", flush=True)
        sys.stdin.readline()
        times = [monotonic_ns()]
        latencies: list[int] = []
        while len(latencies) < int(count):
            latencies += worker.run(min(BATCH, int(count) - len(latencies)))
            times.append(monotonic_ns())
        print(*times)
        print(*latencies, flush=True)
    # Maintenance that it started is this process' work too, and not another's that disturbs.
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
