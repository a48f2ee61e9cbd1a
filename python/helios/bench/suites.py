"""The suites: which figures there are, by what they are about."""

from __future__ import annotations

from helios.bench import (
    agents,
    commands,
    commits,
    durability,
    interchange,
    memory,
    merges,
    processes,
    replay,
    scale,
    sidebyside,
    soak,
    storage,
    sustained,
    trees,
    verify,
    volume,
)
from helios.bench.figure import Figure
from helios.bench.workbench import Sizes
from helios.errors import Usage

SUITES: dict[str, tuple[Figure, ...]] = {
    "commit": (
        *commits.FIGURES,
        *durability.ONE_WRITER,
        *scale.COMMITS,
        sidebyside.FIGURES["commit"],
        *commands.COMMITS,
        *sustained.FIGURES,
    ),
    "branch": (
        *scale.FORKS,
        sidebyside.FIGURES["branch"],
        *commands.BRANCHES,
        *trees.SCALING,
    ),
    "restore": trees.RESTORES,
    "diff": (*trees.DIFFS, sidebyside.FIGURES["diff"]),
    "merge": merges.FIGURES,
    "status": commands.STATUSES,
    "materialize": commands.MATERIALIZED,
    "read": (*scale.READS, sidebyside.FIGURES["read"]),
    "concurrency": (*processes.FIGURES, *durability.EIGHT_WRITERS),
    "memory": memory.FIGURES,
    "storage": (*volume.FIGURES, *storage.FIGURES, *verify.FIGURES),
    "gc": soak.FIGURES,
    "git": interchange.FIGURES,
    "agents": agents.FIGURES,
}
REPLAY = "replay"
"""Measured where a repository is given to replay."""

DISK_BYTES = {
    "commit": 2 << 30,
    "branch": 3 << 30,
    "restore": 2 << 30,
    "diff": 3 << 30,
    "merge": 1 << 30,
    "status": 1 << 30,
    "materialize": 1 << 30,
    "storage": 4 << 30,
    "gc": 1 << 30,
}
"""What a suite takes at full size, generously: 4 KiB a small file, and repositories beside."""
DISK_BYTES_OTHERS = 1 << 29


def chosen(words: list[str], replayed: bool) -> dict[str, tuple[Figure, ...]]:
    """The suites, or figures by a part of their name; all if there are no words.

    Raises `Usage` for a word that is neither.
    """
    known = SUITES | ({REPLAY: replay.FIGURES} if replayed else {})
    if not words:
        return {REPLAY: known[REPLAY]} if replayed else known
    found: dict[str, tuple[Figure, ...]] = {}
    for word in words:
        if word in known:
            found[word] = known[word]
            continue
        named = {
            suite: tuple(each for each in figures if word in each.name)
            for suite, figures in known.items()
        }
        if not any(named.values()):
            raise Usage(f"no suite is called {word!r}, and no figure; `--list` names them")
        for suite, figures in named.items():
            if figures:
                had = found.get(suite, ())
                found[suite] = (*had, *(each for each in figures if each not in had))
    return found


def disk_bytes(suites: dict[str, tuple[Figure, ...]], sizes: Sizes) -> int:
    """About what the suites write, which is kept until the end."""
    whole = Sizes()
    share = min(1.0, sizes.many_files / whole.many_files)
    share = max(share, sizes.files / whole.files)
    wanted = sum(DISK_BYTES.get(suite, DISK_BYTES_OTHERS) for suite in suites)
    return int(wanted * share)
