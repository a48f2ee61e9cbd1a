"""Flipped bytes and cut files, anywhere in `.helios`.

Whatever is damaged: the reader ends by itself, gives right data or a documented error, and `verify`
finds the damage, unless it is in a file that nothing rests on. What is read is read in a process of
its own, with a time limit.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helios import Repository
from repository import workers

TIMEOUT_S = 120
SEED = 11
FLIPS = 3

HARMLESS = {
    "metrics": "statistics",
    "worktree/index": "a cache with checksums, which is made anew",
    "worktree/lock": "empty",
    "worktree/turn": "empty",
    "journal/lock": "empty",
    "journal/synced": "only what is ahead of the journal matters, which has a test of its own",
    "l2.manifest": "a note that says nothing where it does not read",
    "l2.lock": "the number of a process, for a message",
    "l2/LOCK": "empty",
    "l2/LOG": "what RocksDB tells a person",
    "l2/IDENTITY": "which nothing compares",
    "l2/OPTIONS": "what a writer had set; each opening sets its own",
}


def is_harmless(name: str) -> bool:
    return any(name == known or name.startswith(f"{known}-") for known in HARMLESS) or (
        name.startswith("l2/") and (name.endswith((".log", ".dbtmp")) or "LOG.old" in name)
    )


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A repository with two branches, half in L2 and half in the journal, and its contents."""
    place = tmp_path / "whole"
    chance = random.Random(SEED)
    states: dict[str, dict[str, bytes]] = {}
    with Repository.init(place, durability="disk") as repo:
        vst = repo.vst()
        for number in range(12):
            vst[f"d/{number}"] = chance.randbytes(900)
            vst["lines"] = b"".join(b"%d\n" % (n if n != number else -1) for n in range(300))
            if number == 3:
                vst["large"] = chance.randbytes(1_500_000)
            states[vst.commit(f"{number}").id] = {path: vst[path] for path in vst}
            if number == 7:
                other = repo.vst().fork("other")
                other["other"] = chance.randbytes(300)
                states[other.commit("other").id] = {path: other[path] for path in other}
                repo.maintenance()
        repo.worktree.switch("main")
        (place / "ondisk").write_bytes(b"1")
        last = repo.vst(repo.worktree.commit().snapshot)
        assert last.base is not None
        states[last.base] = {path: last[path] for path in last}
    lines = [f"{s} {p} {c.hex()}" for s, files in states.items() for p, c in files.items()]
    (tmp_path / "states").write_text("\n".join(lines))
    return place


def damages(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """What the file holds afterwards, and how that is told."""
    chance = random.Random(f"{SEED} {name}")
    for _ in range(FLIPS):
        at, bit = chance.randrange(len(content)), chance.randrange(8)
        flipped = bytearray(content)
        flipped[at] ^= 1 << bit
        yield f"bit {bit} of byte {at} flipped", bytes(flipped)
    for end in (0, chance.randrange(len(content))):
        yield f"cut to {end} bytes", content[:end]


def files(place: Path) -> list[str]:
    found = [path for path in (place / ".helios").rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(place / ".helios")) for path in found)


def test_damage_anywhere_is_an_error_that_verify_finds(whole: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    states = tmp_path / "states"
    shutil.copytree(whole, place)
    assert workers.run("look_at_damage", place, states, "verify") == ["read right", "verify clean"]
    seen: set[str] = set()
    for name in files(whole):
        content = (whole / ".helios" / name).read_bytes()
        if not content:
            continue
        for told, damaged in damages(name, content):
            shutil.rmtree(place)
            shutil.copytree(whole, place)
            (place / ".helios" / name).write_bytes(damaged)
            what = f"{name}: {told} (seed {SEED})"
            print(what)
            read, verified = workers.run(
                "look_at_damage", place, states, "verify", timeout_s=TIMEOUT_S
            )
            seen.add(read)
            if is_harmless(name):
                assert read == "read right", what
            elif not is_at_rest(damaged, content):
                assert verified != "verify clean", f"{what}: {read}"
    assert any("right" in read and "Corrupt" in read for read in seen), seen


def is_at_rest(damaged: bytes, content: bytes) -> bool:
    """Whether only zeros were flipped or cut off that a segment is extended by."""
    return damaged.rstrip(b"\0") == content.rstrip(b"\0")


@pytest.mark.parametrize("name", ["journal/*.journal", "l2/*.blob", "l2/*.sst", "l2/CURRENT"])
def test_what_a_copy_holds_is_repaired_whatever_was_hit(
    whole: Path, tmp_path: Path, name: str
) -> None:
    place = tmp_path / "place"
    target = max((whole / ".helios").glob(name), key=lambda path: path.stat().st_size)
    content = target.read_bytes()
    for told, damaged in damages(name, content):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole, place)
        (place / ".helios" / target.relative_to(whole / ".helios")).write_bytes(damaged)
        print(f"{name}: {told} (seed {SEED})")
        with Repository.open(place) as repo:
            found = repo.verify(repair=True, source=whole)
            assert found.clean, found.damage
            head = repo.branches().get("main")
        lines = workers.run("look_at_damage", place, tmp_path / "states", "verify")
        # Which commits a cut segment held, nothing tells any more.
        assert lines[1] in ("verify clean", "verify note")
        assert head is not None
