"""Peers do the work that they are timed for; the ones that are not installed are said to be so."""

from __future__ import annotations

from pathlib import Path

import pytest

from helios.bench import agents, sidebyside
from helios.bench.figure import GIT, HELIOS, Unmeasurable
from helios.bench.peers import PEERS, assembled
from helios.bench.peers.peer import Branching, Changes, Differing, Reading
from helios.bench.workbench import SMOKE, Workbench

CONTENTS: Changes = {
    "README": b"read me\n",
    "src/a.py": b"a = 1\n",
    "src/deep/b.py": b"",
    "src/deep/c.bin": bytes(range(256)),
}
CHANGES: Changes = {"src/a.py": b"a = 2\n", "src/new.py": b"new\n", "other/d": b"d"}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_does_its_work(name: str, tmp_path: Path) -> None:
    bench = Workbench(SMOKE, 1, tmp_path, None)
    try:
        peer = bench.open.enter_context(PEERS[name](bench))
    except Unmeasurable as reason:
        pytest.skip(str(reason))
    with bench.open:
        peer.load(CONTENTS)
        assert peer.contents() == CONTENTS
        peer.prepare(CHANGES)
        peer.commit(CHANGES)
        assert peer.contents() == CONTENTS | CHANGES
        if sidebyside.can(peer, Differing):
            assert isinstance(peer, Differing)
            changed = {"README": b"again\n", "src/a.py": b"a = 3\n"}
            peer.prepare(changed)
            peer.commit(changed)
            assert sorted(peer.diff()) == sorted(changed)
        if sidebyside.can(peer, Reading):
            assert isinstance(peer, Reading)
            assert peer.read("src/deep/c.bin") == CONTENTS["src/deep/c.bin"]
        if sidebyside.can(peer, Branching):
            assert isinstance(peer, Branching)
            peer.branch("side")
            assert peer.branches() == {"main", "side"}


def test_a_peer_that_is_not_wanted_is_not_asked(tmp_path: Path) -> None:
    bench = Workbench(SMOKE, 1, tmp_path, None)
    with bench.open:
        peers, missing = assembled(bench, [GIT])
        assert [peer.name for peer in peers] == [HELIOS, GIT]
        assert not missing


def test_a_missing_peer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helios.bench.programs.shutil.which", lambda _: None)
    bench = Workbench(SMOKE, 1, tmp_path, None)
    with bench.open:
        peers, missing = assembled(bench, [GIT])
        assert [peer.name for peer in peers] == [HELIOS]
        assert missing == ["git is missing: git is not installed"]


def test_work_that_was_not_done_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Workbench(SMOKE, 1, tmp_path, None, peers=[])
    with bench.open:
        monkeypatch.setattr(PEERS[HELIOS], "commit", lambda *_: None)
        peers, _ = assembled(bench, [])
        monkeypatch.undo()
        peers[0].load(bench.corpus.contents)
        bench.once("peers", lambda: (peers, []))
        monkeypatch.setattr(PEERS[HELIOS], "commit", lambda *_: None)
        with pytest.raises(AssertionError, match="has not committed what it was given"):
            sidebyside.commit(bench)


def test_a_session_is_the_same_for_the_same_seed() -> None:
    contents = {f"file{number}": b"one\ntwo\n" for number in range(30)}
    first = list(agents.session("seed", contents, 80))
    assert first == list(agents.session("seed", contents, 80))
    assert first != list(agents.session("other", contents, 80))
    kinds = [step.kind for step, _ in first]
    assert set(kinds) == {"edit", "fork", "rollback", "read"}
    edits = [len(step.changes) for step, _ in first if step.kind == "edit"]
    assert min(edits) >= 1
    assert max(edits) <= agents.EDITED_MAX + 1
    forks = [len(step.attempts) for step, _ in first if step.kind == "fork"]
    assert all(agents.FORKS_MIN <= count <= agents.FORKS_MAX for count in forks)
