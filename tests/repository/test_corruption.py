"""Damage anywhere in a repository: right data or an error that says what is wrong, nothing else.

The reading is done in a process of its own, so that a crash is seen as one.
"""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from helios import Repository, errors
from repository import workers

HEX_ID = re.compile(r"[0-9a-f]{64}")
States = dict[str, dict[str, bytes]]
"""What each snapshot holds."""


@pytest.fixture
def states(repo: Repository) -> States:
    """Snapshots and what they hold: a few small files, a chain of edits, one chunked file."""
    chance = random.Random(6)
    vst = repo.vst()
    found: States = {}
    for number in range(8):
        vst[f"d/{number}"] = chance.randbytes(200)
        vst["lines"] = b"".join(b"line %d\n" % (n if n != number else -1) for n in range(60))
        if number == 3:
            vst["large"] = b"large" * 300_000
        found[vst.commit(f"{number}").id] = {path: vst[path] for path in vst}
    return found


def outcomes(place: Path, states: States) -> list[str]:
    """What each snapshot gives: `right`, or the error's name. Wrong data fails the test."""
    results: list[str] = []
    try:
        repo = Repository.open(place, cache_bytes=0)
    except errors.HeliosError as error:
        return [type(error).__name__]
    with repo:
        try:
            head = repo.branches().get("main")
            assert head is None or head in states
            assert [s.id in states for s in repo.log("main")].count(False) == 0
        except errors.HeliosError as error:
            results.append(type(error).__name__)
        for snapshot, files in states.items():
            try:
                vst = repo.vst(snapshot)
                assert {path: vst[path] for path in vst} == files, "wrong data"
            except errors.Corruption as error:
                assert HEX_ID.search(str(error)) or "l2" in str(error), str(error)
                results.append(type(error).__name__)
            except errors.HeliosError as error:
                assert str(error)
                results.append(type(error).__name__)
            else:
                results.append("right")
    return results


def segment_of(place: Path) -> Path:
    [segment] = (place / ".helios" / "journal").glob("*.journal")
    return segment


def test_a_flipped_bit_in_the_journal_never_gives_wrong_data(place: Path, states: States) -> None:
    segment = segment_of(place)
    whole = segment.read_bytes()
    chance = random.Random(7)
    seen: set[str] = set()
    for _ in range(150):
        content = bytearray(whole)
        content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        segment.write_bytes(content)
        seen.update(outcomes(place, states))
    assert "right" in seen
    assert seen & {"ObjectNotFound", "UnknownRevision"}
    segment.write_bytes(whole)
    assert set(outcomes(place, states)) == {"right"}


def test_damage_in_the_middle_is_listed_and_later_commits_are_kept(
    place: Path, states: States
) -> None:
    segment = segment_of(place)
    content = bytearray(segment.read_bytes())
    content[200] ^= 1
    segment.write_bytes(content)
    last, files = list(states.items())[-1]
    with Repository.open(place) as repo:
        [(number, offset, length)] = repo.damage
        assert (number, offset) == (1, 32)
        assert length > 168
        assert repo.stats()["journal"]["damaged_stretches"] == 1
        assert repo.resolve("main") == last
        with repo.vst().fork("new") as vst:
            vst["new"] = b"1"
        # Its first commit is gone, what came after can be had where it does not build on that.
        assert repo.read(last, "large") == files["large"]
    with Repository.open(place) as again:
        assert again.read("new", "new") == b"1"
        again.maintenance()
        assert again.read("new", "new") == b"1"
    kept = list((place / ".helios" / "journal" / "lost").iterdir())
    assert [path.name for path in kept] == [segment.name]
    assert kept[0].read_bytes()[: len(content)] == content


def test_a_segment_with_a_damaged_header_is_read_and_told(place: Path, states: States) -> None:
    segment = segment_of(place)
    content = bytearray(segment.read_bytes())
    content[3] ^= 1
    segment.write_bytes(content)
    assert set(outcomes(place, states)) == {"right"}
    with Repository.open(place) as repo:
        assert repo.damage == [(1, 0, 32)]
        assert [damage.kind for damage in repo.verify().damage] == ["journal"]
        assert repo.verify(repair=True).clean
    assert set(outcomes(place, states)) == {"right"}
    [kept] = (place / ".helios" / "journal" / "lost").iterdir()
    assert kept.read_bytes()[: len(content)] == content


