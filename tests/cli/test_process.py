"""What only a process of its own shows: imports at start-up, exit codes, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environment import unmeasured
from helios import __version__

if TYPE_CHECKING:
    from cli.conftest import Process, Run

HEAVY = {"argparse", "dataclasses", "json", "pathlib", "re", "typing", "helios._core", "asyncio"}

# `shutil` and `tempfile` are for making a repository.
ELSEWHERE = {
    "argparse",
    "asyncio",
    "collections",
    "dataclasses",
    "difflib",
    "enum",
    "functools",
    "importlib",
    "json",
    "pathlib",
    "re",
    "rocksdict",
    "shutil",
    "signal",
    "tempfile",
    "threading",
}

# Which need regular expressions, and what these need.
REGULAR = {"collections", "enum", "functools", "importlib", "re"}


def imported_by(script: str, directory: Path) -> set[str]:
    """The modules that a script of the command line loads beyond those of a bare start."""
    code = f"import sys; {script}; sys.stderr.write(' '.join(sys.modules))"
    found = []
    for each in (code, "import sys; sys.stderr.write(' '.join(sys.modules))"):
        done = subprocess.run(
            [sys.executable, "-c", each],
            cwd=directory,
            env=unmeasured(),
            capture_output=True,
            check=True,
            text=True,
        )
        found.append(set(done.stderr.split()))
    return found[0] - found[1]


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_start_up_imports_little(option: str, project: Path) -> None:
    loaded = imported_by(f"from helios.cli import main; main(['{option}'])", project)
    assert not loaded & HEAVY
    assert len(loaded) < 30, sorted(loaded)


def test_a_command_imports_only_its_own(project: Path) -> None:
    for arguments in (["commit", "-m", "one"], ["commit", "--json"], ["status"], ["log", "-n1"]):
        loaded = imported_by(f"from helios.cli import main; main({arguments})", project)
        # Making a repository needs a temporary directory; what prints JSON needs `json`.
        allowed = REGULAR | {"shutil", "tempfile"} if "one" in arguments else set()
        if "--json" in arguments:
            allowed |= REGULAR | {"json"}
        assert not loaded & (ELSEWHERE - allowed)
        commands = {name for name in loaded if name.startswith("helios.cli.commands.")}
        assert commands == {f"helios.cli.commands.{arguments[0]}"}


def test_reading_l2_imports_no_pickle(run: Run, project: Path) -> None:
    (project / "a").write_text("a")
    assert run("commit", "-m", "one").code == 0
    assert run("maintenance").code == 0
    loaded = imported_by("from helios.cli import main; main(['ls'])", project)
    assert "rocksdict" in loaded
    assert not loaded & (REGULAR | {"_pickle"})


def test_pickle_is_there_for_who_uses_it(tmp_path: Path) -> None:
    script = (
        "import sys; from helios.cli.pickling import defer_pickle; defer_pickle(); import pickle; "
        "assert '_pickle' not in sys.modules; loads = pickle.loads; "
        "assert loads(pickle.dumps([1])) == [1]; "
        "from pickle import Pickler; import pickle; assert pickle.__file__; "
        "defer_pickle(); assert pickle.Pickler is Pickler; "
        "del sys.modules['pickle']; defer_pickle(); from pickle import Unpickler; "
        "assert Unpickler is pickle.Unpickler"
    )
    assert "_pickle" in imported_by(script, tmp_path)


def test_a_command_ends_without_taking_the_interpreter_apart_unless_somebody_waits_for_that(
    project: Path,
) -> None:
    def ended(script: str) -> str:
        code = f"import sys; {script}; from helios.cli import command; command()"
        found = []
        for arguments in (["commit", "-q"], ["log", "--no-such"]):
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                cwd=project,
                env=unmeasured(),
                capture_output=True,
                check=False,
                text=True,
            )
            found.append((done.returncode, done.stdout))
        assert [code for code, _ in found] == [0, 2]
        [out] = {out for _, out in found}
        return out

    at_once = (
        "import os; leave = os._exit; "
        "os._exit = lambda code: print('at once', flush=True) or leave(code); print('begun')"
    )
    assert ended(at_once) == "begun\nat once\n"
    called = "import atexit; atexit.register(print, 'called')"
    assert ended(f"{at_once}; {called}") == "begun\ncalled\n"
    thread = "import threading; threading.Thread(target=print, args=('ran',)).start()"
    assert ended(f"{at_once}; {thread}") == "begun\nran\n"


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["--version"], 0, f"helios-cli {__version__}\n", ""),
        (["log"], 3, "", "helios-cli: error: neither "),
        (["nope"], 2, "", "helios-cli: error: there is no command 'nope'"),
        (["--json", "nope"], 2, "", '{"error": {"code": "usage"'),
    ],
)
def test_exit_codes_are_real(
    process: Process, arguments: list[str], code: int, out: str, err: str
) -> None:
    child = process(*arguments)
    shown, told = child.communicate()
    assert child.returncode == code
    assert shown.decode() == out
    assert told.decode().startswith(err)
    assert b"Traceback" not in told


def test_both_scripts_are_installed() -> None:
    for name in ("helios", "helios-cli"):
        script = Path(sys.executable).with_name(name)
        done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("helios-cli ")
