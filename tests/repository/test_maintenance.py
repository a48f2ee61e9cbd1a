"""Maintenance moves the journal into L2, while others read and commit, and also if it is killed."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helios import Repository, errors
from repository import workers

FILES = 200
LIMIT_S = 90


@pytest.fixture
def filled(repo: Repository) -> Repository:
    """`FILES` files that the worker `read_steadily` knows."""
    with repo.vst() as vst:
        for number in range(FILES):
            vst[f"d/{number}"] = b"%d" % number * 100
    return repo


def journal_segments(place: Path) -> list[str]:
    return sorted(path.name for path in (place / ".helios" / "journal").glob("*.journal"))


def wait_until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not reached():
        assert time.monotonic() < end, f"{what}: not after {LIMIT_S} s"
        time.sleep(0.05)


def test_everything_is_read_from_l2_afterwards(filled: Repository, place: Path) -> None:
    before = filled.stats()
    moved = filled.maintenance()
    assert moved.objects == moved.new_objects == before["journal"]["objects"]
    after = filled.stats()
    assert after["journal"]["objects"] == 0
    assert after["l2"]["objects"] == moved.objects
    for each in (filled, Repository.open(place)):
        vst = each.vst()
        assert all(vst[f"d/{n}"] == b"%d" % n * 100 for n in range(FILES))


def test_a_second_round_finds_nothing_to_do(filled: Repository, place: Path) -> None:
    filled.maintenance()
    again = filled.maintenance()
    assert (again.segments, again.objects, again.new_objects) == (0, 0, 0)
    assert len(journal_segments(place)) == 1


def test_what_was_written_twice_is_kept_once(repo: Repository) -> None:
    new = []
    for _ in range(2):
        vst = repo.vst("main").fork()
        vst["a"] = b"same" * 100
        vst.commit(time_us=1)
        new.append(repo.maintenance().new_objects)
    assert new == [3, 0]
    assert repo.stats()["l2"]["objects"] == 3


def test_a_process_that_reads_does_not_notice(filled: Repository, place: Path) -> None:
    """Its VST was opened before, and it caches nothing; rounds of commits and maintenance go by."""
    reader = workers.start("read_steadily", place, FILES)
    with reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "ready\n"
        for number in range(4):
            with filled.vst() as vst:
                vst["more"] = b"%d" % number
            reader.stdin.write("go\n")
            reader.stdin.flush()
            filled.maintenance()
            assert reader.stdout.readline() == f"{FILES}\n"
        output, _ = reader.communicate("go\n", timeout=60)
        assert output == f"{FILES}\n"
    assert reader.returncode == 0


def test_a_vst_goes_on_over_maintenance_by_others(filled: Repository, place: Path) -> None:
    vst = filled.vst()
    with Repository.open(place) as other:
        for number in range(3):
            other.maintenance()
            vst["round"] = b"%d" % number
            vst.commit()
            assert vst["d/7"] == b"7" * 100
            assert other.read("main", "round") == b"%d" % number
    assert sum(1 for _ in filled.log("main")) == 4


def test_a_prefix_finds_what_another_process_has_moved(filled: Repository, place: Path) -> None:
    first = filled.resolve("main")
    filled.maintenance()
    assert filled.resolve(first[:12]) == first
    vst = filled.vst()
    vst["more"] = b"1"
    second = vst.commit().id
    with Repository.open(place) as other:
        other.maintenance()
    vst["more"] = b"2"
    vst.commit()
    assert filled.resolve(second[:12]) == second


def test_two_at_once_are_told_apart(filled: Repository, place: Path) -> None:
    from helios.store import RocksStore

    held = RocksStore.open(place / ".helios" / "l2", writable=True)
    with pytest.raises(errors.StoreBusy, match=str(os.getpid())):
        filled.maintenance(wait_s=0.05)
    with ThreadPoolExecutor(1) as pool, held:
        waiting = pool.submit(filled.maintenance)
        assert filled.read("main", "d/7") == b"7" * 100
        assert not waiting.done()
        held.close()
        assert waiting.result().segments == 1


def test_large_files_and_long_chains_of_changes_come_back(repo: Repository) -> None:
    chance = random.Random(2)
    large = bytearray(chance.randbytes(3 << 20))
    vst = repo.vst()
    states: list[tuple[str, bytes, bytes]] = []
    for number in range(40):
        large[chance.randrange(len(large))] ^= 0xFF
        lines = b"".join(b"line %d\n" % (n if n != number else -1) for n in range(100))
        vst["large"], vst["lines"] = large, lines
        states.append((vst.commit().id, bytes(large), lines))
        if number % 13 == 5:
            repo.maintenance()
    repo.maintenance()
    assert repo.root is not None
    with Repository.open(repo.root, cache_bytes=0) as again:
        for snapshot, _, lines in states[::-1]:
            assert again.read(snapshot, "lines") == lines
        for snapshot, content, _ in states[::10]:
            assert again.read(snapshot, "large") == content
    forms = repo.stats()["objects"]
    assert forms["chunks"] == 40
    assert forms["splice"]


def test_content_that_comes_back_is_read_beside_what_was_moved_meanwhile(
    repo: Repository, place: Path
) -> None:
    """Each version is written as the other one, edited. The whole one is where only a new view of
    L2 shows it."""
    chance = random.Random(1)
    lines = [chance.randbytes(40).hex() for _ in range(100)]
    first, second = "\n".join(lines), "\n".join(["edited", *lines[1:]])

    def commit(text: str) -> None:
        with repo.vst() as vst:
            vst["text"] = text

    commit("something else")
    repo.maintenance()
    with Repository.open(place, cache_bytes=0) as reader:
        assert reader.read("main", "text") == b"something else"
        commit(first)
        commit(second)
        assert reader.branch("main") == repo.branch("main")
        repo.maintenance()
        commit(first)
        commit(second)
        assert reader.read("main", "text").decode() == second


def test_a_run_that_is_killed_is_repeated_by_the_next(repo: Repository, place: Path) -> None:
    chance = random.Random(3)
    vst = repo.vst()
    made: dict[str, bytes] = {}
    for life in range(10):
        for number in range(30):
            vst[f"{number}"] = chance.randbytes(20_000)
            made[vst.commit().id] = vst[f"{number}"]
        command = [sys.executable, "-P", "-m", "helios.repository.maintenance", repo.directory]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(command, env=environment) as process:  # type: ignore[arg-type]
            # From before it has begun to after it is done.
            time.sleep(0.05 + life * 0.03 + chance.random() / 50)
            process.kill()
        number = 29
        with Repository.open(place) as after:
            assert after.read("main", f"{number}") == vst[f"{number}"]
            assert after.branches() == repo.branches()
    repo.maintenance()
    with Repository.open(place, cache_bytes=0) as again:
        assert [snapshot.id for snapshot in again.log("main")] == list(made)[::-1]
        for at, (snapshot, content) in enumerate(made.items()):
            assert again.read(snapshot, f"{at % 30}") == content
    assert repo.damage == []


def fill_past_the_bound(repo: Repository, seed: int = 5) -> None:
    chance = random.Random(seed)
    vst = repo.vst()
    for _ in range(12):
        vst["large"] = chance.randbytes(2 << 20)
        vst.commit()


def test_it_starts_by_itself_when_the_journal_is_long(repo: Repository, place: Path) -> None:
    fill_past_the_bound(repo)
    wait_until(lambda: "0000000000000001.journal" not in journal_segments(place), "maintenance")
    repo.maintenance()
    with Repository.open(place, cache_bytes=0) as again:
        assert sum(len(again.read(snapshot, "large")) for snapshot in again.log()) == 12 * (2 << 20)
    assert repo.stats()["l2"]["objects"]


def children() -> set[str]:
    return {
        child
        for path in Path("/proc/self/task").glob("*/children")
        for child in path.read_text().split()
    }


def test_one_of_many_writers_starts_it(repo: Repository, place: Path) -> None:
    with open(place / ".helios" / "maintenance.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        of_other_tests = children()
        fill_past_the_bound(repo)
        assert len(journal_segments(place)) > 4
        assert children() <= of_other_tests
    fill_past_the_bound(repo, seed=6)
    wait_until(lambda: "0000000000000001.journal" not in journal_segments(place), "maintenance")


def test_nothing_is_imported_from_the_working_directory(
    repo: Repository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that a commit starts runs in the caller's directory, whose files are anyone's."""
    for name in ("typing", "shutil", "heapq", "rocksdict", "helios"):
        (place / f"{name}.py").write_text(f"open({str(place / 'was-here')!r}, 'w').close()\n")
    monkeypatch.chdir(place)
    fill_past_the_bound(repo)
    wait_until(lambda: "0000000000000001.journal" not in journal_segments(place), "maintenance")
    repo.maintenance()
    assert not (place / "was-here").exists()


def test_the_command_says_by_its_code_what_was_wrong(tmp_path: Path) -> None:
    from helios.repository.maintenance import main

    assert main([str(tmp_path / ".helios")]) == errors.NotARepository.exit_code
    with Repository.init(tmp_path) as repo, repo.vst() as vst:
        vst["a"] = b"1"
    assert main([str(tmp_path / ".helios")]) == 0
    assert len(journal_segments(tmp_path)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="priorities are set on Linux only")
def test_maintenance_that_gets_no_turn_insists_after_a_while() -> None:
    script = """
import os, threading
from helios.repository import maintenance

maintenance._yield_to_commits()
assert os.sched_getscheduler(0) == os.SCHED_IDLE
end = threading.Event()
other = threading.Thread(target=end.wait, daemon=True)
other.start()
asking = threading.Thread(target=maintenance._insist)
asking.start()
asking.join()
threads = [threading.main_thread().native_id, other.native_id]
print(*(os.sched_getscheduler(thread) == os.SCHED_BATCH for thread in threads))
end.set()
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert done.stdout.split() == [b"True", b"True"]
