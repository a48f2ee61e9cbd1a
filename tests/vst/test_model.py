"""Random edits: a VST does what a plain dict does, and only the content decides the tree's id."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios import VST, Repository, errors
from vst.tree_model import TreeModel, above

NAMES = st.sampled_from([b"a", b"b", b"a.b", b"\xff", b"new\nline", b"-"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
CONTENT = st.binary(max_size=40) | st.integers(0, 5).map(lambda n: b"line\n" * 200 + b"%d" % n)

EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PATHS, CONTENT),
        st.tuples(st.just("delete"), PATHS),
        st.tuples(st.just("rename"), PATHS, PATHS),
        st.tuples(st.just("mkdir"), PATHS),
        st.tuples(st.just("commit")),
        st.tuples(st.just("reload")),
        st.tuples(st.just("maintenance")),
    ),
    max_size=30,
)


def outcome(target: VST | TreeModel, name: str, arguments: Sequence[bytes]) -> object:
    """The class of the error that a call gives, or None."""
    try:
        getattr(target, name)(*arguments)
    except errors.HeliosError as error:
        return type(error)
    return None


@settings(max_examples=150, deadline=None)
@given(EDITS)
def test_edits_do_what_they_do_to_a_dict(edits: list[tuple[str, bytes]]) -> None:
    with Repository.memory() as repo:
        vst, model, committed = repo.vst(), TreeModel(), TreeModel()
        for name, *arguments in edits:
            if name == "commit":
                vst.commit()
                committed = model.copy()
            elif name == "reload":
                vst, model = repo.vst(), committed.copy()
            elif name == "maintenance":
                repo.maintenance()
            else:
                expected = outcome(model, name, arguments)
                assert outcome(vst, name, arguments) is expected
        model.check(vst)
        vst.commit()
        model.check(repo.vst())


@settings(max_examples=60, deadline=None)
@given(EDITS, EDITS)
def test_a_fork_and_its_origin_do_not_see_each_other(
    first: list[tuple[str, bytes]], second: list[tuple[str, bytes]]
) -> None:
    edits = {"write", "delete", "rename", "mkdir"}
    with Repository.memory() as repo:
        vst, model = repo.vst(), TreeModel()
        for name, *arguments in first:
            if name in edits:
                assert outcome(model, name, arguments) is outcome(vst, name, arguments)
        fork, twin = vst.fork(), model.copy()
        for at, (name, *arguments) in enumerate(second):
            if name in edits:
                target, expected = ((vst, model), (fork, twin))[at % 2]
                assert outcome(target, name, arguments) is outcome(expected, name, arguments)
        model.check(vst)
        twin.check(fork)


FILES = st.dictionaries(
    st.integers(0, 3000).map(lambda n: b"%d/%04d" % (n % 2, n)), st.binary(max_size=3), max_size=200
)


def tree_of(vst: VST) -> str:
    return vst.commit(allow_empty=True).tree_id


@settings(max_examples=60, deadline=None)
@given(FILES, st.data())
def test_the_same_content_by_different_orders_has_the_same_id(
    files: dict[bytes, bytes], data: st.DataObject
) -> None:
    with Repository.memory() as repo:
        one = repo.vst("main").fork()
        for path, content in sorted(files.items()):
            one[path] = content
        expected = tree_of(one)

        other = repo.vst("main").fork()
        noise = data.draw(FILES)
        for path in noise:
            other[path] = b"noise"
        if data.draw(st.booleans()):
            other.commit()
            repo.maintenance()
        for path in data.draw(st.permutations(sorted(files))):
            other[path] = files[path]
        for path in noise:
            if path not in files:
                other.delete(path)
        assert tree_of(other) == expected


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(PATHS, CONTENT, max_size=20))
def test_another_content_has_another_id(files: dict[bytes, bytes]) -> None:
    with Repository.memory() as repo:
        vst = repo.vst()
        for path, content in files.items():
            # What cannot be beside the rest is left out.
            outcome(vst, "write", [path, content])
        before = tree_of(vst)
        for name in vst:
            fork = vst.fork()
            fork[name] = vst[name] + b"!"
            assert tree_of(fork) != before
            fork[name] = vst[name]
            assert tree_of(fork) == before
            fork.write(name, vst[name], executable=True)
            assert tree_of(fork) != before


def test_the_model_knows_what_is_above_a_path() -> None:
    assert above(b"a/b/c") == [b"a/b", b"a"]
    assert above(b"a") == []


@pytest.mark.parametrize("count", [1, 60, 500, 5000])
def test_one_directory_of_many_files_reads_back_and_shrinks_again(count: int) -> None:
    with Repository.memory() as repo:
        empty = tree_of(repo.vst().fork())
        vst = repo.vst()
        for number in range(count):
            vst[f"{number:05}"] = b"%d" % number
        vst.commit()
        repo.maintenance()
        again = repo.vst()
        assert list(again) == [f"{number:05}" for number in range(count)]
        assert all(again[f"{number:05}"] == b"%d" % number for number in range(0, count, 7))
        for number in range(count):
            again.delete(f"{number:05}")
        assert tree_of(again) == empty
