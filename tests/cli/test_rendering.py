"""Quantities as a person reads them, and patches that git takes."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from helios.cli.quantity import age, counted, duration, size

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Run


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (102_400, "100 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (5 << 60, "5,120 PiB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (8.2e-6, "8.2 us"),
        (0.0014, "1.4 ms"),
        (0.9996, "1 s"),
        (59.4, "59.4 s"),
        (250, "4 min 10 s"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("past", "shown"),
    [
        (-3600, "in the future"),
        (0, "just now"),
        (30, "30 seconds ago"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86400, "1 day ago"),
        (86400 * 400, "1 year ago"),
    ],
)
def test_ages(past: float, shown: str) -> None:
    assert age(1e9, 1e9 + past) == shown


def test_counts() -> None:
    assert counted(1, "file") == "1 file"
    assert counted(10_000, "file") == "10,000 files"
    assert counted(2, "entry", "entries") == "2 entries"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_git_applies_a_patch(run: Run, project: Path, tmp_path: Path) -> None:
    (project / "dir").mkdir()
    (project / "dir" / "with space").write_bytes(b"one\ntwo\nthree\n")
    (project / "new\nline").write_bytes(b"a\n")
    (project / "gone").write_bytes(b"gone")
    (project / "moved").write_bytes(b"stays\n")
    (project / "script").write_bytes(b"echo\n")
    (project / "empty").write_bytes(b"")
    run("commit", "-q")
    run("materialize", "@", str(tmp_path / "out"))
    (project / "dir" / "with space").write_bytes(b"one\n2\nthree")
    (project / "new\nline").write_bytes(b"b\r\n")
    (project / "gone").unlink()
    (project / "moved").rename(project / "dir" / "caf\u00e9")
    (project / "script").chmod(0o755)
    (project / "empty").unlink()
    (project / "empty2").write_bytes(b"")
    (project / "link").symlink_to("script")
    for arguments in (["diff"], ["diff", "main~1"], ["diff", "main~1", "main"]):
        patch = run(*arguments).out.encode("utf-8", "surrogateescape")
        copy = tmp_path / "_".join(arguments)
        shutil.copytree(tmp_path / "out", copy, symlinks=True)
        done = subprocess.run(
            ["git", "apply", "-"], input=patch, cwd=copy, capture_output=True, check=False
        )
        assert done.returncode == 0, (done.stderr, patch)
        run("commit", "-q")
        assert tree(copy) == tree(project)


def test_a_patch_holds_bytes_as_they_are(run: Run, project: Path) -> None:
    (project / "a").write_bytes(b"caf\xe9\n")
    run("init")
    assert run("diff").out.endswith("+caf\udce9\n")


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Modes and contents of all that is not the repository's."""
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_dir() or name.startswith(".helios"):
            continue
        data = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        found[name] = (path.lstat().st_mode, data)
    return found


def test_a_listing_of_what_has_no_lines(run: Run, project: Path) -> None:
    (project / "data").write_bytes(b"\0one")
    run("commit", "-q")
    (project / "data").write_bytes(b"\0second")
    (project / "directory").mkdir()
    assert "Binary files a/data and b/data differ\n" in run("diff").out
    assert "Empty directory directory added\n" in run("diff").out
    assert " data      | Bin 4 B -> 7 B\n" in run("diff", "--stat").out
    assert "  added         directory/\n" in run("status").out
    (project / "data").unlink()
    (project / "data").symlink_to("elsewhere")
    assert "T\tdata\n" in run("diff", "--name-status").out
    assert "old mode 100644\nnew mode 120000\n" in run("diff").out


def test_quiet_says_nothing_about_success(run: Run, project: Path) -> None:
    (project / "a").write_text("a\n")
    for arguments in (
        ["init"],
        ["commit"],
        ["commit"],
        ["branch", "b"],
        ["switch", "b"],
        ["switch", "-c", "c"],
        ["branch", "-d", "b"],
        ["restore", "@"],
        ["materialize", "@", "out"],
        ["verify"],
        ["fsck"],
        ["maintenance"],
    ):
        assert run(*arguments, "--quiet") == (0, "", ""), arguments
    (project / "a").write_text("b\n")
    assert run("status", "--quiet").out == "  changed  2 B  a\n  added    2 B  out/a\n"
