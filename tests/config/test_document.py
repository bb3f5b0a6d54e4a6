"""The generated files agree with the models, and say something of every setting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from suti.cli import code
from suti.config import document
from suti.config.load import load_config
from suti.config.schema import Config

ROOT = Path(__file__).parents[2]


def test_generated_files_do_not_drift() -> None:
    assert document.drifted(ROOT, document.documents() | {code.PAGE: code.page(ROOT)}) == [], (
        "run `suti config --write` and commit what it writes"
    )


def test_config_yaml_is_the_default() -> None:
    assert load_config([ROOT / document.CONFIG]) == Config()


def leaves(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted name and field of every setting, those of nested sections included."""
    assert type(section).__doc__, prefix
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        yield from leaves(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else [(f"{prefix}{name}", field)]


def test_every_setting_is_described() -> None:
    found = dict(leaves(Config()))
    assert {"seed", "experts.steps", "baselines.dreambooth.steps"} <= set(found)
    assert [name for name, field in found.items() if not field.description] == []


def test_reference_has_a_row_for_every_setting() -> None:
    text = document.reference()
    assert [name for name, _ in leaves(Config()) if f"\n| `{name}` | " not in text] == []
    assert "\n## `baselines`\n" in text and "\n### `baselines.imagic`\n" in text
    columns = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert columns == {5}


def test_comments_fit_their_width() -> None:
    comments = [line for line in document.config_yaml().splitlines() if line.lstrip().startswith("#")]
    assert max(map(len, comments)) <= document.WIDTH


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        ({"experts": {"steps": 3}}, True),
        ({"filtering": {"grid": ["none", 0.02]}}, True),
        ({"evaluation": {"encoders": {"dino": None}, "probe": None}}, True),
        ({"models": {"super_resolution": None}}, True),
        ({"models": {"super_resolution": "a/stage"}}, True),
        ({"models": {"super_resolution": ["a/stage", {"model": "b/stage", "noise_level": 100}]}}, True),
        ({"models": {"super_resolution": [{"noise_level": 100}]}}, False),
        ({"models": {"super_resolution": {"model": "a/stage"}}}, False),
        ({"experts": {"stepps": 3}}, False),
        ({"experts": {"steps": 0}}, False),
        ({"compute": {"device": "tpu"}}, False),
        ({"evaluation": {"encoders": {"clip": "x"}}}, False),
    ],
)
def test_editors_schema_judges_as_the_models_do(settings: dict[str, object], fits: bool) -> None:
    schema = json.loads(document.json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(settings) is fits


def test_every_committed_configuration_fits_the_editors_schema() -> None:
    validator = jsonschema.Draft202012Validator(json.loads((ROOT / document.SCHEMA).read_text()))
    for file in [ROOT / document.CONFIG, *sorted((ROOT / "configs").glob("*.yaml"))]:
        errors = [
            f"{file.name}: {e.json_path}: {e.message}" for e in validator.iter_errors(yaml.safe_load(file.open()))
        ]
        assert not errors


def test_modeline_points_from_the_file_to_the_schema() -> None:
    for name in ("config.yaml", "configs/x.yaml"):
        relative = document.modeline(name).partition("$schema=")[2]
        assert (ROOT / name).parent.joinpath(relative).resolve() == (ROOT / document.SCHEMA).resolve()


def test_write_writes_only_what_differs(tmp_path: Path) -> None:
    texts = document.documents()
    assert set(document.write(tmp_path, texts)) == {document.CONFIG, document.SCHEMA, document.REFERENCE}
    assert document.write(tmp_path, texts) == []
    (tmp_path / document.CONFIG).write_text("seed: 1\n")
    assert document.drifted(tmp_path, texts) == [document.CONFIG]
    assert document.write(tmp_path, texts) == [document.CONFIG]
