"""Pages with known faults, and the benchmark with known answers."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suti.benchmark.prompts import requests_of
from suti.benchmark.world import (
    benchmark_prompts,
    benchmark_subjects,
    compositional_prompts,
    demonstrations,
    references,
    skill,
    target,
    target_scene,
)
from suti.world.language import parse
from suti.world.pages import KINDS, PageTruth, make_page, subject_from_json, world_pages, write_pages
from suti.world.scenes import DRESSED, ELSEWHERE, page_scenes
from suti.world.sheets import write_sheets
from suti.world.subjects import keyed_rng, sample_subject
from suti.world.vocabulary import CLASSES, LIVE_CLASSES, OBJECT_CLASSES, PHOTO


def decoded(data: bytes) -> np.ndarray | None:
    """The picture, or None for a file that cannot be read whole."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"), float)
    except (OSError, SyntaxError):
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_pages(kind: str) -> None:
    for number in range(6):
        images, truth = make_page(0, kind, number)
        pictures = [decoded(image.data) for image in images]
        good = [picture for picture in pictures if picture is not None]
        distinct = {image.data for image in images}
        assert truth.kind == kind and truth.keep == (kind == "single") and truth.n_images == len(images)
        assert {image.page_url for image in images} == {truth.page_url}
        assert len({image.image_url for image in images}) == len(images)
        assert all(picture.shape == (64, 64, 3) for picture in good)
        if kind == "single":
            assert 3 <= len(good) == len(distinct) <= 8
            assert truth.subject and subject_from_json(truth.subject) == sample_subject("pages-0", number)
        elif kind == "mixed":
            assert len(good) >= 4 and truth.subject_id is None and truth.subject is None
        elif kind == "near_duplicates":
            assert len(distinct) == len(good) >= 3
            # shifted by a pixel at most: a striped place differs most
            assert all(np.abs(a - b).mean() < 40 for a, b in itertools.combinations(good, 2))
        elif kind == "too_few":
            assert 1 <= len(images) <= 2
        elif kind == "broken":
            assert len(images) >= 3 > len(good)
        else:
            assert len(images) >= 3 > len(distinct)


def test_pages_are_deterministic_and_grow_without_changing() -> None:
    junk = {"mixed": 2, "near_duplicates": 1, "too_few": 2, "broken": 1, "exact_duplicates": 1}
    truths: list[PageTruth] = []
    few = list(world_pages(0, 4, truths=truths, **junk))
    assert list(world_pages(0, 4, **junk)) == few
    assert Counter(truth.kind for truth in truths) == {"single": 4, **junk}
    assert len({truth.page_url for truth in truths}) == 11
    assert set(few) <= set(world_pages(0, 6, **junk))
    assert not {p.page_url for p in few} & {p.page_url for p in world_pages(1, 4, **junk)}


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="'odd' is no kind of page"):
        make_page(0, "odd", 0)


def test_shards(tmp_path: Path) -> None:
    paths = write_pages(tmp_path, 0, 6, shard_size=20, mixed=1, broken=2)
    assert len(paths) > 1
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    count = 0
    for path in paths:
        with tarfile.open(path) as tar:
            names = tar.getnames()
            for name in names[::2]:
                facts = json.loads(tar.extractfile(name.replace(".jpg", ".json")).read())
                assert facts["image_url"].startswith(facts["page_url"])
            count += len(names) // 2
    assert count == sum(row["n_images"] for row in truth)
    again = write_pages(tmp_path / "again", 0, 6, shard_size=20, mixed=1, broken=2)
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]


def test_750_prompts_for_30_subjects() -> None:
    subjects = benchmark_subjects(0)
    rows = benchmark_prompts(subjects)
    assert len(subjects) == 30 and {s.class_name for s in subjects} == set(CLASSES)
    assert len(rows) == 750 == len({(row["subject_id"], row["prompt_id"]) for row in rows})
    for row in rows:
        assert parse(row["prompt"]).class_name == row["class_name"]
    skills = Counter(row["skill"] for row in rows if row["class_name"] in LIVE_CLASSES)
    live = sum(s.class_name in LIVE_CLASSES for s in subjects)
    assert skills == {
        "recontextualization": 10 * live,
        "accessorization": 10 * live,
        "attribute_editing": 5 * live,
    }


