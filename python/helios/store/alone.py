"""A store that nothing is derived beside: what it has is all that there is."""

from __future__ import annotations

from helios.store.closing import Closing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from helios._core import Packs


class Alone(Closing):
    """What `Store` says of derived objects, where there are none. Implement `records`."""

    __slots__ = ()

    def records(self, ids: Sequence[bytes]) -> list[bytes | None]:
        """As `Store.records`."""
        raise NotImplementedError

    def stored(self, ids: Sequence[bytes]) -> list[bytes | None]:
        return self.records(ids)

    def located(self, ids: Sequence[bytes]) -> tuple[Packs | None, list[bytes | None]]:
        return None, self.records(ids)

    def derives(self) -> bool:
        return False

    def underivable(self) -> Iterator[tuple[str, str, str]]:
        return iter(())

    def closed(self, ids: Sequence[bytes]) -> list[bool]:
        return [False] * len(ids)
