"""The list of systems: it agrees with the configuration, and every system keeps the script's contract."""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path
from typing import get_args

import pytest

from suti.baselines.systems import SYSTEMS
from suti.config.load import ConfigError, lookup, validate_config
from suti.config.schema import Config, SystemName
from suti.config.settings import Settings

ROOT = Path(__file__).parents[2]


def passed(name: str) -> Settings:
    """What the rule passes, and nothing more: a setting that is read without being listed is an error."""
    return Settings({key: lookup(Config(), key) for key in SYSTEMS[name].settings})


def test_the_configuration_knows_the_systems() -> None:
    assert get_args(SystemName) == tuple(SYSTEMS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_contract(name: str) -> None:
    entry = SYSTEMS[name]
    module = entry.load()
    settings = getattr(module, f"{entry.method}_settings")(passed(name))
    assert is_dataclass(settings) and settings.steps >= 0
    assert callable(getattr(module, f"draw_{entry.method}"))
    assert hasattr(module, f"load_{entry.method}") == (entry.starts_from != "base")
    assert (ROOT / entry.source).is_file()


def test_prior_preservation() -> None:
    module = SYSTEMS["dreambooth"].load()
    assert module.dreambooth_settings(passed("dreambooth")).prior_images == 0
    assert module.dreambooth_prior_settings(passed("dreambooth-prior")).prior_images == 16


def test_unknown_and_repeated_systems_are_named() -> None:
    with pytest.raises(ConfigError, match=r"baselines\.systems.*'dreamboth'"):
        validate_config({"baselines": {"systems": ["dreamboth"]}})
    with pytest.raises(ConfigError, match=r"baselines\.systems.*each system once"):
        validate_config({"baselines": {"systems": ["dreambooth", "dreambooth"]}})