def test_compositional_prompts_grow_within_a_chain() -> None:
    for subject in benchmark_subjects(0, 12):
        rows = compositional_prompts(subject, 7)
        assert rows == compositional_prompts(subject, 9)[:7]
        assert [row["prompt_id"] for row in rows] == ["c12", "c13", "c11", "c22", "c23", "c21", "c32"]
        said = {
            row["prompt_id"]: {k: v for k, v in vars(parse(row["prompt"])).items() if v is not None} for row in rows
        }
        for name, asked in said.items():
            assert len(asked) == 1 + requests_of(name) and "style" not in asked and "background" in asked
        for chain in "12":
            assert said[f"c{chain}1"].items() <= said[f"c{chain}2"].items() <= said[f"c{chain}3"].items()
    assert requests_of("00") is None and requests_of("a1") is None and requests_of("c103") == 3
    assert skill("a watercolor painting of a cat") == "art_style"
    assert skill("a red cat in the snow") == "compositional"


def test_objects_and_live_subjects_are_asked_for_all_kinds_of_requests() -> None:
    for names in (OBJECT_CLASSES, LIVE_CLASSES):
        subjects = [s for s in benchmark_subjects(0, 60) if s.class_name in names]
        asked = Counter(
            field
            for subject in subjects
            for row in compositional_prompts(subject, 6)
            for field, value in vars(parse(row["prompt"])).items()
            if value is not None
        )
        assert min(asked[name] for name in ("accessory", "effect", "recolour")) >= len(subjects) / 2


def test_a_page_has_a_home_that_few_pictures_leave() -> None:
    at_home, dressed, pictures = 0, 0, 0
    for number in range(200):
        scenes = page_scenes(6, keyed_rng("home", number))
        assert scenes[:4] == page_scenes(4, keyed_rng("home", number))
        places = Counter(scene.background for scene in scenes)
        at_home += places.most_common(1)[0][1]
        dressed += sum(scene.accessory is not None for scene in scenes)
        pictures += len(scenes)
        assert all((s.style, s.recolour, s.effect) == (PHOTO, None, None) for s in scenes)
    assert abs(at_home / pictures - (1 - ELSEWHERE)) < 0.04
    assert abs(dressed / pictures - DRESSED) < 0.02


def test_demonstrations_are_of_one_page_and_references_of_many_places() -> None:
    subject = benchmark_subjects(0)[8]
    shown = demonstrations(subject, 5, 0)
    assert shown.images.shape == (5, 64, 64, 3) and shown.images.dtype == np.uint8
    truths = [parse(text) for text in shown.captions]
    assert Counter(truth.background for truth in truths).most_common(1)[0][1] >= 3
    assert [t.accessory for t in truths] == [scene.accessory for scene in shown.scenes]
    assert np.array_equal(demonstrations(subject, 3, 0).images, shown.images[:3])
    real = references(subject, 5, 0)
    assert real.shape == shown.images.shape and np.array_equal(references(subject, 3, 0), real[:3])
    assert not {image.tobytes() for image in real} & {image.tobytes() for image in shown.images}
    with pytest.raises(ValueError, match="n: 21 references"):
        references(subject, 21, 0)
    with pytest.raises(ValueError, match="k: 0 demonstrations"):
        demonstrations(subject, 0, 0)


def test_targets_fulfil_their_prompts() -> None:
    subject = benchmark_subjects(0)[9]
    for row in benchmark_prompts([subject]):
        scene, truth = target_scene(row["prompt"], 0), parse(row["prompt"])
        assert (scene.accessory, scene.recolour, scene.effect) == (
            truth.accessory,
            truth.recolour,
            truth.effect,
        )
        assert (scene.place, scene.style) == (truth.background, "photo")
    first = target(subject, "a dog in the snow", 0)
    assert first.shape == (64, 64, 3) and np.array_equal(first, target(subject, "a dog in the snow", 0))
    assert not np.array_equal(first, target(subject, "a dog in the snow", 0, index=1))
    with pytest.raises(ValueError, match="is not about a dog"):
        target(subject, "a cat in the snow", 0)


def test_sheets_are_written(tmp_path: Path) -> None:
    paths = write_sheets(tmp_path, scale=1)
    assert [path.stem for path in paths] == [
        "world_classes",
        "world_identities",
        "world_backgrounds",
        "world_accessories",
        "world_styles",
    ]
    assert all(Image.open(path).size[0] > 200 for path in paths)
