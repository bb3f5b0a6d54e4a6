"""The conda environment of the rules holds what pyproject.toml asks for, at the versions of constraints.txt."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def plain(name: str) -> str:
    """A package's name in the one form of all its spellings."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_conda_environment_agrees_with_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["slurm"]
    names = {plain(re.match(r"[\w.-]+", requirement).group()) for requirement in wanted}  # type: ignore[union-attr]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = {plain(name): version for name, _, version in (line.partition("==") for line in lines)}
    environment = yaml.safe_load((ROOT / "envs" / "suti.yaml").read_text())
    installed = {plain(name): v for name, _, v in (r.partition("==") for r in environment["dependencies"][-1]["pip"])}
    assert installed == {name: pinned[name] for name in names}
