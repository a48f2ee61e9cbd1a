"""The demo's own judgement: it must see what differs, and must not pass without real files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).resolve().parents[1] / "tools" / "demo.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up.
    sys.modules["demo"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "folder" / "empty").mkdir(parents=True)
    (root / ".helios").mkdir()
    (root / "file").write_text("content\n")
    (root / "folder" / "link").symlink_to("../file")
    for number in range(80):
        (root / "folder" / f"{number}.txt").write_text(f"file {number}\n")
    return root


def test_a_difference_of_content_kind_or_mode_is_seen(demo: ModuleType, tree: Path) -> None:
    before = demo.fingerprint(tree)
    assert before["folder/empty"][0] == "directory"
    assert before["folder/link"][0] == "symlink"
    assert not [path for path in before if path.startswith(".helios")]
    check = demo.Check()
    check.same("tree", before, tree)
    assert not check.problems
    (tree / "file").write_text("Content\n")
    check.same("tree", before, tree)
    before = demo.fingerprint(tree)
    (tree / "file").chmod(0o755)
    check.same("tree", before, tree)
    before = demo.fingerprint(tree)
    (tree / "folder" / "empty").rmdir()
    check.same("tree", before, tree)
    before = demo.fingerprint(tree)
    (tree / "more").write_text("")
    check.same("tree", before, tree)
    assert len(check.problems) == 4


def test_an_edit_makes_what_it_says(demo: ModuleType, tree: Path) -> None:
    before = demo.fingerprint(tree)
    edited = demo.edit(tree, before)
    after = demo.fingerprint(tree)
    files = {path for path in before if before[path][0] != "directory"}
    kept = {path for path in files if path in after}
    assert sum(before[path] != after[path] for path in kept) == edited.changed == demo.CHANGED
    assert len(files) - len(kept) == edited.deleted + edited.renamed
    new = {path for path in after if path not in before and after[path][0] != "directory"}
    assert len(new) == edited.added + edited.renamed


def test_too_few_files_are_a_failure_and_none_is_made_up(
    demo: ModuleType,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "sources", lambda: [demo.Source("few", tree)])
    work = tmp_path / "work"
    work.mkdir()
    assert demo.main(["--dir", str(work)]) == 1
    assert "has 82 files" in capsys.readouterr().out
    assert not list(work.iterdir())
