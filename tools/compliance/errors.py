"""What stops a check before it can say anything."""

from __future__ import annotations


class Unusable(Exception):
    """An input of a check is missing or wrong; the message names it and the way out."""
