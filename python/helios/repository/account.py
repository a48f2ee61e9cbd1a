"""Who runs this process."""

from __future__ import annotations

import os


def user_at_host() -> str:
    """The account and the machine; what is not UTF-8 of it is replaced."""
    host = os.uname().nodename if hasattr(os, "uname") else "localhost"
    return os.fsencode(f"{_user()}@{host}").decode("utf-8", "replace")


def _user() -> str:
    try:
        from pwd import getpwuid
    except ImportError:
        # Windows has no numbers of accounts.
        return os.getlogin()
    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container may run under a number that has no name.
        return str(os.getuid())
