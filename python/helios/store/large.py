"""Large records: blobs that lie in packs, and the stub that stands for each.

A blob whose record, raw or compressed, has `LARGE_BYTES_MIN` bytes or more is appended to a pack.
Under its id the family `chunks` says where it lies, and in `objects` stands a stub of ten bytes.
The stub is what counts: a location without one is garbage, a stub without a location stands for
nothing.

====== ===================================================
offset content
====== ===================================================
0      kind, as in the record
1      stored form, as in the record, with `STUB_BIT` set
2      u64, little-endian: length of the record
====== ===================================================

In repositories of version 2 the record itself is in `chunks`; gc moves it to a pack.

Why: what RocksDB does with a value on its way, in tables or in blob files, costs more than to hash
it, and tables are written anew when they are merged (`docs/design/019-packs.md`).
"""

from __future__ import annotations

from helios._core import Packs

BLOB = 1
WHOLE_FORMS = (0, 1)
"""Raw and zstd: what is stored with the help of others is small, and read before them."""

LARGE_BYTES_MIN = 64 << 10
STUB_BIT = 0x80
STUB_LEN = 10


def is_large(record: bytes) -> bool:
    """Whether a record goes to a pack."""
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


def form_of_stub(stub: bytes) -> int:
    """The stored form of the record that a stub stands for."""
    return stub[1] & ~STUB_BIT


def length_of(stub: bytes) -> int:
    """The length of the record that a stub stands for."""
    return int.from_bytes(stub[2:], "little")


def is_location(value: bytes) -> bool:
    """Whether a value of `chunks` says where a record lies; what is longer is the record."""
    return len(value) == Packs.LOCATION_LEN
