"""Settings from users: configs of any kind of training from JSON and from `--set a.b=v`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from poke2vid.files import fault_of
from poke2vid.types import InputError

Config = TypeVar("Config")


def read(kind: type[Config], value: dict[str, Any]) -> Config:
    """The config of a plain JSON object; every wrong key and value is named at once.

    Raises:
        InputError: naming each key that is unknown, missing or out of range.
    """
    import pydantic  # imported here: a training node may lack it

    try:
        return pydantic.TypeAdapter(kind).validate_python(value)
    except pydantic.ValidationError as error:
        problems = [fault_of(fault) for fault in error.errors()]
        raise InputError("the training settings are wrong: " + "; ".join(problems)) from error


def override(config: Config, settings: Sequence[str]) -> Config:
    """The config with `a.b=v` settings applied, v in JSON or as plain text.

    Raises:
        InputError: for a setting that is not of this form, names no field, or has an impossible value.
    """
    assert is_dataclass(config) and not isinstance(config, type)
    value = asdict(config)
    for setting in settings:
        path, equals, text = setting.partition("=")
        *parents, name = path.split(".")
        if not equals or not name:
            raise InputError(f"--set {setting!r} is not of the form key=value, for example data.horizon=10.")
        place = value
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                raise InputError(f"--set {setting!r}: there is no group {parent!r} in the settings.")
            place = place[parent]
        try:
            place[name] = json.loads(text)
        except ValueError:
            place[name] = text
    return _read_as(config, value)


def _read_as(config: Config, value: dict[str, Any]) -> Config:
    """`read` for a config one of whose groups is of any of several kinds: it stays of the kind that it is."""
    assert is_dataclass(config) and not isinstance(config, type)
    hints = get_type_hints(type(config))
    open_groups = {name: group for name, group in vars(config).items() if hints[name] is Any and is_dataclass(group)}
    found = read(type(config), value)
    return replace(found, **{name: read(type(group), value[name]) for name, group in open_groups.items()})
