"""The L2 store: every object that has left the journal, and the refs and operations with it.

`Store` is the interface, `MemoryStore` and `RocksStore` implement it. They are imported on first
use, and RocksDB only when a store is opened, because most commands need nothing from L2.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.store.base import Store, StoreCounts
    from helios.store.memory import MemoryStore
    from helios.store.rocksdb import RocksStore

__all__ = ["MemoryStore", "RocksStore", "Store", "StoreCounts"]

_MODULES = {
    "MemoryStore": "memory",
    "RocksStore": "rocksdb",
    "Store": "base",
    "StoreCounts": "base",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sys

    # `importlib` would take half a millisecond of imports of its own.
    module = f"{__name__}.{_MODULES[name]}"
    __import__(module)
    found: object = getattr(sys.modules[module], name)
    globals()[name] = found
    return found
