"""The store in memory."""

from helios.store import MemoryStore, Store
from store_suite import StoreSuite


class TestMemoryStore(StoreSuite):
    def make(self) -> Store:
        return MemoryStore()
