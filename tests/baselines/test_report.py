"""The entries of studies/report_baselines.py."""

from __future__ import annotations

import pytest

from studies.report_baselines import settings_of
from suti.config.load import ConfigError
from suti.config.schema import Config


def test_an_entry_changes_the_systems_settings() -> None:
    name, config = settings_of("dreambooth-prior:prior_weight=0.5,steps=7", Config())
    settings = config.baselines.dreambooth
    assert (name, settings.prior_weight, settings.steps) == ("dreambooth-prior", 0.5, 7)
    assert settings_of("dreambooth", Config())[1] == Config()


@pytest.mark.parametrize("entry", ["dreamboth", "dreambooth:steps"])
def test_what_is_no_entry_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=f"'{entry}', expected SYSTEM:SETTING=VALUE"):
        settings_of(entry, Config())


def test_unknown_settings_are_refused() -> None:
    with pytest.raises((ConfigError, ValueError), match="stepz"):
        settings_of("dreambooth:stepz=3", Config())
