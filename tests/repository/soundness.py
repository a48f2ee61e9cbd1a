"""Whether a repository is good after something went wrong: it all reads, and can be worked with."""

from __future__ import annotations

from pathlib import Path

from helios import Repository

Acknowledged = dict[str, str]
"""Ids of snapshots, and what their file `count` holds."""


def said(output: str) -> Acknowledged:
    """What a workload has acknowledged; a line that is cut off was not said."""
    lines = (line.split() for line in output.splitlines(keepends=True) if line.endswith("\n"))
    return {words[0]: words[1] for words in lines if words[0] != "failed"}


def read_everything(repo: Repository, acknowledged: Acknowledged) -> int:
    """Reads, and so verifies, all that is reachable and all that was acknowledged; in bytes."""
    size = 0
    for branch in repo.branches():
        for snapshot in repo.log(branch):
            vst = repo.vst(snapshot)
            size += sum(len(vst[path]) for path in vst)
    for snapshot_id, expected in acknowledged.items():
        assert repo.read(snapshot_id, "count").decode() == expected
    return size


def assert_good(place: Path, acknowledged: Acknowledged) -> None:
    """Everything reads, commits of both kinds work and maintenance does; it all reads again."""
    with Repository.open(place, cache_bytes=0) as repo:
        assert read_everything(repo, acknowledged)
        assert repo.verify().damage == []
        # Torn tails at most are left, which are kept; no stretch is damaged.
        lost = place / ".helios" / "journal" / "lost"
        torn = {path.name for path in lost.glob("*")}
        assert {f"{segment:016x}-{at:x}.torn" for segment, at, _ in repo.damage} == torn
        vst = repo.vst("work")
        vst["afterwards"] = b"1"
        made = vst.commit()
        assert repo.resolve("work") == made.id
        (place / "count").write_bytes(b"9")
        later = repo.worktree.commit().snapshot
        repo.maintenance()
    with Repository.open(place, cache_bytes=0) as again:
        assert again.resolve("main") == later.id
        assert again.verify().damage == []
        assert read_everything(again, {**acknowledged, later.id: "9"})