def test_bytes_changed_under_an_open_repository_are_noticed(place: Path, states: States) -> None:
    segment = segment_of(place)
    with Repository.open(place, cache_bytes=0) as reader:
        content = bytearray(segment.read_bytes())
        for at in range(100, len(content), 53):
            content[at] ^= 0x10
        segment.write_bytes(content)
        for snapshot in states:
            with pytest.raises(errors.CorruptObject, match=HEX_ID):
                reader.vst(snapshot).walk()


def test_a_journal_cut_anywhere_in_its_last_frame_loses_that_frame_alone(
    repo: Repository, place: Path
) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    first = vst.commit(time_us=1)
    segment = segment_of(place)
    start = segment.stat().st_size
    vst["a"] = b"2"
    second = vst.commit(time_us=2)
    repo.close()
    whole = segment.read_bytes()
    for end in range(start, len(whole)):
        torn = whole[start:end].rstrip(b"\0")
        segment.write_bytes(whole[:end])
        shutil.rmtree(place / ".helios" / "journal" / "lost", ignore_errors=True)
        with Repository.open(place) as reader:
            assert reader.resolve("main") == first.id
            assert reader.read("main", "a") == b"1"
            assert reader.damage == []
            with pytest.raises(errors.UnknownRevision):
                reader.snapshot(second.id)
            vst = reader.vst()
            vst["a"] = b"3"
            third = vst.commit(time_us=3)
        with Repository.open(place) as again:
            assert [snapshot.id for snapshot in again.log("main")] == [third.id, first.id]
            assert again.damage == ([(1, start, len(torn))] if torn else [])
        kept = list((place / ".helios" / "journal" / "lost").glob("*.torn"))
        assert [path.read_bytes() for path in kept] == ([torn] if torn else [])
    segment.write_bytes(whole)
    with Repository.open(place) as reader:
        assert reader.resolve("main") == second.id


