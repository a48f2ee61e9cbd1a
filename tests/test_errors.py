"""The exception tree: agreed with the Rust core, stable for machines, sound in Python."""

from __future__ import annotations

import errno
import inspect
import pickle
import re
from pathlib import Path
from typing import NoReturn

import pytest

from helios import Repository, errors
from helios.errors import BranchMoved, HeliosError, MergeConflict, StorageError

ERROR_RS = Path(__file__).parents[1] / "crates/helios-core/src/error.rs"

ALL = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HeliosError)
]
RAISED = [
    kind for kind in ALL if not kind.__subclasses__() or kind in {StorageError, errors.Conflict}
]


def make(kind: type[HeliosError], message: str) -> HeliosError:
    if issubclass(kind, BranchMoved):
        return kind(message, branch="main", expected=None, actual="ab" * 32, snapshot="cd" * 32)
    if issubclass(kind, MergeConflict):
        return kind(message, paths=["a"], snapshot="cd" * 32)
    if issubclass(kind, StorageError):
        return kind(message, errno=errno.ENOSPC)
    return kind(message)


def names_in_rust() -> set[str]:
    body = re.search(r"fn name\(&self\).*?\n    }\n", ERROR_RS.read_text(), re.DOTALL)
    assert body, f"{ERROR_RS} has no `fn name`"
    return set(re.findall(r'=> "(\w+)"', body[0]))


def documented_exit_codes() -> dict[int, str]:
    rows = re.findall(r"^(\d+)  +(.*)$", errors.__doc__ or "", re.MULTILINE)
    return {int(code): meaning for code, meaning in rows}


def test_every_name_that_rust_raises_is_a_class_here() -> None:
    names = names_in_rust()
    assert len(names) >= 15
    assert names <= {kind.__name__ for kind in RAISED}


def test_codes_are_unique_and_fit_for_machines() -> None:
    codes = [kind.__dict__["code"] for kind in ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("kind", ALL)
def test_exit_codes_are_documented(kind: type[HeliosError]) -> None:
    meanings = documented_exit_codes()
    assert sorted(meanings) == list(range(12))
    named = set(re.findall(r"`(\w+)`", meanings[kind.exit_code]))
    assert kind is HeliosError or named & {base.__name__ for base in kind.__mro__}


@pytest.mark.parametrize("kind", RAISED)
def test_str_is_the_message(kind: type[HeliosError]) -> None:
    assert str(make(kind, "it's \"so\": 'x'\n")) == "it's \"so\": 'x'\n"


@pytest.mark.parametrize("kind", RAISED)
def test_pickling_keeps_kind_message_and_attributes(kind: type[HeliosError]) -> None:
    error = make(kind, "what happened")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == "what happened"
    assert vars(again) == vars(error)
    assert getattr(again, "errno", None) == getattr(error, "errno", None)


@pytest.mark.parametrize(
    ("name", "builtins"),
    [
        ("InvalidId", [ValueError]),
        ("InvalidPath", [ValueError]),
        ("InvalidName", [ValueError]),
        ("Usage", [ValueError]),
        ("NotARepository", [FileNotFoundError]),
        ("UnknownRevision", [LookupError]),
        ("AmbiguousRevision", [LookupError]),
        ("PathNotFound", [FileNotFoundError, KeyError]),
        ("PathIsADirectory", [IsADirectoryError]),
        ("PathNotADirectory", [NotADirectoryError]),
        ("BranchExists", [FileExistsError]),
        ("ObjectNotFound", [LookupError]),
        ("ReadOnlyRepository", [PermissionError]),
        ("UnsafePath", [ValueError]),
        ("TargetNotEmpty", [FileExistsError]),
        ("StorageError", [OSError]),
    ],
)
def test_builtins_catch(name: str, builtins: list[type[Exception]]) -> None:
    kind = getattr(errors, name)
    for builtin in builtins:
        with pytest.raises(builtin):
            raise kind("what happened")


def test_branch_moved_names_both_snapshots_and_the_kept_one() -> None:
    error = BranchMoved("moved", branch="main", expected=None, actual="ab", snapshot="cd")
    assert (error.branch, error.expected, error.actual, error.snapshot) == (
        "main",
        None,
        "ab",
        "cd",
    )
    assert isinstance(error, errors.Conflict)
    assert not isinstance(error, OSError)


def test_storage_error_carries_errno() -> None:
    assert StorageError("disk full", errno=errno.ENOSPC).errno == errno.ENOSPC
    assert StorageError("unknown").errno is None


class TimedOut(Exception):
    """What the handler of somebody's alarm raises."""


@pytest.mark.parametrize("raised", [KeyboardInterrupt, TimedOut, TimeoutError])
@pytest.mark.parametrize("where", ["RocksStore.records", "_get_records"])
def test_what_a_signals_handler_raises_while_l2_is_asked_is_no_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException], where: str
) -> None:
    with Repository.init(tmp_path, author="me") as repository:
        vst = repository.vst("main")
        vst.write("a", b"content")
        vst.commit("one")
        repository.maintenance()
    with Repository.open(tmp_path) as repository:
        snapshot = repository.resolve("main")

        def interrupted(_store: object, _ids: object) -> NoReturn:
            raise raised("alarm")

        monkeypatch.setattr(f"helios.store.rocksdb.{where}", interrupted)
        with pytest.raises(raised, match="alarm") as caught:
            repository.vst(snapshot).read("a")
        assert caught.type is raised
        monkeypatch.undo()
        assert repository.vst(snapshot).read("a") == b"content"
