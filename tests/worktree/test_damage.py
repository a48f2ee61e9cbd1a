"""Damage in what was committed, while the disk is whole: work goes on, and a commit heals it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helios import Repository, Snapshot, errors

Damage = Callable[[], None]


def segment_of(place: Path) -> Path:
    [segment] = (place / ".helios" / "journal").glob("*.journal")
    return segment


def write(place: Path, path: str, content: str) -> None:
    (place / path).parent.mkdir(exist_ok=True)
    (place / path).write_text(content)


def commit(place: Path, **files: str) -> Snapshot:
    """Commits files of the directory `d`, in a process' life of its own."""
    for name, content in files.items():
        write(place, f"d/{name}", content)
    with Repository.open(place) as repo:
        return repo.worktree.commit().snapshot


class History:
    """Three snapshots. The directory `d` is as the second has it, and its node is damaged."""

    def __init__(self, place: Path, moved: bool) -> None:
        Repository.init(place).close()
        self.place = place
        files = {f"f{number}": f"{number}" * 100 for number in range(20)}
        self.first = commit(place, **files)
        start = segment_of(place).stat().st_size
        self.second = commit(place, **{name: text + "2" for name, text in files.items()})
        end = segment_of(place).stat().st_size
        write(place, "e/file", "e")
        with Repository.open(place) as repo:
            self.third = repo.worktree.commit().snapshot
            if moved:
                repo.maintenance()
            node = bytes.fromhex(repo.diff(self.first, self.second).changed[3].new_id or "")
        if moved:
            # The node holds the ids of its files, and is long enough for a blob file.
            [damaged] = [
                file for file in (place / ".helios/l2").glob("*.blob") if node in file.read_bytes()
            ]
            at = damaged.read_bytes().index(node)
        else:
            damaged, at = segment_of(place), (start + end) // 2
        content = bytearray(damaged.read_bytes())
        content[at] ^= 1
        damaged.write_bytes(content)
        with Repository.open(place) as repo:
            assert not repo.vst(self.third).exists("absent")
            with pytest.raises(errors.Corruption):
                repo.vst(self.third).walk()

    def disk(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.place)): path.read_bytes()
            for path in self.place.rglob("*")
            if path.is_file() and ".helios" not in path.parts
        }

    def check(self, snapshot: Snapshot) -> None:
        """The snapshot can be read again, before and after maintenance, and is what is on disk."""
        for _ in range(2):
            with Repository.open(self.place) as repo:
                vst = repo.vst(snapshot.id)
                assert {path: vst[path] for path in vst} == self.disk()
                status = repo.worktree.status()
                assert not status.diff
                assert not status.warnings
                repo.maintenance()


@pytest.fixture(params=[False, True], ids=["in the journal", "in L2"])
def history(request: pytest.FixtureRequest, place: Path) -> History:
    return History(place, moved=request.param)


def test_a_damaged_directory_that_changes_is_committed(history: History) -> None:
    write(history.place, "d/f3", "changed")
    with Repository.open(history.place) as repo:
        with pytest.raises(errors.Corruption, match=r"[0-9a-f]{64}.*`commit` still"):
            repo.worktree.status()
        done = repo.worktree.commit()
    [warning] = done.warnings
    assert warning.path == ".helios"
    assert "commit" in warning.reason
    assert done.snapshot.parents == [history.third.id]
    history.check(done.snapshot)


def test_without_an_index_status_is_clean_and_a_commit_writes_the_lost_anew(
    history: History,
) -> None:
    (history.place / ".helios" / "worktree" / "index").unlink()
    with Repository.open(history.place) as repo:
        assert not repo.worktree.status().diff
        assert repo.worktree.commit().snapshot.id == history.third.id
    history.check(history.third)


def test_a_restore_over_a_damaged_directory_works(history: History) -> None:
    with Repository.open(history.place) as repo:
        planned = repo.restore(history.first, dry_run=True)
        restored = repo.restore(history.first)
    assert sorted(restored.written) == sorted(planned.written)
    assert history.disk() == {f"d/f{n}": b"%d" % n * 100 for n in range(20)}
    with Repository.open(history.place) as repo:
        assert repo.restore(history.third).written
        done = repo.worktree.commit().snapshot
        assert done.tree_id == history.third.tree_id
    history.check(done)


@pytest.mark.parametrize("changes", [False, True])
def test_a_damaged_root_is_no_obstacle(place: Path, changes: bool) -> None:
    Repository.init(place).close()
    for number in range(100):
        write(place, f"file {number}", "1" * 50)
    start = segment_of(place).stat().st_size
    with Repository.open(place) as repo:
        repo.worktree.commit()
    end = segment_of(place).stat().st_size
    write(place, "file 3", "2" * 50)
    with Repository.open(place) as repo:
        # Its root is a change of the first one's.
        head = repo.worktree.commit().snapshot
    content = bytearray(segment_of(place).read_bytes())
    content[(start + end) // 2] ^= 1
    segment_of(place).write_bytes(content)
    if changes:
        write(place, "new", "new")
    with Repository.open(place) as repo:
        if changes:
            with pytest.raises(errors.Corruption, match=head.tree_id):
                repo.worktree.status()
        else:
            status = repo.worktree.status()
            assert not status.diff
            assert head.tree_id in status.warnings[0].reason
        done = repo.worktree.commit()
        assert head.tree_id in done.warnings[0].reason
        assert (done.snapshot.id == head.id) is not changes
    with Repository.open(place) as repo:
        assert len(repo.vst(done.snapshot.id).walk()) == 100 + changes
        assert repo.read(done.snapshot.id, "file 7") == b"1" * 50
        assert not repo.worktree.status().warnings