def test_a_flipped_bit_in_l2_never_gives_wrong_data(
    repo: Repository, place: Path, states: States, tmp_path: Path
) -> None:
    repo.maintenance()
    repo.close()
    (tmp_path / "states").write_text(
        "\n".join(f"{s} {p} {c.hex()}" for s, files in states.items() for p, c in files.items())
    )
    l2 = place / ".helios" / "l2"
    names = [path.name for path in l2.iterdir() if path.is_file() and path.stat().st_size]
    assert {"CURRENT"} < set(names)
    seen = workers.run("flip_in_l2", place, tmp_path / "states", *sorted(names), timeout_s=300)
    assert len(seen) > len(names)
    assert any("right" in line for line in seen)
    assert any("Corrupt" in line for line in seen)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\xff\x00 garbage \n" * 40),
    "missing": lambda path: path.unlink(),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("moved", [False, True], ids=["in the journal", "in L2"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_anywhere_gives_documented_errors_only(
    repo: Repository,
    place: Path,
    states: States,
    moved: bool,
    damage: str,
    tmp_path: Path,
) -> None:
    repo.worktree.switch("main")
    (place / "on disk").write_bytes(b"1")
    last = repo.vst(repo.worktree.commit().snapshot)
    assert last.base is not None
    states[last.base] = {path: last[path] for path in last}
    repo.worktree.switch("other", create=True)
    if moved:
        repo.maintenance()
    repo.close()
    helios = place / ".helios"
    names = [path.relative_to(helios) for path in helios.rglob("*") if path.is_file()]
    assert {Path("format"), Path("metrics"), Path("worktree/index"), Path("worktree/head")} < set(
        names
    )
    whole = tmp_path / "whole"
    shutil.copytree(place, whole)
    for name in sorted(names):
        shutil.rmtree(place)
        shutil.copytree(whole, place)
        DAMAGES[damage](helios / name)  # type: ignore[no-untyped-call]
        use_everything(place, tmp_path / "out", states)


def use_everything(place: Path, out: Path, states: States) -> None:
    """Every kind of call; none may raise anything but an error of the documented tree."""
    outcomes(place, states)
    try:
        repo = Repository.open(place)
    except errors.HeliosError:
        return
    shutil.rmtree(out, ignore_errors=True)
    with repo:
        snapshot = next(iter(states))
        (place / "on disk").write_bytes(b"2")
        worktree = repo.worktree
        for call in (
            repo.branches,
            lambda: repo.resolve(snapshot[:8]),
            lambda: list(repo.log("main")),
            repo.stats,
            repo.prometheus,
            worktree.status,
            lambda: worktree.commit("after"),
            lambda: worktree.switch("main"),
            lambda: repo.restore(snapshot, dry_run=True),
            lambda: repo.materialize(snapshot, out),
            lambda: repo.vst().commit(allow_empty=True),
            repo.maintenance,
            lambda: repo.vst().walk(),
        ):
            try:
                call()
            except errors.HeliosError as error:
                assert str(error)


def test_a_damaged_index_of_the_worktree_is_made_anew(repo: Repository, place: Path) -> None:
    (place / "a").write_bytes(b"1")
    first = repo.worktree.commit().snapshot
    for content in (b"", b"garbage", b"\xff" * 1000):
        (place / ".helios" / "worktree" / "index").write_bytes(content)
        with Repository.open(place) as again:
            assert not again.worktree.status().diff
            assert again.worktree.commit().snapshot == first


@pytest.mark.parametrize("page", [0, 1])
def test_a_damaged_page_of_the_index_is_made_good_by_reading_all_files(
    repo: Repository, place: Path, page: int
) -> None:
    """A file that is gone is one that the index knows: with a page less it would be forgotten."""
    for number in range(400):
        (place / f"file-{number:03}").write_bytes(b"%d" % number)
    first = repo.worktree.commit("first").snapshot
    (place / "file-399").write_bytes(b"changed")
    second = repo.worktree.commit("second").snapshot
    index = place / ".helios" / "worktree" / "index"
    bad = bytearray(index.read_bytes())
    bad[20 + int.from_bytes(bad[8:16], "little") + 20_000 * page] ^= 1
    (place / "file-001").unlink()
    (place / "file-398").write_bytes(b"edited")
    index.write_bytes(bad)
    with Repository.open(place) as again:
        diff = again.worktree.status().diff
        assert [each.path for each in diff.deleted] == ["file-001"]
        assert [each.path for each in diff.changed] == ["file-398"]
    index.write_bytes(bad)
    with Repository.open(place) as again:
        restored = again.worktree.restore(first)
        assert restored.safety is not None
        assert restored.safety.parents == [second.id]
        assert (place / "file-001").read_bytes() == b"1"
        assert (place / "file-399").read_bytes() == b"399"
        assert not again.worktree.diff(first)
        again.undo()
        assert not (place / "file-001").exists()
        assert (place / "file-398").read_bytes() == b"edited"


def test_a_head_that_names_no_branch_is_an_error(repo: Repository, place: Path) -> None:
    (place / ".helios" / "worktree").mkdir(exist_ok=True)
    head = place / ".helios" / "worktree" / "head"
    head.write_bytes(b"\xff\xfe")
    with pytest.raises(errors.StorageError, match="name of a branch"):
        _ = repo.worktree.branch
    head.write_bytes(b"no good name\n")
    with pytest.raises(errors.InvalidName):
        repo.worktree.status()
    head.unlink()
    head.mkdir()
    with pytest.raises(errors.StorageError):
        repo.worktree.status()


def test_a_journal_that_was_emptied_is_no_new_repository(repo: Repository, place: Path) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    repo.close()
    segment = segment_of(place)
    for length in (0, 31):
        segment.write_bytes(segment.read_bytes()[:length])
        with pytest.raises(errors.CorruptJournal, match="cut off within its header"):
            Repository.open(place)
