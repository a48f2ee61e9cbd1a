"""The monitor of a large worktree: commands start it, ask it, and it ends with the worktree."""

from __future__ import annotations

import json
import mmap
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from environment import LIMIT_S, is_running, until

if TYPE_CHECKING:
    from cli.conftest import Process

DIRECTORIES = 10
FILES = 600

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")


@pytest.mark.slow
def test_commands_in_a_large_worktree_start_it_and_ask_it(process: Process, project: Path) -> None:
    def helios(*arguments: str) -> Any:
        done = process(*arguments, "--json")
        out, err = done.communicate(timeout=LIMIT_S)
        assert done.returncode == 0, err
        return json.loads(out)

    for directory in range(DIRECTORIES):
        (project / str(directory)).mkdir()
        for file in range(FILES):
            (project / str(directory) / str(file)).touch()
    mapped = project / "mapped"
    mapped.write_bytes(bytes(mmap.PAGESIZE))
    assert helios("commit", "-m", "large")["created"]
    watch = project / ".helios/worktree/watch"
    until((watch / "socket").exists)
    number = int((watch / "watching").read_text())
    command = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    assert b"helios.repository.monitor" in command
    assert command[command.index(b"helios.repository.monitor") + 1] == bytes(project)
    # Wherever the command was called may go.
    assert Path(f"/proc/{number}/cwd").readlink() == Path("/")

    def is_asked() -> bool:
        """Whether a store through a map, which is reported when it ends, goes unseen."""
        with mapped.open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
            helios("commit", "-m", "the descriptor may have been reported")
            before = helios("status")["counts"]
            pages[0] = pages[0] + 1 & 0xFF
            after = helios("status")["counts"]
        return bool(before == after)

    until(is_asked)
    (project / "0/0").write_text("edited")
    (project / "1/0").unlink()
    status = helios("status")["counts"]
    assert (status["changed"], status["deleted"]) == (2, 1)
    helios("switch", "-c", "attempt")
    assert not any(helios("status")["counts"].values())
    shutil.rmtree(project)
    until(lambda: not is_running(number))
