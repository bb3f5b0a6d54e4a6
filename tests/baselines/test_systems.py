"""The list of systems: the configuration is made of it, and every system keeps the script's contract."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest

from suti.baselines.method import load_method
from suti.baselines.systems import SYSTEMS, System, sections
from suti.config.load import ConfigError, lookup, validate_config
from suti.config.schema import Config
from suti.config.settings import Settings
from suti.digests import code_digest

ROOT = Path(__file__).parents[2]


def values(system: System) -> dict[str, Any]:
    """What the rule passes, as the script reads it."""
    passed = Settings({key: lookup(Config(), key) for key in system.reads})
    return {key: passed[key] for key in system.reads}


def test_the_configuration_is_made_of_the_systems() -> None:
    baselines = lookup(Config(), "baselines")
    assert list(baselines) == ["systems", *sections()]
    assert baselines["dreambooth"] == sections()["dreambooth"]().model_dump(mode="json")
    schema = Config.model_json_schema()["$defs"]["Baselines"]["properties"]
    assert schema["systems"]["items"]["enum"] == list(SYSTEMS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_contract(name: str) -> None:
    system = SYSTEMS[name]
    method = load_method(name, system.module)
    settings = method.settings_of(values(system))
    assert is_dataclass(settings) and settings.steps >= 0
    with pytest.raises(AttributeError):  # frozen
        settings.steps = 3
    assert (method.load is not None) == (system.starts_from != "base")
    assert (ROOT / system.source).is_file() and code_digest(system.source, ROOT)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_method_takes_what_its_line_names_and_nothing_else(name: str) -> None:
    system = SYSTEMS[name]
    method, passed = load_method(name, system.module), values(system)
    assert len({key.rpartition(".")[2] for key in passed}) == len(passed), "two settings of one name"
    with pytest.raises(TypeError):
        method.settings_of({**passed, "baselines.of_no_system": 1})


def test_settings_reach_the_method() -> None:
    imagic = SYSTEMS["imagic"]
    passed = values(imagic) | {"baselines.imagic.eta": 0.25, "baselines.imagic.steps": 9, "experts.frozen": ["conv_in"]}
    settings = load_method("imagic", imagic.module).settings_of(passed)
    assert (settings.eta, settings.tuning.steps, settings.tuning.frozen) == (0.25, 9, ("conv_in",))
    assert settings.tuning.learning_rate == 2e-4 and settings.embedding_learning_rate == 5e-2


def test_prior_preservation() -> None:
    found = {}
    for name in ("dreambooth", "dreambooth-prior"):
        found[name] = load_method(name, SYSTEMS[name].module).settings_of(values(SYSTEMS[name])).prior_images
    assert found == {"dreambooth": 0, "dreambooth-prior": 16}
    passed = values(SYSTEMS["dreambooth"]) | {"baselines.dreambooth.prior_preservation": True}
    assert load_method("dreambooth", SYSTEMS["dreambooth"].module).settings_of(passed).prior_images == 16


def test_a_name_that_the_module_does_not_draw() -> None:
    with pytest.raises(ValueError, match="draws imagic, not 'dreambooth'; add it to its METHODS"):
        load_method("dreambooth", "suti.baselines.imagic")


def test_unknown_and_repeated_systems_are_named() -> None:
    with pytest.raises(ConfigError, match=r"baselines\.systems.*'dreamboth'"):
        validate_config({"baselines": {"systems": ["dreamboth"]}})
    with pytest.raises(ConfigError, match=r"baselines\.systems.*each system once"):
        validate_config({"baselines": {"systems": ["dreambooth", "dreambooth"]}})


NEW = """
from pydantic import Field
from suti.baselines import systems
from suti.config.fields import Section

class NewSettings(Section):
    "A new system."
    steps: int = Field(3, description="optimiser steps")

systems.SYSTEMS["new-one"] = systems.System("new-one", "New One", NewSettings)
from suti.config.document import config_yaml, reference
from suti.config.load import validate_config
config = validate_config({"baselines": {"systems": ["new-one"], "new_one": {"steps": 5}}})
print(config.baselines.new_one.steps, "  new_one:" in config_yaml(), "`baselines.new_one.steps`" in reference())
"""


def test_a_new_system_is_one_line_of_the_list() -> None:
    done = subprocess.run([sys.executable, "-c", NEW], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["5", "True", "True"]
