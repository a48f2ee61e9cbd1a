"""Keeps `pickle` from being imported where nobody pickles.

`rocksdict` asks for `pickle.loads` and `pickle.dumps` whenever it opens a database, and calls
neither in raw mode, which is the only one that Helios uses. The import is a fifth of what a short
command takes, because it brings `re`, `enum` and `functools`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

NAME = "pickle"


def defer_pickle() -> None:
    """Puts a module in the place of `pickle` that imports it when something of it is used.

    For processes that are Helios' own: in others it is not for a library to decide.
    """
    if NAME in sys.modules:
        return
    deferred = type(sys)(NAME)

    def real() -> ModuleType:
        if sys.modules.get(NAME) is deferred:
            del sys.modules[NAME]
        import pickle

        return pickle

    def function(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(real(), name)(*arguments, **options)

        return call

    def anything(name: str) -> Any:
        if name.startswith("__"):
            # What the import system asks of a module: it is none that was found somewhere.
            raise AttributeError(name)
        return getattr(real(), name)

    vars(deferred).update(loads=function("loads"), dumps=function("dumps"), __getattr__=anything)
    sys.modules[NAME] = deferred
