"""Benchmarks: nested choices of prompts, DreamBench's 750 prompts, folders of photos, and the world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from suti.benchmark.contents import thinned
from suti.benchmark.dreambench import read_dreambench
from suti.benchmark.lists import as_prompts, read_prompts, write_prompts
from suti.benchmark.prompts import class_of, first_prompts, prompt_rows, select_prompts, skill_of
from suti.benchmark.sources import SOURCES, Choice, find_source, prompt_list
from suti.benchmark.world import REFERENCES, skill, world_benchmark
from suti.config.schema import CSV_BENCHMARKS, Evaluation
from suti.io import tables
from suti.world.language import DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES

DREAMBENCH = Path(__file__).parents[3] / "shared" / "data" / "dreambench" / "dataset"
needs_dreambench = pytest.mark.skipif(not DREAMBENCH.is_dir(), reason=f"needs DreamBench's photos in {DREAMBENCH}")


@pytest.mark.parametrize("n_total", [1, 7, 25, 30])
def test_choices_are_nested_distinct_and_even(n_total):
    full = select_prompts(n_total, n_total)
    assert sorted(full) == list(range(n_total))
    for n in range(n_total + 3):
        assert select_prompts(n_total, n) == full[:n]
    for n in range(2, n_total):
        gaps = np.diff([-1, *sorted(full[:n]), n_total])
        assert gaps.max() <= 3 * n_total / n + 1


def test_first_prompts_are_a_subset_of_both_lists():
    rows = prompt_rows("a", "dog", DREAMBENCH_LIVE_TEMPLATES, 10)
    rows += [{"subject_id": "a", "prompt_id": f"c1{i}", "prompt": "x", "skill": "compositional"} for i in (2, 3, 1)]
    rows += [{"subject_id": "a", "prompt_id": "a1", "prompt": "y", "skill": "art_style"}]
    prompts = pd.DataFrame(rows)
    small, large = first_prompts(prompts, 4, 1), first_prompts(prompts, 7, 2)
    assert set(small["prompt_id"]) < set(large["prompt_id"])
    assert [name for name in large["prompt_id"] if name[0] in "ac"] == ["c12", "c13"] and len(large) == 9
    assert first_prompts(prompts, 0, 3)["prompt_id"].tolist() == ["c12", "c13", "c11"]
    assert first_prompts(prompts, 10, 0)["prompt_id"].tolist()[-1] == "a1" and len(first_prompts(prompts, 10, 9)) == 14


@pytest.mark.parametrize("templates", [DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES])
def test_skills_agree_with_the_worlds_grammar(templates):
    assert [skill_of(t) for t in templates] == [skill(t.format("teapot")) for t in templates]


@needs_dreambench
def test_dreambench_has_750_prompts_without_the_token(tmp_path):
    classes, objects, lives = read_dreambench(DREAMBENCH)
    assert (len(classes), len(objects), len(lives)) == (30, 25, 25)
    assert objects == DREAMBENCH_OBJECT_TEMPLATES and lives == DREAMBENCH_LIVE_TEMPLATES
    found = make("dreambench", DREAMBENCH, subjects=30, prompts_per_subject=25, max_pixels=40_000_000)
    prompts = [row["prompt"] for row in found.prompts]
    assert len(prompts) == 750 and "a backpack in the jungle" in prompts
    assert not [p for p in prompts if "  " in p or "{" in p or p != p.strip()]
    live = {row["subject_id"] for row in found.subjects if row["live"]}
    assert live == {"cat", "cat2", "dog", "dog2", "dog3", "dog5", "dog6", "dog7", "dog8"}
    assert len(found.target_images) == sum(map(len, found.references.values())) == 158
    for name, rows in (("benchmark_subjects", found.subjects), ("benchmark_prompts", found.prompts)):
        tables.to_arrow(name, rows)


def make(name: str, path: Path, max_pixels: int = 10_000, **choice):
    return find_source(name).benchmark(Choice(path=path, max_pixels=max_pixels, **choice))


def photos(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.full((40, 30, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_folders(tmp_path):
    photos(tmp_path / "grey_cat2", 3)
    photos(tmp_path / "my mug", 2)
    (tmp_path / "my mug" / "notes.jpg").write_text("not a picture")
    found = make("folders", tmp_path, subjects=9, prompts_per_subject=6)
    assert [row["class_name"] for row in found.subjects] == ["grey cat", "my mug"]
    assert [row["live"] for row in found.subjects] == [True, False]
    assert found.subjects[0]["subject_id"] == "grey_cat2" and " " not in found.subjects[1]["subject_id"]
    assert len(found.prompts) == 12 and len(found.references["grey_cat2"]) == 3
    assert found.demonstrations[0]["text"] == "a grey cat"
    assert found.targets[0]["prompt"] == "" and found.targets[0]["run"] == "real"


def test_unusable_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folders of pictures"):
        make("folders", tmp_path, subjects=9, prompts_per_subject=6)
    photos(tmp_path / "cat", 0)
    with pytest.raises(ValueError, match="cat: no usable photo"):
        make("folders", tmp_path, subjects=9, prompts_per_subject=6)
    with pytest.raises(ValueError, match=r"'123'.*rename"):
        class_of("123")
    with pytest.raises(FileNotFoundError, match=r"prompts_and_classes\.txt"):
        make("dreambench", tmp_path)
    (tmp_path / "prompts_and_classes.txt").write_text("Classes\n\nsubject_name,class\ncat,cat\n")
    with pytest.raises(ValueError, match="25 object and 25 live prompts"):
        make("dreambench", tmp_path)


def test_folders_with_prompts_of_a_csv(tmp_path):
    for name in ("mug_1", "rex"):
        photos(tmp_path / name, 2)
    file = tmp_path / "p.csv"
    file.write_text("subject,class,prompt\nrex,dog,a dog wearing a hat\nmug_1,,a mug at sea\nmug_1,,a red mug\n")
    found = make("csv", tmp_path, prompts=file)
    assert [(row["subject_id"], row["class_name"], row["live"]) for row in found.subjects] == [
        ("rex", "dog", True),
        ("mug_1", "mug", False),
    ]
    assert {(row["subject_id"], row["prompt_id"], row["prompt"], row["skill"]) for row in found.prompts} == {
        ("rex", "00", "a dog wearing a hat", "accessorization"),
        ("mug_1", "00", "a mug at sea", "recontextualization"),
        ("mug_1", "01", "a red mug", "attribute_editing"),
    }
    tables.to_arrow("benchmark_prompts", found.prompts)
    assert (
        len(found.references["rex"]) == 2
        and len(make("csv", tmp_path, prompts=file, subjects=1, prompts_per_subject=1).prompts) == 1
    )
    file.write_text("subject,prompt\nabsent,a mug\n")
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent"):
        make("csv", tmp_path, prompts=file)


def test_world_references_are_pictures_that_no_system_sees():
    found = world_benchmark(0, 2, 3, 5, 1, 3)
    assert len(found.subjects) == 2 and len(found.demonstrations) == 10
    assert sum(row["skill"] == "compositional" for row in found.prompts) == 6
    assert [row["prompt_id"] for row in found.prompts if row["skill"] == "art_style"] == ["a1", "a2", "a3", "a4"] * 2
    shown = {image.tobytes() for image in found.demonstration_images.values()}
    assert all(len(pictures) == REFERENCES for pictures in found.references.values())
    assert not [p for pictures in found.references.values() for p in pictures if p.tobytes() in shown]
    assert {row["sample_id"] for row in found.targets} == set(found.target_images)
    for name, rows in (
        ("benchmark_prompts", found.prompts),
        ("demonstrations", found.demonstrations),
        ("generations", found.targets),
    ):
        tables.to_arrow(name, rows)
    again = world_benchmark(0, 2, 3, 5, 1, 3)
    assert all((again.target_images[k] == v).all() for k, v in found.target_images.items())


def test_subjects_behind_the_main_ones_have_their_first_prompts_only():
    whole = world_benchmark(0, 3, 5, 2, 2, 4)
    found = thinned(whole, 1, 2)
    ids = lambda b, s: [r["prompt_id"] for r in b.prompts if r["subject_id"] == s]  # noqa: E731
    first, *others = (row["subject_id"] for row in whole.subjects)
    assert ids(found, first) == ids(whole, first) and {"c12", "a1"} < set(ids(found, first))
    for subject in others:
        assert ids(found, subject) == ["c12", "c13"]
    pairs = [(r["subject_id"], r["prompt_id"]) for r in found.prompts]
    assert [(r["subject_id"], r["prompt_id"]) for r in found.targets] == [pair for pair in pairs for _ in range(2)]
    assert list(found.target_images) == [row["sample_id"] for row in found.targets]
    assert found.subjects == whole.subjects and found.demonstration_images is whole.demonstration_images
    # the curves' prompts of a main subject are those that the others have too
    curves = first_prompts(pd.DataFrame(found.prompts), 0, 2)
    assert curves.groupby("subject_id").size().tolist() == [2, 2, 2]


def test_photos_stay_when_their_subject_has_fewer_prompts(tmp_path):
    for name in ("dog_1", "vase"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), "red").save(tmp_path / name / "1.png")
    whole = make("folders", tmp_path, subjects=2, prompts_per_subject=6)
    found = thinned(whole, 1, 2)
    assert len(whole.prompts) == 12 and len(found.prompts) == 8 and found.targets == whole.targets


def test_the_configuration_has_every_source_and_no_other():
    names = Evaluation.model_json_schema()["properties"]["benchmark"]["enum"]
    assert sorted(names) == sorted(SOURCES)
    assert sorted(CSV_BENCHMARKS) == sorted(name for name, source in SOURCES.items() if source.from_csv)


@pytest.mark.parametrize("name", SOURCES)
def test_the_workflow_draws_prompts_of_the_list(tmp_path, name):
    """A source's list and its benchmark name the same subjects, classes and prompts."""
    for folder in ("3d_printer", "bear_plushie", "grey_cat2"):
        photos(tmp_path / "dataset" / folder, 2)
    (tmp_path / "p.csv").write_text("subject,class,prompt\ngrey_cat2,,a cat at sea\nbear_plushie,,a bear at sea\n")
    objects, lives = (
        ", ".join(f"'{t.replace('{}', '{0} {1}')}'.format(unique_token, class_token)" for t in templates)
        for templates in (DREAMBENCH_OBJECT_TEMPLATES, DREAMBENCH_LIVE_TEMPLATES)
    )
    (tmp_path / "prompts_and_classes.txt").write_text(
        "subject_name,class\n3d_printer,printer\ngrey_cat2,cat\n"
        f"Object Prompts\n{objects}\nLive Subject Prompts\n{lives}\n"
    )
    place = tmp_path if name.startswith("dream") else tmp_path / "dataset"
    choice = Choice(path=place, prompts=tmp_path / "p.csv", subjects=2, prompts_per_subject=25)
    rows, found = prompt_list(name, choice), find_source(name).benchmark(choice)
    classes = {row["subject_id"]: row["class_name"] for row in found.subjects}
    assert len(classes) == 2 and {(row["subject"], row["class"]) for row in rows} == set(classes.items())
    drawn = {(row["subject_id"], row["prompt"]) for row in found.prompts if row["skill"] != "compositional"}
    listed = {(row["subject"], row["prompt"]) for row in rows}
    styles = {(row["subject_id"], row["prompt"]) for row in found.prompts if row["skill"] == "art_style"}
    assert drawn - styles == listed
    file = tmp_path / "written.csv"
    assert write_prompts(file, rows) == len(rows) and read_prompts(file) == as_prompts(rows)


def test_a_csv_without_classes_knows_dreambenchs(tmp_path):
    photos(tmp_path / "bear_plushie", 1)
    file = tmp_path / "p.csv"
    file.write_text("subject,prompt\nbear_plushie,a stuffed animal at sea\n")
    found = make("dreambench-v2", tmp_path, prompts=file)
    assert found.subjects[0]["class_name"] == "stuffed animal" == prompt_list("csv", Choice(prompts=file))[0]["class"]


def test_names_with_digits_keep_them():
    assert [class_of(name) for name in ("3d_printer", "r2d2", "40_black mamba")] == [
        "3d printer",
        "r2d2",
        "black mamba",
    ]


def test_no_such_source():
    with pytest.raises(ValueError, match="'dreambunch', expected one of dreambench"):
        find_source("dreambunch")
