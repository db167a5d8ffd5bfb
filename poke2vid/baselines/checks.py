"""Checks that the settings of several systems share; each error names the setting and its bounds."""

import math

from poke2vid.types import InputError


def require_counts(config: object, *names: str) -> None:
    """Raises InputError unless these settings are at least 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name)}; it must be at least 1.")


def require_weights(config: object, *names: str) -> None:
    """Raises InputError unless these settings are finite numbers from 0 up."""
    for name in names:
        if not 0 <= getattr(config, name) < math.inf:
            raise InputError(f"{name} is {getattr(config, name)}; it must be a number from 0 up.")


def require_scales(config: object, *names: str) -> None:
    """Raises InputError unless these settings are finite numbers above 0."""
    for name in names:
        if not 0 < getattr(config, name) < math.inf:
            raise InputError(f"{name} is {getattr(config, name)}; it must be a number above 0.")
