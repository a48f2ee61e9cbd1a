"""Results of operations: plain values with named fields.

Not `typing.NamedTuple` nor a dataclass, because importing either and making the classes costs more
than a command's work.
"""

from __future__ import annotations


class Result:
    """A value whose fields are its slots."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # some fields are lists

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"
