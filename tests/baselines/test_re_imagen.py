"""The apprentice's training without experts: Re-Imagen on neighbours of other pages, clusters on their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from scripts.train_apprentice import cluster_subjects, neighbour_subjects
from suti.apprentice import hold_out, make_batch
from suti.apprentice.data import Subject, draw_pictures
from suti.apprentice.validation import fixed_views
from suti.baselines.clusters import METHODS as CLUSTERS
from suti.baselines.neighbours import nearest_of_other_pages
from suti.baselines.re_imagen import METHODS
from suti.baselines.without_experts import WithoutExperts, draw_without_experts
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.generation.draw import BenchmarkSubject
from suti.io import tables
from suti.io.shards import encode_png, write_shard
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.pipeline import SuTIPipeline, load_apprentice
from tests.small_g import FP32, PICTURES, ROOT, SETTINGS, SUBJECTS, write_g
from tests.tiny import tiny_base

OWN = [replace(subject, targets=subject.demonstrations) for subject in SUBJECTS]


@pytest.mark.parametrize(("count", "shown"), [(2, 1), (3, 2), (4, 3), (10, 3)])
def test_no_picture_is_target_and_demonstration(count: int, shown: int) -> None:
    pairs = tuple((f"d{i}", "a cat") for i in range(count))
    subject, seen = Subject("s", pairs, pairs), set()
    for seed in range(40):
        demonstrations, targets = draw_pictures(subject, 3, 4, np.random.default_rng(seed))
        assert len(demonstrations) == 3 and len(targets) == 4
        assert not set(demonstrations) & set(targets) and len(set(demonstrations)) == shown
        assert len(set(targets)) == min(4, count - shown)
        seen |= set(targets)
    assert seen == set(range(count))


def test_g_is_drawn_as_before() -> None:
    """The draws of the apprentice: demonstrations, then targets, of one generator."""
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    found = draw_pictures(SUBJECTS[0], 2, 3, rng)
    assert found[0].tolist() == again.choice(3, 2, replace=False).tolist()
    assert found[1].tolist() == again.choice(4, 3, replace=False).tolist()


def test_half_precision_folders_are_opened_in_single_precision(tmp_path: Path) -> None:
    """As the shipped apprentice is; training and autocast want float32."""
    base = tiny_base()
    apprentice = ApprenticeUNet.from_base(base.unet, "zero")
    pipeline = SuTIPipeline(apprentice, base.text_encoder, base.tokenizer, base.scheduler).to(dtype=torch.float16)
    pipeline.save_pretrained(tmp_path / "half")
    found = load_apprentice(str(tmp_path / "half"))
    kinds = {p.dtype for part in (found.unet, found.text_encoder) for p in part.parameters()}
    assert kinds == {torch.float32} and not any(p.requires_grad for p in found.unet.parameters())
    with pytest.raises(FileNotFoundError, match=r"--model: .*does not exist"):
        load_apprentice(str(tmp_path / "results" / "nowhere"))


def test_validation_shows_other_pictures_than_the_target() -> None:
    views = fixed_views(OWN, PICTURES.__getitem__, PICTURES.__getitem__, 2, 16, 0)
    for number, target in enumerate(views.targets):
        assert all((target != shown).any() for shown in views.demonstrations[2 * number : 2 * number + 2])


@pytest.mark.parametrize("block", [(1, 1), (3, 4), (64, 64)])
def test_neighbours_are_the_nearest_of_other_pages(block: tuple[int, int]) -> None:
    rows = np.random.default_rng(1).normal(size=(24, 5)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pages = np.array([f"page{i % 7}" for i in range(24)])
    looks = np.array([f"look{i}" for i in range(24)])
    looks[[2, 3]] = "twice"  # one picture on two pages
    rows[3] = rows[2]
    found = list(nearest_of_other_pages(rows, pages, looks, 4, block))
    assert len(found) == 24
    for number, (places, cosines) in enumerate(found):
        others = [i for i in range(24) if pages[i] != pages[number] and looks[i] != looks[number]]
        wanted = sorted(others, key=lambda i: (-float(rows[number] @ rows[i]), i))[:4]
        assert places.tolist() == wanted
        np.testing.assert_allclose(cosines, rows[places] @ rows[number], atol=1e-6)


def test_few_or_no_pictures_of_other_pages() -> None:
    rows, names = np.eye(3, dtype=np.float32), np.array(["a", "a", "b"])
    found = list(nearest_of_other_pages(rows, names, np.arange(3), 4))
    assert [places.tolist() for places, _ in found] == [[2], [2], [0, 1]]
    alone = list(nearest_of_other_pages(rows[:2], names[:2], np.arange(2), 4))
    assert [len(places) for places, _ in alone] == [0, 0]


SHOWN = pd.DataFrame(
    [
        ("a", "a0", "a teal cat"),
        ("a", "a1", "a teal cat on a sofa"),
        ("b", "b0", "a red dog"),
        ("c", "c0", "an old hat"),
    ],
    columns=["subject_id", "image_id", "text"],
)
NAMED = pd.DataFrame(
    [("a", "teal cat", "cat"), ("b", "red dog", "dog"), ("c", "old hat", "hat")],
    columns=["subject_id", "description", "class_name"],
)
NEAR = pd.DataFrame(
    [("a0", "c0", 1, 0.4), ("a0", "b0", 0, 0.5), ("a1", "b0", 0, 0.7), ("b0", "a1", 0, 0.7)],
    columns=["image_id", "neighbour_id", "rank", "cosine"],
)


def test_a_target_is_shown_its_neighbours_with_their_own_texts() -> None:
    found = neighbour_subjects(SHOWN, NAMED, NEAR)
    assert [(s.subject_id, s.targets, s.description, s.class_name) for s in found] == [
        ("a", (("a0", "a teal cat"),), "teal cat", "cat"),
        ("a", (("a1", "a teal cat on a sofa"),), "teal cat", "cat"),
        ("b", (("b0", "a red dog"),), "red dog", "dog"),
    ]
    assert found[0].demonstrations == (("b0", "a red dog"), ("c0", "an old hat"))
    assert found[2].demonstrations == (("a1", "a teal cat on a sofa"),)
    pictures = {key: np.zeros((16, 16, 3), np.uint8) for key in SHOWN["image_id"]}
    plain = {"demonstrations": 2, "drop_text": 0.0, "drop_both": 0.0}

    def texts(share: float) -> tuple[set[str], set[str]]:
        settings = SETTINGS.model_copy(update=plain | {"class_noun_share": share})
        batch = make_batch(found[:1], pictures.__getitem__, pictures.__getitem__, settings, 16, 0, 0)
        return set(batch.texts), set(batch.prompts)

    # each demonstration is named by its own class, not by the target's
    assert texts(1.0) == ({"a dog", "a hat"}, {"a cat"})
    assert texts(0.0) == ({"a red dog", "an old hat"}, {"a teal cat"})


def test_pictures_of_a_cluster_are_held_out_together() -> None:
    found = neighbour_subjects(SHOWN, NAMED, NEAR)
    for seed in range(8):
        trained, kept = hold_out(found, 0.3, seed)
        assert len({s.subject_id for s in kept}) == 1 and len(trained) + len(kept) == 3
        assert not {s.subject_id for s in kept} & {s.subject_id for s in trained}


def test_clusters_are_shown_their_own_pictures() -> None:
    (only,) = cluster_subjects(SHOWN, NAMED)  # the others have one picture each
    assert only.targets == only.demonstrations and [key for key, _ in only.targets] == ["a0", "a1"]


def call(script: str, *words: str, settings: dict) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, f"scripts/{script}.py", "--settings", json.dumps(settings), *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clusters")
    write_g(folder)
    return folder


def train(folder: Path, kind: str, *words: str) -> subprocess.CompletedProcess[str]:
    return call(
        "train_apprentice", "--training-set", kind, "--steps=3", f"--demonstrations={folder}/demonstrations.parquet",
        f"--subjects={folder}/subjects.parquet", f"--images={folder}/images.tar", f"--checkpoints={folder}/.{kind}",
        f"--out-dir={folder}/{kind}", *words,
        settings={"seed": 0, "compute": FP32.model_dump(mode="json"), "models.base": str(folder / "base"),
                  "apprentice": SETTINGS.model_dump(mode="json")},
    )  # fmt: skip


def test_the_script_trains_on_clusters_and_the_model_draws(clusters: Path) -> None:
    done = train(clusters, "clusters")
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((clusters / "clusters" / "provenance.json").read_text())
    assert (record["training_set"], record["subjects"], record["samples"]) == ("clusters", 3, 9)
    assert record["settings"]["apprentice"]["steps"] == 3
    base = CLUSTERS["clusters"].load(str(clusters / "clusters"))
    assert CLUSTERS["clusters"].draw is METHODS["re-imagen"].draw is draw_without_experts
    subject = BenchmarkSubject(
        "s", "cat", tuple((PICTURES[f"ad{i}"], "a cat") for i in range(3)), (("00", "a cat in the snow"),)
    )
    drawn = draw_without_experts(
        base, subject, WithoutExperts(2), Sampling(2, 2.0, False, 1), Compute(precision="fp32"), 0
    )
    assert drawn.images.shape == (1, 16, 16, 3) and (drawn.stored_bytes, drawn.optimisation_seconds) == (0, 0)


def test_neighbours_are_retrieved_and_trained_on(clusters: Path) -> None:
    encoder = "open_clip:local-dir:resources/models/clip"
    rng = np.random.default_rng(0)
    shown = tables.read(clusters / "demonstrations.parquet", "demonstrations")
    pictures = {key: rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for key in shown["image_id"]}
    pictures["bd0"] = pictures["ad0"]  # the same file on two pages
    write_shard(clusters / "noise.tar", [(f"{key}.png", encode_png(picture)) for key, picture in pictures.items()])
    settings = {"compute": FP32.model_dump(mode="json"), "mining.encoder": encoder, "mining.batch_size": 8,
                "apprentice.demonstrations": 2}  # fmt: skip
    done = call(
        "retrieve_neighbours", f"--demonstrations={clusters}/demonstrations.parquet", f"--images={clusters}/noise.tar",
        f"--neighbours={clusters}/neighbours.parquet", settings=settings,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    near = tables.read(clusters / "neighbours.parquet", "neighbours")
    assert len(near) == 18 and near.groupby("image_id")["cosine"].apply(lambda c: c.is_monotonic_decreasing).all()
    assert (near["image_id"].str[0] != near["neighbour_id"].str[0]).all()
    assert not {("ad0", "bd0"), ("bd0", "ad0")} & set(zip(near["image_id"], near["neighbour_id"], strict=True))
    trained = train(clusters, "neighbours", f"--neighbours={clusters}/neighbours.parquet")
    assert trained.returncode == 0, trained.stderr[-3000:]
    record = json.loads((clusters / "neighbours" / "provenance.json").read_text())
    assert (record["training_set"], record["subjects"], record["samples"]) == ("neighbours", 3, 9)
    tables.write(clusters / "one.parquet", "demonstrations", shown[shown["subject_id"] == "a"])
    alone = call(
        "retrieve_neighbours", f"--demonstrations={clusters}/one.parquet", f"--images={clusters}/noise.tar",
        f"--neighbours={clusters}/none.parquet", settings=settings,
    )  # fmt: skip
    assert alone.returncode == 1 and "pictures of 1 pages" in alone.stderr
    assert "take re-imagen out of baselines.systems" in alone.stderr


@pytest.mark.parametrize(
    ("kind", "words", "wanted"),
    [
        ("clusters", ["--filtered=x"], "clusters takes of these files: none; given: --filtered"),
        ("neighbours", [], "neighbours takes of these files: --neighbours; given: none"),
        (
            "samples",
            ["--filtered=x"],
            "samples takes of these files: --filtered --samples --pictures; given: --filtered",
        ),
    ],
)
def test_files_of_another_training_set_are_refused(tmp_path: Path, kind: str, words: list[str], wanted: str) -> None:
    done = train(tmp_path, kind, *words)
    assert done.returncode == 2 and wanted in done.stderr
