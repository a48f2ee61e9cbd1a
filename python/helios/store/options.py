"""How RocksDB is set up: families, compaction, caches, checksums, each with what was measured."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rocksdict import Options

FAMILIES = ("objects", "refs", "operations")
CHUNKS = "chunks"
"""The family that says where large records lie."""

# Measured over 50 writers that each put 4 MiB of records of 70 to 2000 bytes under random ids,
# flush and close. Bytes written repeat to 1%; times are p50 of reads that the block cache does not
# hold, on two shared cores, where the same run differs by half: ranges are over all runs.
#
# Bytes written per byte put: level compaction 7.40; universal 3.86 at 4 runs, 2.49 at 8, 2.25 at
# 16. With values of 512 bytes and more in blob files, which no compaction rewrites, 1.74 at 8 runs,
# 1.40 at 12, 1.39 at 16; from 1024 bytes on 1.57; from 256 on 1.35, but 6% more on disk. A blob
# file costs a hit some 3 us (12 to 15 us against 7 to 10), a run costs a miss 0.1 us.
RUNS_MAX = 16
# Refs, operations and locations are small. More runs are more files for each open; that a short
# writer is faster with 8 or 16 did not show above the noise (one run each).
SMALL_RUNS_MAX = 4
BLOB_BYTES_MIN = 512
# Blocks of 4, 8 and 16 KiB take the same on disk (1.02 bytes per byte put: records are compressed
# already). A hit takes 7 to 10, 9 to 10 and 10 to 13 us.
BLOCK_BYTES = 4 << 10
BLOOM_BITS_PER_KEY = 10
CACHE_BYTES = 32 << 20
# Far more than the refs and operations of one maintenance, so that they wait for `flush`.
MEMTABLE_BYTES = 32 << 20

# Three families and the default one, against all in one family, in turns on a loaded machine: a
# reader opens in some 4 ms against 3.5 (p50 of most runs; some took 9) and 2.0 against 2.3 ms of
# CPU. A writer opens in 55 to 63 ms against 51 to 65 and writes 81 kB of logs and options against
# 32. All of a small maintenance (open, put, flush, put, flush, close) takes 113 to 188 ms against
# 83 to 116, and writes 163 kB against 104. With RocksDB's 16 threads for opening files, which it
# starts anew for each family, a reader takes 9 ms and 5 ms of CPU.
OPENING_THREADS = 1


def opening() -> tuple[Options, dict[str, Options]]:
    """What a database is opened with: what is set for it, and for each family.

    rocksdict 0.3.29 takes settings of a family from here only, never from the database.
    """
    from rocksdict import (
        BlockBasedOptions,
        Cache,
        ChecksumType,
        DBCompactionStyle,
        DBCompressionType,
        Options,
    )

    table = BlockBasedOptions()
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, False)
    table.set_block_size(BLOCK_BYTES)
    table.set_block_cache(Cache(CACHE_BYTES))
    table.set_checksum_type(ChecksumType.xxh3())
    database = Options(raw_mode=True)
    database.create_if_missing(True)
    database.create_missing_column_families(True)
    database.set_atomic_flush(True)
    database.set_max_background_jobs(2)
    database.set_max_file_opening_threads(OPENING_THREADS)
    database.set_keep_log_file_num(2)
    database.set_stats_dump_period_sec(0)
    database.set_stats_persist_period_sec(0)
    database.set_skip_stats_update_on_db_open(True)

    families = {name: Options(raw_mode=True) for name in (*FAMILIES, CHUNKS)}
    for name, options in families.items():
        runs_max = RUNS_MAX if name == "objects" else SMALL_RUNS_MAX
        options.set_block_based_table_factory(table)
        options.set_compression_type(DBCompressionType.zstd())
        options.set_write_buffer_size(MEMTABLE_BYTES)
        options.set_compaction_style(DBCompactionStyle.universal())
        options.set_level_zero_file_num_compaction_trigger(runs_max)
        options.set_level_zero_slowdown_writes_trigger(2 * runs_max)
        options.set_level_zero_stop_writes_trigger(4 * runs_max)
    families["objects"].set_enable_blob_files(True)
    families["objects"].set_min_blob_size(BLOB_BYTES_MIN)
    return database, families
