"""Terminals, pipes and full disks, with processes of their own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helios.cli.progress import Working, line

if TYPE_CHECKING:
    from cli.conftest import Process, Run


def on_a_terminal(process: Process, *arguments: str) -> str:
    """What a command shows where standard output and error are a terminal."""
    main, other = pty.openpty()
    child = process(*arguments, stdout=other, stderr=other, stdin=other)
    os.close(other)
    shown = b""
    while True:
        try:
            read = os.read(main, 65536)
        except OSError:
            # Linux says so when the last process has closed the other end.
            break
        if not read:
            break
        shown += read
    os.close(main)
    child.wait()
    return shown.decode("utf-8", "surrogateescape")


@pytest.mark.usefixtures("history")
def test_colour_is_for_terminals(
    process: Process, run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "new").write_text("changed\x1b[31m\n")
    for arguments in (["status"], ["diff"], ["diff", "--stat"], ["log"], ["branch"], ["nope"]):
        assert "\x1b[" in on_a_terminal(process, *arguments), arguments
    assert "\x1b[31m\r\n" not in on_a_terminal(process, "diff")
    assert "\x1b[" not in run("status").out
    # A pipe gets the bytes of the file as they are.
    assert "+changed\x1b[31m\n" in run("diff").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in on_a_terminal(process, "status")
    assert "\x1b[" not in on_a_terminal(process, "nope")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[" not in on_a_terminal(process, "status")


@pytest.mark.usefixtures("history")
def test_json_on_a_terminal_is_indented(process: Process) -> None:
    assert on_a_terminal(process, "branch", "--json").startswith('{\r\n  "branches": [')


def test_progress_is_for_terminals_and_for_long_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helios.cli.progress.QUIET_S", 0.01)
    monkeypatch.setattr("helios.cli.progress.INTERVAL_S", 0.01)
    polled = threading.Event()

    def progress() -> tuple[str, int, int]:
        polled.set()
        return "writing", 25, 100

    with Working(progress):
        assert polled.wait(10)
    shown = capsys.readouterr().err
    assert "writing  [######" in shown
    assert shown.endswith("\r\x1b[K")
    with Working(None):
        pass
    monkeypatch.setattr("helios.cli.progress.QUIET_S", 60.0)
    with Working(progress):
        pass
    assert capsys.readouterr().err == ""


def test_a_line_of_progress() -> None:
    assert line("scanning", 0, 0) == "scanning"
    assert line("scanning", 1234, 0) == "scanning  1,234"
    assert line("writing", 1, 4) == "writing  [######..................]  25%  1 of 4"
    assert line("writing", 5, 4).endswith("100%  5 of 4")


def test_an_interrupt_ends_long_work_at_once() -> None:
    # As the core does: it does not let Python look at signals before it is done.
    script = (
        "import ctypes\n"
        "from helios.cli.progress import Working\n"
        "with Working(None):\n"
        "    print('working', flush=True)\n"
        "    ctypes.PyDLL(None).sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"working\n"
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (-signal.SIGINT, b"")


def test_working_in_a_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Working(None):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before
    entered = []

    def work() -> None:
        with Working(None):
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [before]


def test_a_reader_that_goes_away(process: Process, run: Run, project: Path) -> None:
    (project / "large").write_text("line\n" * 100_000)
    run("init")
    child = process("diff")
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.read(10)
    child.stdout.close()
    assert child.wait(30) == 141
    assert child.stderr.read() == b""
    child.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.usefixtures("history")
def test_output_to_a_full_disk(process: Process) -> None:
    with open("/dev/full", "wb") as full:
        child = process("log", stdout=full)
        _, err = child.communicate()
    assert child.returncode == 10
    assert err == b"helios-cli: error: No space left on device\n"


@pytest.mark.usefixtures("history")
def test_output_that_is_closed(project: Path) -> None:
    command = [sys.executable, "-m", "helios.cli", "log"]
    shell = 'exec "$@" >&- 2>&-'
    done = subprocess.run(["sh", "-c", shell, "sh", *command], cwd=project, check=False)
    assert done.returncode == 0


@pytest.mark.usefixtures("history")
def test_a_terminal_without_utf_8(
    process: Process, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "caf\u00e9").write_text("1\n")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    out, err = process("status").communicate()
    assert b"caf\\xe9" in out
    assert err == b""
