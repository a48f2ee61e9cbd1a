"""Databases on disk, as the tests use them: filled, copied, and opened by other processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environment import unmeasured
from helios.store import Store
from store_suite import make_id, make_record

PYTHON_ROOT = Path(__file__).parents[2] / "python"


def fill(store: Store, *names: object) -> None:
    store.put_records((make_id(name), make_record(repr(name).encode())) for name in names)


def held(store: Store, *names: object) -> list[bool]:
    return [record is not None for record in store.records([make_id(name) for name in names])]


def run_python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that can import helios and this directory, with pipes."""
    here = [str(PYTHON_ROOT), str(Path(__file__).parent)]
    environment = unmeasured()
    environment["PYTHONPATH"] = os.pathsep.join(
        [*filter(None, [environment.get("PYTHONPATH")]), *here]
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def copy_database(source: Path, path: Path) -> None:
    shutil.copytree(source, path)
    shutil.copy(f"{source}.manifest", f"{path}.manifest")
