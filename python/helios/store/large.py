"""Large records: blobs that lie in a family of their own, and the stub that stands for each.

A blob whose record, raw or compressed, has `LARGE_BYTES_MIN` bytes or more is stored under its id
in the family `chunks`, in tables; under its id in `objects` stands a stub of ten bytes. The stub is
what counts: a large record without one is garbage, a stub without its record stands for nothing.

====== ===================================================
offset content
====== ===================================================
0      kind, as in the record
1      stored form, as in the record, with `STUB_BIT` set
2      u64, little-endian: length of the record
====== ===================================================

Why: reading a large record out of a table costs 0.2 ns a byte, checksum included. Blob files, which
hold all other long values, are read at 2 ns a byte, because `rocksdict` computes their checksums
(CRC-32C) without the processor's instruction for it (`docs/design/015-verify-at-speed.md`).
"""

from __future__ import annotations

BLOB = 1
WHOLE_FORMS = (0, 1)
"""Raw and zstd: what is stored with the help of others is small, and read before them."""

LARGE_BYTES_MIN = 64 << 10
STUB_BIT = 0x80
STUB_LEN = 10

KEPT_BYTES = 8 << 20
"""What a thread has in memory of large records at a time, at most: those that RocksDB has read, and
those that it has handed over."""


def keep_freed_memory() -> None:
    """To be called before many large records are read: the allocator keeps the memory of those that
    were let go, for the next ones.

    glibc returns what is freed to the system above a threshold, so that each page of each record
    would be faulted in and cleared again: twice the processor time of a `verify` without that. The
    threshold follows the largest block that was mapped and freed (mallopt(3), M_MMAP_THRESHOLD).
    Other allocators do not care.
    """
    bytes(KEPT_BYTES)


def is_large(record: bytes) -> bool:
    """Whether a record goes to the family of large ones."""
    return may_be_large(record[1], len(record)) and record[0] == BLOB


def may_be_large(form: int, length: int) -> bool:
    """Whether a blob of this form and length is; what is no blob may be as long."""
    return length >= LARGE_BYTES_MIN and form in WHOLE_FORMS


def stub_of(record: bytes) -> bytes:
    """What stands in `objects` for a large record."""
    return bytes((record[0], record[1] | STUB_BIT)) + len(record).to_bytes(8, "little")


def is_stub(value: bytes) -> bool:
    """Whether a value of `objects` stands for a large record. No record is that short and has this
    form: damage that makes it look so leads to a record that is verified, or to none."""
    return len(value) == STUB_LEN and value[1] >= STUB_BIT


def length_of(stub: bytes) -> int:
    """The length of the record that a stub stands for."""
    return int.from_bytes(stub[2:], "little")
