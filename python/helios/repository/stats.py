"""Figures of a repository, for people and for Prometheus.

Counters live in a file that all processes of a repository share; sizes are looked up. What each
figure means is in `docs/ARCHITECTURE.md`; the model behind `io_reduction_percent` is in
`docs/BENCHMARKS.md`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios._core import Engine
    from helios.store import Store

    Figures = dict[str, int | float | None]

FORMS = ("raw", "zstd", "splice", "chunks")


def collect(engine: Engine, store: Store | None) -> dict[str, Figures]:
    """All figures, by part: `l1`, `engine`, `journal`, `l2`, `objects`.

    Latencies are in microseconds and None before the first commit; sizes are in bytes.
    """
    counters = engine.counters()
    journal_bytes, journal_objects = engine.journal_size()
    written = (
        counters["journal_bytes_written"]
        + counters["l2_bytes_written"]
        + counters["worktree_index_bytes_written"]
    )
    modelled = counters["git_bytes_modelled"]
    stored = store.counts() if store is not None else None
    return {
        "l1": {
            "hits": counters["l1_hits"],
            "misses": counters["l1_misses"],
            "evictions": counters["l1_evictions"],
            "size": counters["l1_size"],
            "items": counters["l1_items"],
        },
        "engine": {
            "commits": counters["commits"],
            "commit_latency_us_p50": engine.commit_latency_us(0.50),
            "commit_latency_us_p95": engine.commit_latency_us(0.95),
            "commit_latency_us_p99": engine.commit_latency_us(0.99),
            "new_objects": counters["new_objects"],
            "new_bytes": counters["new_bytes"],
            "branch_conflicts": counters["branch_conflicts"],
            "bytes_written": written,
            "git_bytes_modelled": modelled,
            "io_reduction_percent": 100.0 * (1.0 - written / modelled) if modelled else None,
        },
        "journal": {
            "size": journal_bytes,
            "objects": journal_objects,
            "bytes_written": counters["journal_bytes_written"],
            "damaged_stretches": len(engine.journal_damage()),
        },
        "l2": {
            "size": stored.disk_bytes if stored else 0,
            "objects": stored.objects if stored else 0,
            "record_bytes": stored.record_bytes if stored else 0,
            "bytes_written": counters["l2_bytes_written"],
        },
        # How many objects commits have written in each stored form; of those that commits wrote
        # twice, L2 keeps one.
        "objects": {form: counters[f"objects_{form}"] for form in FORMS},
    }


def prometheus(engine: Engine, store: Store | None) -> str:
    """The figures in Prometheus' text exposition format, version 0.0.4."""
    gauges = {"l1_size", "l1_items"}
    lines = []
    described = engine.counter_help()
    for label, value in engine.counters().items():
        gauge = label in gauges
        name = f"helios_{label}" if gauge else f"helios_{label}_total"
        lines += [
            f"# HELP {name} {described[label]}",
            f"# TYPE {name} {'gauge' if gauge else 'counter'}",
            f"{name} {value}",
        ]
    figures = collect(engine, store)
    for part, figure, described_as in (
        ("journal", "size", "Bytes in the journal."),
        ("journal", "objects", "Objects in the journal."),
        ("journal", "damaged_stretches", "Stretches of the journal that cannot be read."),
        ("l2", "size", "Bytes of the L2 store on disk."),
        ("l2", "objects", "Objects in the L2 store."),
        ("engine", "io_reduction_percent", "Bytes saved against git, in percent."),
    ):
        value_or_none = figures[part][figure]
        if value_or_none is not None:
            name = f"helios_{part}_{figure}"
            lines += [f"# HELP {name} {described_as}", f"# TYPE {name} gauge"]
            lines.append(f"{name} {value_or_none}")
    name = "helios_commit_latency_microseconds"
    lines += [f"# HELP {name} Commit latency.", f"# TYPE {name} summary"]
    for quantile in (0.5, 0.95, 0.99):
        latency = engine.commit_latency_us(quantile)
        if latency is not None:
            lines.append(f'{name}{{quantile="{quantile}"}} {latency}')
    lines.append(f"{name}_count {engine.counters()['commits']}")
    return "\n".join(lines) + "\n"
