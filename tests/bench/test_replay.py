"""A real history is replayed to equal trees, and a difference does not go unseen."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from helios.bench import replay
from helios.bench.figure import GIT, HELIOS, Measured, Unmeasurable
from helios.bench.workbench import SMOKE, Workbench


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository whose commits change kinds, modes and names, and keep an ignored file."""
    root = tmp_path / "original"
    root.mkdir()

    def git(*arguments: str) -> None:
        options = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=false"]
        subprocess.run(
            ["git", *options, *arguments],
            cwd=root,
            check=True,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"},
        )

    def commit() -> None:
        git("add", "-A", "-f")
        git("commit", "-q", "-m", "edit")

    git("init", "-q")
    (root / "src").mkdir()
    (root / "src" / "a.py").write_bytes(b"one\r\ntwo\n")
    (root / "thing").write_text("a file\n")
    (root / ".gitattributes").write_text("* text=auto eol=lf\n*.bin binary\n")
    (root / ".gitignore").write_text("*.log\n")
    git("config", "core.attributesFile", "/dev/null")
    (root / ".git" / "info" / "attributes").write_text("* -text\n")
    commit()
    (root / "thing").unlink()
    (root / "thing").mkdir()
    (root / "thing" / "below").write_text("now a directory\n")
    (root / "src" / "a.py").chmod(0o755)
    commit()
    (root / "kept.log").write_text("ignored, and committed all the same\n")
    (root / "link").symlink_to("src/a.py")
    (root / "odd name\n").write_bytes(bytes(range(256)))
    (root / os.fsdecode(b"not-utf-8-\xff")).write_bytes(b"x")
    commit()
    (root / "link").unlink()
    (root / "link").write_text("no link any more\n")
    (root / "src" / "a.py").rename(root / "moved.py")
    commit()
    (root / "thing" / "below").unlink()
    (root / "thing").rmdir()
    (root / "thing").write_text("a file again\n")
    git("commit", "-q", "--allow-empty", "-m", "nothing")
    commit()
    return root


def replayed(history: Path | None, directory: Path) -> Measured:
    directory.mkdir()
    bench = Workbench(SMOKE, 1, directory, None, replay=history)
    try:
        return replay.replayed(bench)
    finally:
        bench.close()


def test_a_history_is_replayed_to_equal_trees(history: Path, tmp_path: Path) -> None:
    before = set(history.rglob("*"))
    found = replayed(history, tmp_path / "work")
    assert set(found.samples) == {HELIOS, replay.CLI, GIT}
    assert {len(series[0]) for series in found.samples.values()} == {5}
    said = "\n".join(found.notes)
    assert "trees equal byte for byte" in said
    assert "files that its .gitignore excludes" in said
    assert set(history.rglob("*")) == before


def test_a_wrong_tree_is_found(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replay._to_vst

    def lacking(vst: object, entries: list[replay.Entry], contents: dict[str, bytes]) -> None:
        whole(vst, [e for e in entries if e.path != "moved.py"], contents)  # type: ignore[arg-type]

    monkeypatch.setattr(replay, "_to_vst", lacking)
    with pytest.raises(AssertionError, match="not the original"):
        replayed(history, tmp_path / "work")


def test_a_worktree_that_commits_something_else_is_found(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replay._to_disk

    def altered(root: Path, entries: list[replay.Entry], contents: dict[str, bytes]) -> None:
        whole(root, entries, contents)
        if root.name == "replay-cli" and (root / "moved.py").exists():
            (root / "moved.py").write_text("altered\n")

    monkeypatch.setattr(replay, "_to_disk", altered)
    with pytest.raises(AssertionError, match="helios-cli has committed another tree"):
        replayed(history, tmp_path / "work")


def test_what_is_no_history_cannot_be_replayed(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(Unmeasurable, match="no git repository with history"):
        replayed(empty, tmp_path / "first")
    with pytest.raises(Unmeasurable, match="--replay"):
        replayed(None, tmp_path / "second")
