"""What the tests run in processes of their own. `python -m repository.workers NAME ARGUMENT...`"""

from __future__ import annotations

import os
import random
import resource
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

from helios import Repository, errors


def start(name: str, *arguments: object) -> subprocess.Popen[str]:
    """Starts a worker; what it prints can be read, what it does wrong is on its standard error."""
    return subprocess.Popen(
        [sys.executable, "-m", "repository.workers", name, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def run(name: str, *arguments: object, timeout_s: float = 120) -> list[str]:
    """Runs a worker to its end, which must be a good one; the lines that it printed."""
    with start(name, *arguments) as process:
        output, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, f"{name} ended with {process.returncode}"
    return output.splitlines()


def say(text: str, to: IO[str] = sys.stdout) -> None:
    to.write(f"{text}\n")
    to.flush()


def commit_loop(directory: str, seed: str) -> None:
    """Commits until it is killed, to branches of its own, and says each id once it is given."""
    with Repository.open(directory) as repo:
        chance = random.Random(seed)
        vst = repo.vst(repo.create_branch(f"loop-{seed}")).fork(f"work-{seed}")
        for count in range(1_000_000):
            vst[f"{seed}/{count % 50}"] = chance.randbytes(chance.choice([10, 1000, 100_000]))
            vst["count"] = b"%d" % count
            say(f"{vst.commit(f'{seed} {count}').id} {count}")


def commit_retrying(directory: str, name: str, count: str) -> None:
    """Commits `count` times to `main`, beside other processes that do the same."""
    with Repository.open(directory) as repo:
        vst = repo.vst()
        for number in range(int(count)):
            vst[f"{name}/{number}"] = b"x"
            vst.commit(on_conflict="retry")


def commit_many(directory: str, name: str, count: str) -> None:
    """Commits `count` times to a branch of its own and, beside other processes, to `main`."""
    with Repository.open(directory) as repo:
        own = repo.vst().fork(name)
        for number in range(int(count)):
            own["own"] = b"%d" % number
            own.commit()
            while True:
                shared = repo.vst()
                shared[f"{name}/{number}"] = b"x"
                try:
                    shared.commit()
                except errors.BranchMoved:
                    continue
                break


def collect(directory: str) -> None:
    """Collects again and again, until it is killed."""
    with Repository.open(directory) as repo:
        say("begins")
        while True:
            repo.gc()


def commit_acknowledged(directory: str, branch: str, count: str, file: str) -> None:
    """Commits to a branch beside others, which may be on it too, and notes each id in a file.

    The loser of a compare-and-swap builds on what the winner made. Nothing else may fail.
    """
    with Repository.open(directory) as repo, open(file, "a", encoding="ascii") as acknowledged:
        vst = repo.vst(branch)
        for number in range(int(count)):
            while True:
                vst[f"by {os.getpid()}"] = b"%d" % number
                try:
                    snapshot = vst.commit()
                except errors.BranchMoved as moved:
                    assert moved.actual != moved.expected
                    vst = repo.vst(branch)
                    continue
                break
            say(f"{snapshot.id} {os.getpid()} {number}", acknowledged)


def read_beside(directory: str) -> None:
    """Reads whole branches, opened anew or not, until its input ends; says how many snapshots."""
    seen = 0
    with Repository.open(directory, cache_bytes=0) as kept:
        say("ready")
        while not select.select([sys.stdin], [], [], 0)[0]:
            with Repository.open(directory) as fresh:
                for repo in (kept, fresh):
                    for branch in repo.branches():
                        vst = repo.vst(branch)
                        assert all(vst[path] is not None for path in vst)
                        seen += sum(1 for _ in repo.log(branch, 5))
    say(str(seen))


def maintain_beside(directory: str) -> None:
    """Runs maintenance again and again until its input ends; says how much was moved."""
    moved = 0
    say("ready")
    with Repository.open(directory) as repo:
        while not select.select([sys.stdin], [], [], 0.02)[0]:
            with suppress(errors.StoreBusy):
                moved += repo.maintenance(wait_s=0).objects
    say(str(moved))


def do_everything(directory: str, outside: str, seed: str, steps: str) -> None:
    """Does whatever makes operations, at random, in the worktree and beside it.

    Others are in its way; nothing may be damaged for it.
    """
    chance = random.Random(int(seed))
    file = Path(directory, f"file-{seed}")
    with Repository.open(directory) as repo:
        own = f"own-{seed}"

        def edit() -> None:
            file.write_bytes(b"%d\n" % chance.randrange(100))

        def commit_vst() -> None:
            vst = repo.vst().fork(own) if repo.branch(own) is None else repo.vst(own)
            vst["count"] = b"%d" % chance.randrange(1000)
            vst.commit(on_conflict="retry")

        def commit_main() -> None:
            with repo.vst("main") as main:
                main[f"beside-{seed}"] = b"%d" % chance.randrange(1000)

        def add_and_remove() -> None:
            root = f"{outside}/tree-{seed}"
            repo.add_worktree(root, f"tree-{chance.randrange(99)}")
            repo.remove_worktree(root)

        name = f"side-{chance.randrange(3)}"
        actions = (
            edit,
            commit_vst,
            commit_main,
            add_and_remove,
            repo.worktree.commit,
            lambda: repo.restore(
                chance.choice(["main", *(each.id for each in repo.log("main", 5))])
            ),
            lambda: repo.worktree.switch(chance.choice([*repo.branches(), "main"])),
            lambda: repo.worktree.switch("main"),
            lambda: repo.worktree.merge(f"own-{chance.randrange(4)}", markers=True),
            lambda: repo.create_branch(name),
            lambda: repo.delete_branch(name),
            lambda: repo.rename_branch(name, f"{name}-renamed"),
            lambda: repo.create_tag(f"tag-{chance.randrange(3)}", force=True),
            lambda: repo.delete_tag(f"tag-{chance.randrange(3)}"),
            repo.undo,
            repo.undo,
            repo.redo,
            lambda: repo.undo(chance.choice([*(each.id for each in repo.operations(10)), "@"])),
            lambda: repo.restore_operation(
                chance.choice([*(each.id for each in repo.operations(10)), "@"])
            ),
            lambda: repo.maintenance(wait_s=0),
            lambda: repo.gc(wait_s=0),
        )
        for _ in range(int(steps)):
            try:
                chance.choice(actions)()
            except errors.Corruption:
                raise
            except errors.HeliosError as error:
                say(f"{type(error).__name__}: {error}", sys.stderr)


def lives(directory: str, acknowledged: str) -> None:
    """At each line of input forks a process that commits until it is killed; says its number.

    Each life commits to a branch of its own, with and without durability `disk`, and notes each id
    in a file before it goes on.
    """
    for line in sys.stdin:
        life = int(line)
        child = os.fork()
        if child == 0:
            file = os.open(f"{acknowledged}/{life}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            durability: Literal["process", "disk"] = "disk" if life % 3 == 0 else "process"
            chance = random.Random(life)
            repo = Repository.open(directory, durability=durability)
            vst = repo.vst("main").fork(f"life-{life}")
            for count in range(1_000_000):
                vst["count"] = b"%d" % count
                vst["content"] = chance.randbytes(chance.choice([10, 1000, 60_000]))
                os.write(file, f"{vst.commit().id} {count}\n".encode())
        say(str(child))
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def read_steadily(directory: str, files: str) -> None:
    """Opens a VST, and at each line of input reads all of it and says how many files were right."""
    with Repository.open(directory, cache_bytes=0) as repo:
        vst = repo.vst()
        say("ready")
        for _ in sys.stdin:
            right = sum(vst[f"d/{n}"] == b"%d" % n * 100 for n in range(int(files)))
            say(str(right))


def init_at_once(directory: str) -> None:
    """Makes the repository and commits to it, when a line of input says so."""
    say("ready")
    sys.stdin.readline()
    with Repository.init(directory) as repo:
        vst = repo.vst().fork(f"by-{os.getpid()}")
        vst["a"] = b"%d" % os.getpid()
        say(vst.commit().id)


def worktree_commits(directory: str, name: str, count: str) -> None:
    """Changes a file of its own in the worktree and commits the whole, again and again."""
    with Repository.open(directory) as repo:
        for number in range(int(count)):
            Path(directory, name).write_bytes(b"%d" % number)
            repo.worktree.commit()


def limited(directory: str, limit: str, out: str, durability: Literal["process", "disk"]) -> None:
    """Meets a full disk, in the form of a limit to the length of files, at every kind of write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Repository.open(directory, durability=durability) as repo:
        large = random.Random(1).randbytes(3 << 20)
        vst = repo.vst()
        vst["large"] = large
        vst["d/small"] = b"small"
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
        for call in (
            vst.commit,
            vst.commit,
            lambda: repo.materialize("full", out),
            lambda: repo.restore("full"),
        ):
            try:
                call()
            except errors.StorageError as error:
                say(f"{type(error).__name__} {error.errno} {error}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        say(vst.commit("after all").id)
        assert repo.read("main", "large") == large
        assert repo.read("main", "d/small") == b"small"


def flip_in_l2(directory: str, states: str, *names: str) -> None:
    """Flips bits in files of L2, one at a time, and says what reading everything gave."""
    expected: dict[str, dict[str, bytes]] = {}
    for line in Path(states).read_text().splitlines():
        snapshot, path, content = line.split(" ")
        expected.setdefault(snapshot, {})[path] = bytes.fromhex(content)
    chance = random.Random(8)
    for name in names:
        file = Path(directory, ".helios", "l2", name)
        whole = file.read_bytes()
        for _ in range(40 if file.suffix in {".sst", ".blob"} else 8):
            damaged = bytearray(whole)
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            file.write_bytes(damaged)
            say(f"{name} {' '.join(sorted(read_everything(directory, expected)))}")
        file.write_bytes(whole)


def look_at_damage(directory: str, states: str, *commands: str) -> None:
    """Reads all that should be there, and verifies; says what came of each, a line each."""
    expected: dict[str, dict[str, bytes]] = {}
    for line in Path(states).read_text().splitlines():
        snapshot, path, content = line.split(" ")
        expected.setdefault(snapshot, {})[path] = bytes.fromhex(content)
    try:
        say(f"read {' '.join(sorted(read_everything(directory, expected)))}")
    except errors.HeliosError as error:
        assert str(error), "no message"
        say(f"read {type(error).__name__}")
    for command in commands:
        try:
            with Repository.open(directory) as repo:
                found = repo.verify(repair=command == "repair")
        except errors.HeliosError as error:
            assert str(error), "no message"
            say(f"{command} {type(error).__name__}")
            continue
        for damage in found.damage:
            assert damage.reason, damage
            assert damage.id is None or len(damage.id) == 64, damage
        damaged = "damage" if found.damage else "note" if found.notes else "clean"
        say(f"{command} {damaged}")


def read_everything(directory: str, expected: dict[str, dict[str, bytes]]) -> set[str]:
    """`right`, and the names of errors, of all snapshots; wrong data is an AssertionError."""
    outcomes: set[str] = set()
    with Repository.open(directory, cache_bytes=0) as repo:
        try:
            assert repo.branches()["main"] in expected
            assert repo.resolve(next(iter(expected))[:10]) in expected
        except errors.HeliosError as error:
            outcomes.add(type(error).__name__)
        for snapshot, files in expected.items():
            try:
                vst = repo.vst(snapshot)
                assert {path: vst[path] for path in vst} == files, "wrong data"
            except errors.HeliosError as error:
                assert str(error), "no message"
                outcomes.add(type(error).__name__)
            else:
                outcomes.add("right")
    return outcomes


def main(arguments: list[str]) -> None:
    name, *rest = arguments
    globals()[name](*rest)


if __name__ == "__main__":
    main(sys.argv[1:])
