"""The settings that a rule passes to its script: a validated part of the configuration.

A rule passes ``--settings`` as a flat JSON object of dotted names, with exactly what the script reads, so that
Snakemake reruns the rule when one of these changes and for no other setting. A setting that was not passed cannot be
read: a default in its stand would change results behind Snakemake's back.
"""

from __future__ import annotations

import json
from functools import reduce
from typing import Any

from suti.config.schema import Config

WITHOUT = "without"
"""Name in the JSON that lists dotted settings of a passed section which the rule left out of it."""


class Settings:
    """The settings that a rule passed, validated: ``s.seed``, ``s.experts``, ``s["filtering.encoder"]``.

    A section that is passed in part by hand is filled up with defaults, ``{"experts": {"steps": 2}}``. What ``without``
    names is not: to read it is an AttributeError.
    """

    def __init__(self, passed: dict[str, Any]) -> None:
        nested: dict[str, Any] = {}
        passed = dict(passed)
        left_out = passed.pop(WITHOUT, [])
        for name, value in passed.items():
            node = nested
            *parents, leaf = name.split(".")
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = {**node.get(leaf, {}), **value} if isinstance(value, dict) else value
        self._passed = set(passed)
        # model_construct-like leniency is not wanted: a partial configuration is filled with defaults and validated,
        # but only the names that were passed can be read.
        self._config = Config.model_validate(nested, context={"partial": True})
        for name in left_out:
            section, _, leaf = name.rpartition(".")
            vars(reduce(getattr, section.split("."), self._config)).pop(leaf)

    def __getitem__(self, name: str) -> Any:
        if not any(name == p or name.startswith(p + ".") for p in self._passed):
            raise KeyError(f"setting {name!r} was not passed to this script; add it to settings(...) in its rule")
        value: Any = self._config
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]


def read_settings(text: str) -> Settings:
    """Settings from the JSON of ``--settings``.

    Raises:
        ValueError: not JSON, or a value that the configuration does not allow.
    """
    try:
        passed = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"--settings: not JSON ({error}): {text[:80]!r}") from error
    return Settings(passed)
