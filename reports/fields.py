# SPDX-License-Identifier: MIT
"""Whether a record read from JSON has the fields that will be used, each of the kind that it must be."""

from __future__ import annotations

import json
import math
from pathlib import Path

# What a field may be; none of them admits null.
TEXT, NUMBER, COUNT, TRUTH, RECORD, LIST = "a text", "a finite number", "a whole number", "true or false", "{…}", "[…]"
KEY = {f: TEXT for f in ("device", "mode", "padding", "clock")}
KEY |= {f: COUNT for f in ("batch", "channels", "height", "width")}
INTERVAL = {"ratio": NUMBER, "low?": NUMBER, "high?": NUMBER}


def _is(value, kind: str) -> bool:
    if kind == TRUTH:
        return isinstance(value, bool)
    if kind == NUMBER:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind == COUNT:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {TEXT: str, RECORD: dict, LIST: list}[kind])


def require(record, fields: dict[str, str], where: str = "") -> dict:
    """The record. Raises ValueError that names the first field which is missing or of another kind; one whose name ends
    in "?" may be null or absent. `where`: what to put before its name, "rows[3]."."""
    if not isinstance(record, dict):
        raise ValueError(f"{where.rstrip('.') or 'it'} is {_short(record)}, must be {RECORD}")
    for name, kind in fields.items():
        optional = name.endswith("?")
        name = name.removesuffix("?")
        value = record.get(name)
        if value is None and optional:
            continue
        if name not in record:
            raise ValueError(f"field {where}{name} is missing")
        if not _is(value, kind):
            raise ValueError(f"field {where}{name} is {_short(value)}, must be {kind}")
    return record


def require_each(record: dict, name: str, fields: dict[str, str]) -> None:
    """The same of all entries of a list or of a record of records."""
    held = record[name]
    for index, entry in held.items() if isinstance(held, dict) else enumerate(held):
        require(entry, fields, f"{name}[{index}].")


def read(path: Path, check) -> dict | None:
    """A file of JSON that check(found) has not found fault with; None where there is none. Raises ValueError with the
    file's name where it is damaged or cannot be read."""
    try:
        found = json.loads(path.read_text())
        check(found)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return found


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
