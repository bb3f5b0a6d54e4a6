"""Merging and checking of configuration files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from suti.config.load import (
    ConfigError,
    known_keys,
    load_config,
    lookup,
    merge,
    nearest_keys,
    validate_config,
)
from suti.config.renamed import REMOVED, RENAMED, written
from suti.config.schema import Config
from suti.config.values import parse_lambda


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def problems(*files: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(files)
    return caught.value.problems


def test_no_files_give_the_defaults() -> None:
    assert load_config() == Config()


def test_later_files_win_key_by_key(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", "experts: {steps: 3, shards: 7}\nfiltering: {grid: [none, q0.1, q0.4]}\n")
    second = write(tmp_path / "b.yaml", "experts: {steps: 5}\nfiltering: {grid: [none], default: none}\n")
    config = load_config([first, second])
    assert (config.experts.steps, config.experts.shards) == (5, 7)
    assert config.filtering.grid == ["none"], "lists are replaced, not appended to"


@pytest.mark.parametrize(
    ("base", "overlay"),
    [
        ({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}),
        ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"d": 3}}, "e": 1}),
        ({"a": 1}, {"a": {"b": 2}}),
        ({"a": {"b": 2}}, {"a": None}),
        ({"a": {"b": 2}}, {"a": {}}),
        ({}, {"a": {"b": {"c": 1}}}),
    ],
)
def test_merge_agrees_with_snakemake(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    ours = merge(base, overlay)
    update_config(base, overlay)  # in place
    assert ours == base


def test_unknown_keys_name_file_line_and_nearest_key(tmp_path: Path) -> None:
    file = write(
        tmp_path / "typo.yaml",
        "experts:\n  guidence_scale: 3\nexpert:\n  shards: 2\nevaluation: {encoders: {dinno: x}}\nsteps: 5\n",
    )
    assert set(problems(file)) == {
        f"{file}, line 2: experts.guidence_scale: unknown; did you mean experts.guidance_scale?",
        f"{file}, line 3: expert: unknown; did you mean experts?",
        f"{file}, line 5: evaluation.encoders.dinno: unknown; did you mean evaluation.encoders.dino?",
        f"{file}, line 6: steps: unknown; did you mean experts.steps or apprentice.steps?",
    }


def test_a_renamed_key_says_what_to_write_now(tmp_path: Path) -> None:
    file = write(
        tmp_path / "old.yaml",
        "baselines:\n  dreambooth_steps: 50\n  prior_images: 8\n  null_text_inference_steps: 9\n",
    )
    assert set(problems(file)) == {
        f"{file}, line 2: baselines.dreambooth_steps: now baselines.dreambooth.steps; "
        "write `baselines: {dreambooth: {steps: ...}}`",
        f"{file}, line 3: baselines.prior_images: now baselines.dreambooth.prior_images; "
        "write `baselines: {dreambooth: {prior_images: ...}}`",
        f"{file}, line 4: baselines.null_text_inference_steps: now baselines.null_text.num_inference_steps; "
        "write `baselines: {null_text: {num_inference_steps: ...}}`",
    }
    with pytest.raises(ConfigError, match=r"baselines\.imagic_eta: now baselines\.imagic\.eta"):
        lookup(Config(), "baselines.imagic_eta")


def test_renamed_keys_are_no_keys_and_their_new_names_are() -> None:
    known = set(known_keys())
    assert not known & RENAMED.keys() and set(RENAMED.values()) <= known
    for key in RENAMED.values():
        value = lookup(Config(), key)
        assert lookup(validate_config(yaml.safe_load(written(key).replace("...", json.dumps(value)))), key) == value


def test_a_removed_key_says_what_to_do(tmp_path: Path) -> None:
    file = write(
        tmp_path / "old.yaml",
        "evaluation: {demonstration_spread: 1.0}\napprentice:\n  demonstration_augmentation: 1.0\n",
    )
    assert set(problems(file)) == {
        f"{file}, line 1: evaluation.demonstration_spread: removed, the world's demonstrations are of the same kind as "
        "the pictures of its pages; delete the line",
        f"{file}, line 3: apprentice.demonstration_augmentation: removed, demonstrations are shown in training as the "
        "pages have them; delete the line",
    }
    assert not set(known_keys()) & REMOVED.keys() and not REMOVED.keys() & RENAMED.keys()


def test_unknown_keys_below_a_system(tmp_path: Path) -> None:
    file = write(tmp_path / "typo.yaml", "baselines: {imagic: {etta: 1}, dreambooth: {steps: 0}, imagicc: {}}\n")
    assert set(problems(file)) == {
        f"{file}, line 1: baselines.imagic.etta: unknown; did you mean baselines.imagic.eta?",
        f"{file}, line 1: baselines.dreambooth.steps: 0; expected greater than or equal to 1",
        f"{file}, line 1: baselines.imagicc: unknown; did you mean baselines.imagic?",
    }


def test_wrong_values_are_all_reported_with_value_and_what_is_wanted(tmp_path: Path) -> None:
    file = write(
        tmp_path / "values.yaml",
        "experts: {steps: 0, shards: many, learning_rate: .nan}\nmining: {similarity: [0.9, 0.2]}\n"
        "filtering: {grid: [none, foo]}\ncompute:\n",
    )
    found = problems(file)
    where = f"{file}, line"
    assert f"{where} 1: experts.steps: 0; expected greater than or equal to 1" in found
    assert any(p.startswith(f"{where} 1: experts.shards: 'many'; expected a valid integer") for p in found)
    assert f"{where} 1: experts.learning_rate: nan; expected a finite number" in found
    assert f"{where} 2: mining.similarity: [0.9, 0.2], expected two rising numbers in [-1, 1]" in found
    assert any(p.startswith(f"{where} 3: filtering.grid.1: lambda 'foo'") for p in found)
    assert any(p.startswith(f"{where} 4: compute: null; expected settings below this key") for p in found)
    assert len(found) == 6


def test_a_mistake_is_placed_in_the_file_that_made_it(tmp_path: Path) -> None:
    good = write(tmp_path / "good.yaml", "experts:\n  steps: 3\n")
    bad = write(tmp_path / "bad.yaml", "seed: 1\nexperts:\n  steps: -1\n")
    assert problems(good, bad)[0].startswith(f"{bad}, line 3: experts.steps: -1")
    # Snakemake lists config.yaml last although it merges it first
    with pytest.raises(ConfigError) as caught:
        validate_config({"seed": 1, "experts": {"steps": -1}}, [bad, good])
    assert caught.value.problems[0].startswith(f"{bad}, line 3: experts.steps: -1")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"filtering": {"grid": ["none"]}},
            "filtering.default: 'q0.4' is not in grid ['none']; add it there",
        ),
        ({"pages": {"format": "folders"}}, "pages.path: empty, but pages.format is 'folders'"),
        ({"evaluation": {"benchmark": "dreambench"}}, "evaluation.path: empty, but evaluation.benchmark is"),
        (
            {"language": {"backend": "openai", "model": "m"}},
            "language.base_url: empty, but backend is 'openai'",
        ),
        ({"language": {"backend": "transformers"}}, "language.model: empty, but backend is 'transformers'"),
        ({"mining": {"min_images": 11}}, "mining.min_images: 11, expected at most max_images (10)"),
        (
            {"apprentice": {"drop_both": 0.99}},
            "apprentice: drop_text + drop_demonstrations + drop_both: 1.09",
        ),
        (
            {"apprentice": {"processes": 3, "gradient_accumulation": 3}},
            "apprentice: processes * gradient_accumulation: 9, expected at most subjects_per_batch (8)",
        ),
        (
            {"filtering": {"grid": ["q0.4", "q0.40"]}},
            "filtering.grid: ['q0.4', 'q0.40'], expected at least one",
        ),
        ({"experts": {"method": "Lora"}}, "experts.method: 'Lora'; expected 'full' or 'lora'"),
    ],
)
def test_settings_that_do_not_fit_together(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate_config(settings)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("experts: [", "not valid YAML"),
        ("- a\n- b\n", "a list (['a', 'b']); expected settings as `key: value`"),
        ("seed: 1\nexperts: {steps: 2}\nseed: 2\n", "line 3: seed: set twice in this file"),
    ],
)
def test_files_that_hold_no_settings(tmp_path: Path, text: str, sentence: str) -> None:
    file = write(tmp_path / "c.yaml", text)
    assert problems(file)[0].startswith(str(file))
    assert sentence in problems(file)[0]


def test_missing_files_are_all_named_and_the_nearest_is_suggested(tmp_path: Path) -> None:
    write(tmp_path / "mini.yaml", "seed: 1\n")
    found = problems(tmp_path / "minni.yaml", tmp_path / "other.txt")
    assert found[0] == f"{tmp_path / 'minni.yaml'}: no such file; did you mean {tmp_path / 'mini.yaml'}?"
    assert found[1] == f"{tmp_path / 'other.txt'}: no such file"


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_config([write(tmp_path / "empty.yaml", "# only a comment\n")]) == Config()


def test_lambdas_may_be_written_as_numbers() -> None:
    grid = validate_config({"filtering": {"grid": ["none", 0.02, 0.00001, 0], "default": 0.02}}).filtering
    assert grid.grid == ["none", "0.02", "0.00001", "0"]
    assert grid.default == "0.02"


@pytest.mark.parametrize("text", ["q1", "q", "-0.1", "1e-2", "0.02/..", " 0.02", "nan", "NONE", ""])
def test_lambdas_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="lambda"):
        parse_lambda(text)


def test_a_metric_can_be_switched_off_by_an_overlay() -> None:
    encoders = validate_config({"evaluation": {"encoders": {"dino": None, "clip_i": "x", "clip_t": "y"}}})
    assert encoders.evaluation.encoders == {"clip_i": "x", "clip_t": "y"}


def test_a_benchmark_of_a_csv_names_it() -> None:
    listed = {"benchmark": "csv", "path": "photos"}
    with pytest.raises(ValueError, match=r"evaluation\.prompts: empty"):
        validate_config({"evaluation": listed})
    assert validate_config({"evaluation": {**listed, "prompts": "p.csv"}}).evaluation.prompts == "p.csv"


def test_lookup_and_nearest_keys() -> None:
    assert lookup(Config(), "mining.similarity") == [0.82, 0.98]
    assert lookup(Config(), "language.skills.art_style") == 0.08
    assert lookup(Config(), "compute") == {"threads": 1, "device": "auto", "precision": "auto", "compile": False}
    with pytest.raises(ConfigError, match=r"did you mean experts\.steps"):
        lookup(Config(), "expert.stps")
    assert nearest_keys("encoder")[:2] == ["mining.encoder", "filtering.encoder"]
    assert nearest_keys("qqqqqqqq") == []
    assert {"seed", "experts", "experts.steps", "evaluation.encoders.clip_t"} <= set(known_keys())


@pytest.mark.parametrize(
    ("written", "stages"),
    [
        (None, []),
        ([], []),
        ("a/stage", ["a/stage"]),
        (["a/stage", {"model": "b/stage", "noise_level": 100}], ["a/stage", {"model": "b/stage", "noise_level": 100}]),
        ([{"model": "a/stage"}], ["a/stage"]),
    ],
)
def test_super_resolution_is_a_list_of_stages(written: Any, stages: list[Any]) -> None:
    config = validate_config({"models": {"super_resolution": written}})
    assert lookup(config, "models.super_resolution") == stages
    assert validate_config(config.model_dump()) == config, "what is written is read again"


def test_mistakes_in_a_stage_name_it(tmp_path: Path) -> None:
    text = "models:\n  super_resolution: [a/stage, {model: b/stage, noise: 3}, {noise_level: -1}]\n"
    file = write(tmp_path / "a.yaml", text)
    place = f"{file}, line 2: models.super_resolution"
    assert problems(file) == [
        f"{place}.1.noise: unknown; did you mean models.super_resolution.1.noise_level?",
        f"{place}.2.model: missing; add it",
        f"{place}.2.noise_level: -1; expected greater than or equal to 0",
    ]


@pytest.mark.parametrize("key", ["filtering.grid.0.x", "pages.path.0.x", "models.nope.0.x", "seed.x.0.y", "nope.x.0.y"])
def test_keys_below_lists_of_values_are_unknown(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: unknown"):
        lookup(Config(), key)
