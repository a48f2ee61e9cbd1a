"""The machine that figures come from: without it they mean nothing."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def load_average() -> str:
    """The load average over 1, 5 and 15 minutes."""
    try:
        return " ".join(f"{each:.2f}" for each in os.getloadavg())
    except OSError:
        return "unknown"


def describe() -> str:
    """Processor, cores, memory, system."""
    parts = [_processor(), f"{cores()} cores", _memory(), platform.platform()]
    return ", ".join(part for part in parts if part)


def kind() -> str:
    """What machines have in common whose figures may be compared: processor and cores."""
    return f"{_processor()}, {cores()} cores, {platform.machine()}, {platform.system()}"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return ""
    return f"{size / (1 << 30):.1f} GiB"


def file_system(path: Path) -> str:
    """The type and device of the file system that holds `path`."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
            # Numbers, root, where, options and optional fields; after the dash type and source.
            before, _, after = line.partition(" - ")
            if before.split()[2] == wanted:
                kind, source = after.split()[:2]
                return f"{kind} on {source}"
    except OSError:
        pass
    return "unknown"
