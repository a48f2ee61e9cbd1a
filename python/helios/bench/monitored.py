"""Worktrees with and without a monitor: what a command costs that need not look everywhere."""

from __future__ import annotations

from pathlib import Path
from time import sleep

from helios.bench.programs import Programs
from helios.repository.claim import dismiss

REST_S = 2.0
"""A monitor that has just been started looks at everything once."""
NO_GIT_MONITOR = "git has no monitor of its own on Linux"


def with_monitor(programs: Programs, root: Path) -> tuple[str, ...]:
    """Goes on until a worktree's monitor is asked, as it is from the third command on; says so."""
    watch = root / ".helios" / "worktree" / "watch"
    (root / ".helios" / "config").unlink(missing_ok=True)
    # That one was tried of late keeps another from being started.
    dismiss(str(watch), str(root))
    (watch / "watching").unlink(missing_ok=True)
    for _ in range(2):
        programs.run(programs.helios_cli("status"), root)
        if not (watch / "watching").exists():
            return ("without a monitor: the worktree is small",)
        sleep(REST_S)
    programs.run(programs.helios_cli("status"), root)
    if not (watch / "socket").exists():
        return ("without a monitor: the system reports no changes",)
    return ("beside the monitor that the first commands started", NO_GIT_MONITOR)


def without_monitor(root: Path) -> tuple[str, ...]:
    """Turns a worktree's monitor off; says so."""
    (root / ".helios" / "config").write_text("[monitor]\nenabled = false\n")
    dismiss(str(root / ".helios" / "worktree" / "watch"), str(root))
    return ("with the monitor turned off, so that every file is looked at",)
