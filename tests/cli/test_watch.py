"""`helios-cli watch` as a process: its lines, its signals, its exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cli.conftest import Process, Run

LIMIT_S = 120


@pytest.fixture
def watch(process: Process, history: tuple[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A watch that prints objects."""
    assert history
    watch = process("watch", "--json", "--settle", "0.05")
    limit = threading.Timer(LIMIT_S, watch.kill)
    limit.start()
    yield watch
    limit.cancel()
    watch.kill()
    watch.communicate()


def line(watch: subprocess.Popen[bytes]) -> Any:
    assert watch.stdout is not None
    return json.loads(watch.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_snapshot_is_a_line_and_a_signal_ends_it_with_a_last_one(
    watch: subprocess.Popen[bytes],
    run: Run,
    project: Path,
    history: tuple[str, str],
    number: int,
) -> None:
    first = line(watch)
    assert (first["snapshot_id"], first["branch"]) == (history[1], "watch/main")
    assert (first["created"], first["counts"], first["polls"]) == (False, None, None)
    (project / "new").write_text("changed\n")
    (project / "c.txt").unlink()
    second = line(watch)
    while second["counts"]["deleted"] == 0:
        second = line(watch)
    assert second["created"]
    assert second["warnings"] == []
    assert set(second["counts"]) == {"added", "changed", "deleted", "renamed"}
    (project / "last").write_text("last\n")
    watch.send_signal(number)
    out, err = watch.communicate(timeout=LIMIT_S)
    assert (watch.returncode, err) == (0, b"")
    assert all(json.loads(each)["created"] for each in out.splitlines())
    listed = run("diff", "watch/main", "--name-status")
    assert (listed.code, listed.out) == (0, "")
    assert run("log", "-n", "1", "--json").json["snapshots"][0]["snapshot_id"] == history[1]


def test_a_second_watch_is_refused_and_a_killed_one_holds_nobody_off(
    watch: subprocess.Popen[bytes], run: Run, process: Process
) -> None:
    line(watch)
    second = run("watch")
    assert second.code == 9
    assert f"by process {watch.pid}" in second.err
    watch.kill()
    watch.wait()
    third = process("watch", "--json")
    assert line(third)["branch"] == "watch/main"
    third.send_signal(signal.SIGTERM)
    third.communicate(timeout=LIMIT_S)
    assert third.returncode == 0


def test_a_person_reads_what_happens(
    process: Process, project: Path, history: tuple[str, str]
) -> None:
    assert history
    watch = process("watch", "--branch", "log", "--settle", "0")
    assert watch.stdout is not None
    assert watch.stdout.readline() == (
        f"Watching {project}; snapshots go to branch log; Ctrl-C ends it\n".encode()
    )
    assert watch.stdout.readline().endswith(b"as it was at the start\n")
    (project / "added").write_text("x")
    assert watch.stdout.readline().endswith(b"  1 added\n")
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=LIMIT_S)
    assert watch.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--settle", "soon"), 2),
        (("--settle=-1",), 2),
        (("--max-wait", "0"), 2),
        (("--max-wait", "inf"), 2),
        (("--branch", "a b"), 2),
        (("x",), 2),
    ],
)
def test_bad_arguments(
    run: Run, history: tuple[str, str], arguments: tuple[str, ...], code: int
) -> None:
    assert history
    assert run("watch", *arguments).code == code


def test_no_repository_no_watch(run: Run) -> None:
    assert run("watch").code == 3
