"""studies/report_baselines.py: its trials, the choice, and a run of a few seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studies.report_baselines import GRIDS, choose, settings_of, subjects_of, trials_of
from suti.baselines.systems import SYSTEMS
from suti.benchmark.world import VALIDATION, benchmark_subjects, world_benchmark
from suti.config.load import ConfigError
from suti.config.schema import Config

ROOT = Path(__file__).parents[2]


def test_an_entry_changes_the_systems_settings() -> None:
    name, config = settings_of("dreambooth-prior:prior_weight=0.5,steps=7,learning_rate=2e-4", Config())
    settings = config.baselines.dreambooth
    assert (name, settings.prior_weight, settings.steps) == ("dreambooth-prior", 0.5, 7)
    assert settings.learning_rate == 2e-4
    assert settings_of("dreambooth", Config())[1] == Config()


@pytest.mark.parametrize("entry", ["dreamboth", "dreambooth:steps"])
def test_what_is_no_entry_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=f"'{entry}', expected SYSTEM:SETTING=VALUE"):
        settings_of(entry, Config())


def test_unknown_settings_are_refused() -> None:
    with pytest.raises((ConfigError, ValueError), match="stepz"):
        settings_of("dreambooth:stepz=3", Config())


def test_every_system_has_as_many_trials() -> None:
    assert set(GRIDS) == set(SYSTEMS)
    found = trials_of(list(GRIDS), [])
    for name, own in found.items():
        assert len(own) == len(set(own)) == (4 if SYSTEMS[name].draws_with else 1)
        changed = [settings_of(entry, Config())[1].model_dump_json() for entry in own]
        assert len(set(changed)) == len(own), f"two trials of {name} are one"
    given = ["dreambooth:steps=1", "dream-suti:steps=1", "dreambooth:steps=2", "dream-suti:steps=2", "clusters"]
    assert trials_of([], given) == {"dreambooth": [given[0], given[2]], "dream-suti": [given[1], given[3]],
                                    "clusters": ["clusters"]}  # fmt: skip
    with pytest.raises(ValueError, match=r"2 of dreambooth, 1 of dream-suti; a fair choice takes equally many"):
        trials_of([], given[:3])
    with pytest.raises(ValueError, match=r"--systems: 'dreamboth', expected some of .*dreambooth"):
        trials_of(["dreamboth"], [])


def test_the_highest_overall_is_chosen_and_subject_decides_ties() -> None:
    def row(overall: float, subject: float) -> dict:
        return {"overall": {"mean": overall}, "subject": {"mean": subject}}

    assert choose({"a": row(0.5, 0.9), "b": row(0.6, 0.7), "c": row(0.6, 0.8)}) == "c"
    assert choose({"a": row(0.5, 0.9), "b": row(0.6, 0.7)}) == "b"
    assert choose({"first": row(0.6, 0.8), "second": row(0.6, 0.8)}) == "first"


def test_subjects_of_the_choice_are_in_no_benchmark() -> None:
    chosen = benchmark_subjects(0, 40, VALIDATION)
    for seed in range(4):
        benchmark = benchmark_subjects(seed, 40)
        assert not {s.subject_id for s in chosen} & {s.subject_id for s in benchmark}
        assert not set(chosen) & set(benchmark)
    world = world_benchmark(0, 2, 3, 2, 1, 4, VALIDATION)
    found = subjects_of(world, 2, 3, 1)
    assert [s.subject_id for s in found] == [s.subject_id for s in chosen[:2]]
    for subject in found:
        assert len(subject.demonstrations) == 1
        assert [key.startswith("c") for key, _ in subject.prompts] == [False] * 2 + [True] * 3


def test_a_small_choice(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    trials = [f"dreambooth:steps={steps},batch_size=1" for steps in (1, 2)]
    command = [sys.executable, "studies/report_baselines.py", f"--report={report}", "--subjects=2", "--templates=0",
               "--compositional=1", "--trials", *trials]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], cwd=ROOT, env=environment, capture_output=True, text=True)

    done = call()
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(report.read_text())
    assert list(found["systems"]) == trials and found["chosen"] == {"dreambooth": choose_by(found)}
    row = found["systems"][trials[0]]
    assert row["pictures"] == 2 and row["settings"]["baselines.dreambooth.steps"] == 1
    assert found["protocol"]["space"] == "validation-0" and found["provenance"]["command"]
    page = report.with_suffix(".md").read_text()
    assert page.count("| yes |") == 1 and all(f"| `{trial}` |" in page for trial in trials)
    refused = call("--compositional=2")
    assert refused.returncode == 2 and "is of other subjects, prompts or models" in refused.stderr


def choose_by(report: dict) -> str:
    best = max(row["overall"]["mean"] for row in report["systems"].values())
    ties = {key: row for key, row in report["systems"].items() if row["overall"]["mean"] == best}
    return max(ties, key=lambda key: ties[key]["subject"]["mean"])
