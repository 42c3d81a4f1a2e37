"""TOML tables into frozen dataclasses, strictly: unknown keys, wrong types and ranges are refused.

A bool is no number, a number is finite, an integer will do for a float, a list becomes a tuple. A field's metadata
may hold its inclusive range as "low" and "high". Messages name the place and, for a misspelt key, the nearest one.

Libraries were tried and say less: msgspec knows no unknown keys of dataclasses, lets NaN pass, and of a range it
names one end, of a choice none; pydantic costs a sixth of a second at every start, and takes no list for a tuple.
"""

import dataclasses
import math
import reprlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from stylebank.errors import ConfigError, nearest

MAX_BYTES = 1 << 16
"""A hundred styles take a third of this; for a hostile mebibyte tomllib would need hours."""

Instance = TypeVar("Instance")


def read(path: Path) -> dict[str, Any]:
    """Parse a TOML file of at most 64 KiB.

    Raises:
        ConfigError: it is missing, too large, not UTF-8 or not TOML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read ({reason}); check the path") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: is over 64 KiB; a config is a short text file")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split()) or "nested too deeply"
        raise ConfigError(f"{path}: is not valid TOML ({reason}); correct that place") from error


def section(cls: type[Instance], table: Mapping[str, Any], name: str, *, where: str) -> Instance:
    """Make a dataclass of a table's key `name`; a missing key gives the defaults.

    Raises:
        ConfigError: a key is unknown, mistyped or out of range.
    """
    values = table.get(name, {})
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: '{name}' is not a table; write [{name}] and its keys below")
    return instance(cls, values, f"{where}: [{name}]")


def instance(cls: type[Instance], table: Mapping[str, Any], where: str) -> Instance:
    """Make a dataclass of a table; `where` begins every message.

    Raises:
        ConfigError: a key is unknown, mistyped, out of range, or missing and without a default.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    reject_unknown(table, tuple(fields), where)
    types = get_type_hints(cls)
    values = {key: typed(value, types[key], f"{where} {key}") for key, value in table.items()}
    for key, value in values.items():
        limits = fields[key].metadata
        if limits and not limits["low"] <= value <= limits["high"]:
            raise ConfigError(
                f"{where} {key}: {_shown(value)} is out of range; use {limits['low']} to {limits['high']}"
            )
        if limits.get("odd") and value % 2 == 0:
            raise ConfigError(f"{where} {key}: {value} is even; use an odd number, it has a centre")
    for key, f in fields.items():
        if key not in values and f.default is dataclasses.MISSING:
            raise ConfigError(f"{where}: has no '{key}'; add one")
    return cls(**values)


def reject_unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Allow only known keys.

    Raises:
        ConfigError: naming the first other key and the known one nearest to it.
    """
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key {_shown(key)}{nearest(key, known)}; known are {', '.join(known)}"
            )


def typed(value: object, wanted: Any, where: str) -> Any:
    """The value as the wanted type: int, float, str, bool, a Literal of texts, or a tuple of one of them.

    Raises:
        ConfigError: it is of another type, not finite, or none of the literal's texts.
    """
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted) or not isinstance(value, str):
            raise ConfigError(
                f"{where}: {_shown(value)} is not one of {', '.join(get_args(wanted))}; choose one"
            )
        return value
    if get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: {_shown(value)} is not a list; write [ ... ]")
        return tuple(typed(item, get_args(wanted)[0], where) for item in value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**63 else math.inf
    if type(value) is not wanted:
        raise ConfigError(f"{where}: {_shown(value)} is not {_TYPE_WORDS[wanted]}; correct it")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {value} is not a finite number; correct it")
    return value


def _shown(value: object) -> str:
    """A value as written, escaped and cut to fit a line, however deep or long it is."""
    try:
        text = reprlib.repr(value)
    except ValueError:  # Python prints no integer of over 4300 digits
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}..."


_TYPE_WORDS = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
