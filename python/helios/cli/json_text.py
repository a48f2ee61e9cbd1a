"""JSON as `json.dumps` writes it, for values that hold only what the commands report.

Importing `json` costs as much as a small commit does; strings are nearly always plain, and only
one that is not is left to it.
"""

from __future__ import annotations


def dumps(value: object, indent: int | None = None) -> str:
    """The text of dicts with `str` keys, lists, strings, numbers, booleans and None: in ASCII, on
    one line, or indented for a person."""
    if indent is not None:
        import json

        return json.dumps(value, indent=indent)
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def _write(value: object, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(_string(value))
    elif value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, int | float):
        parts.append(repr(value))
    elif isinstance(value, dict):
        separator = "{"
        for key, each in value.items():
            parts.append(f"{separator}{_string(key)}: ")
            _write(each, parts)
            separator = ", "
        parts.append("}" if value else "{}")
    elif isinstance(value, list | tuple):
        separator = "["
        for each in value:
            parts.append(separator)
            _write(each, parts)
            separator = ", "
        parts.append("]" if value else "[]")
    else:
        raise TypeError(f"{type(value).__name__} is not for JSON")


def _string(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    import json

    return json.dumps(text)
