"""Damage to RocksDB's MANIFEST is seen, and a writer that dies is not taken for damage."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from on_disk import copy_database, fill, held, run_python

from helios.errors import CorruptObject
from helios.store import RocksStore
from store_suite import make_id

FLIPPED_MANIFESTS = """
import shutil, sys
from pathlib import Path
from helios.errors import CorruptObject
from helios.store import RocksStore
from store_suite import make_id
path = Path(sys.argv[1])
[file] = path.glob("MANIFEST-*")
whole = file.read_bytes()
def use(writable):
    with RocksStore.open(path, writable=writable) as store:
        assert store.reference(b"main") == make_id(1)
for writable in (False, True):
    for at in range(len(whole)):
        flipped = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1:]
        for damaged in (flipped, whole[:at]):
            file.write_bytes(damaged)
            try:
                use(writable)
                print("opened", at, len(damaged))
            except CorruptObject as error:
                assert str(file) in str(error), error
file.write_bytes(whole)
for writable in (False, True):
    use(writable)
print("done")
"""


def test_a_manifest_with_any_byte_flipped_or_cut_off_is_refused(intact: Path, path: Path) -> None:
    copy_database(intact, path)
    # A process of its own, because RocksDB may wait for ever.
    process = run_python(FLIPPED_MANIFESTS, path)
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert output == "done\n"


def test_an_older_manifest_in_place_of_the_noted_one_is_refused(intact: Path, path: Path) -> None:
    copy_database(intact, path)
    older = path.with_name("older")
    shutil.copytree(path, older)
    with RocksStore.open(path, writable=True) as store:
        fill(store, "later")
    shutil.rmtree(path)
    older.rename(path)
    for writable in (False, True):
        with (
            pytest.raises(CorruptObject, match="CURRENT"),
            RocksStore.open(path, writable=writable) as store,
        ):
            store.reference(b"main")


DYING_BEFORE_A_NOTE = """
import os, signal, sys
from helios.store import RocksStore, manifest
from store_suite import make_id, make_record
notes, note = int(sys.argv[2]), manifest.note
def dying(directory):
    global notes
    if notes == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    notes -= 1
    note(directory)
manifest.note = dying
with RocksStore.open(sys.argv[1], writable=True) as store:
    store.put_records([(make_id("new"), make_record(b"new"))])
    store.put_references({b"main": make_id(2)})
    store.flush()
"""


@pytest.mark.parametrize(("notes", "name"), [(0, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("noted", [True, False])
def test_a_writer_that_dies_before_it_notes_the_manifest_loses_nothing(
    intact: Path, path: Path, notes: int, name: int, noted: bool
) -> None:
    copy_database(intact, path)
    if not noted:
        # As an earlier version left it.
        Path(f"{path}.manifest").unlink()
    for _ in range(2):
        process = run_python(DYING_BEFORE_A_NOTE, path, notes)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        for writable in (False, True):
            with RocksStore.open(path, writable=writable) as store:
                assert store.reference(b"main") == make_id(name)
                assert held(store, 1, "new") == [True, name == 2]
    assert Path(f"{path}.manifest").exists()
