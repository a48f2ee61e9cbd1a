"""The repository's configuration, `.helios/config`: a TOML file that a person writes.

Every table and key may be missing. What is not known is an error, so that a typing mistake does not
drop history. `docs/CLI.md` has the schema.
"""

from __future__ import annotations

import os
import re

from helios.errors import InvalidConfig, StorageError
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "config"

DAY_S = 86_400
_SPANS_S = {"s": 1, "m": 60, "h": 3600, "d": DAY_S, "w": 7 * DAY_S}
_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class Retention(Result):
    """What gc keeps of history, beside what refs name.

    `last`, `within_s`, `hourly` and `daily` are the rules of a branch; all of it is kept if none is
    given. `branches` are patterns of branches of which all is kept. What the operation log has seen
    for `undo_s` seconds is kept, and so is what was made `grace_s` seconds ago or later.
    """

    __slots__ = ("branches", "daily", "grace_s", "hourly", "last", "undo_s", "within_s")

    def __init__(
        self,
        *,
        last: int | None = None,
        within_s: int | None = None,
        hourly: int | None = None,
        daily: int | None = None,
        branches: tuple[str, ...] = (),
        grace_s: int = 3600,
        undo_s: int = 7 * DAY_S,
    ) -> None:
        self.last = last
        self.within_s = within_s
        self.hourly = hourly
        self.daily = daily
        self.branches = branches
        self.grace_s = grace_s
        self.undo_s = undo_s

    @property
    def is_unlimited(self) -> bool:
        """Whether no rule drops anything."""
        return (self.last, self.within_s, self.hourly, self.daily) == (None,) * 4


class Config(Result):
    """`retention`, the bytes of memory that gc may take for what it has met, and whether large
    worktrees have monitors."""

    __slots__ = ("gc_memory_bytes", "monitors", "retention")

    def __init__(
        self, retention: Retention, gc_memory_bytes: int = 256 << 20, monitors: bool = True
    ) -> None:
        self.retention = retention
        self.gc_memory_bytes = gc_memory_bytes
        self.monitors = monitors


def load(directory: str) -> Config:
    """The configuration of the repository in `directory`, which may have none.

    Raises `InvalidConfig` if the file does not say what it should, `StorageError` if it cannot be
    read.
    """
    path = os.path.join(directory, FILE)
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return Config(Retention())
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", errno=error.errno) from error
    from tomllib import TOMLDecodeError, loads

    try:
        return _config(_Table(path, "", loads(text.decode())))
    except (TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path}: no TOML: {error}") from None


def _config(root: _Table) -> Config:
    retention = root.table("retention")
    gc = root.table("gc")
    monitor = root.table("monitor")
    root.end()
    config = Config(
        Retention(
            last=retention.count("keep-last"),
            within_s=retention.span_s("keep-within"),
            hourly=retention.count("keep-hourly"),
            daily=retention.count("keep-daily"),
            branches=retention.texts("keep-branches"),
            grace_s=_or(retention.span_s("grace"), Retention().grace_s),
            undo_s=_or(retention.span_s("undo"), Retention().undo_s),
        ),
        _or(gc.size("memory"), Config(Retention()).gc_memory_bytes),
        monitor.flag("enabled", default=True),
    )
    retention.end()
    gc.end()
    monitor.end()
    return config


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


class _Table:
    """A table of the file; each key is taken out once, and none may be left."""

    def __init__(self, path: str, name: str, values: Mapping[str, object]) -> None:
        self._path = path
        self._name = name
        self._values = dict(values)

    def table(self, key: str) -> _Table:
        value = self._values.pop(key, {})
        if not isinstance(value, dict):
            raise self._problem(key, "is a table", value)
        return _Table(self._path, f"{key}.", value)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._values.pop(key, default)
        if isinstance(value, bool):
            return value
        raise self._problem(key, "is true or false", value)

    def count(self, key: str) -> int | None:
        value = self._values.pop(key, None)
        if value is None or (type(value) is int and 0 <= value < 1 << 63):
            return value
        raise self._problem(key, "is a number, 0 or more", value)

    def span_s(self, key: str) -> int | None:
        value = self._values.pop(key, None)
        if value is None:
            return None
        found = re.fullmatch(r"([0-9]{1,9})([smhdw])", value) if isinstance(value, str) else None
        if found is None:
            raise self._problem(key, 'is a time such as "90s", "30m", "12h", "7d" or "2w"', value)
        return int(found[1]) * _SPANS_S[found[2]]

    def size(self, key: str) -> int | None:
        value = self._values.pop(key, None)
        if value is None:
            return None
        found = size_of(value) if isinstance(value, str) else None
        if found is None:
            raise self._problem(key, 'is a size such as "256MiB" or "2GiB"', value)
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._values.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self._problem(key, "is a list of names, in which `*` stands for anything", value)
        return tuple(value)

    def end(self) -> None:
        for key in self._values:
            raise InvalidConfig(f"{self._path}: there is no setting `{self._name}{key}`")

    def _problem(self, key: str, want: str, value: object) -> InvalidConfig:
        return InvalidConfig(f"{self._path}: `{self._name}{key}` {want}, not {value!r}")


def size_of(text: str) -> int | None:
    """The bytes that `2GiB`, `1.5 MiB` or `4096` mean; None if it is no size."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT]iB|B|)", text)
    return None if found is None else int(float(found[1]) * _UNITS[found[2]])
