"""The copy check and the diversity score by hand, and on planted copies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from suti.benchmark.world import world_benchmark
from suti.evaluation.bootstrap import template_rows
from suti.evaluation.copies import diversity, mark, nearest, pixel_similarity, thresholds, thumbnails
from suti.evaluation.metrics import METRICS
from suti.figures import tables
from suti.seeds import generator


def noise(key: str, side: int = 64) -> np.ndarray:
    """A smooth random picture, as different from another as two scenes."""
    coarse = generator("copies", key).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return coarse.repeat(side // 8, axis=0).repeat(side // 8, axis=1)


def test_nearest_leaves_out_the_picture_itself():
    similarities = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.7]])
    itself = np.array([[True, False, False], [False, True, False]])
    assert nearest(similarities).tolist() == [1.0, 1.0]
    assert nearest(similarities, itself).tolist() == [0.5, 0.7]
    assert np.isnan(nearest(similarities[:, :1], np.array([[True], [True]]))).all()
    assert np.isnan(nearest(np.zeros((2, 0)))).all()


def test_diversity_is_the_mean_distance_between_pairs_of_a_prompt():
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [1.0, 0.0]])
    found = diversity(rows, ["a", "a", "a", "b"])
    # Pairs of 'a': 1 - 0, 1 - .6, 1 - .8, so their mean is 1.6 / 3.
    np.testing.assert_allclose(found[:3], [(1 + 0.4) / 2, (1 + 0.2) / 2, (0.4 + 0.2) / 2])
    assert found[:3].mean() == pytest.approx(1.6 / 3) and np.isnan(found[3])


def test_pixel_similarity_survives_shift_brightness_and_size():
    picture = noise("x")
    moved = np.pad(picture, ((4, 4), (4, 4), (0, 0)), mode="edge")[:64, :64]
    paler = (picture // 2 + 60).astype(np.uint8)
    small = picture[::2, ::2]
    flat = np.full((64, 64, 3), 90, np.uint8)
    found = pixel_similarity(thumbnails([picture, moved, paler, small, noise("y"), flat]), thumbnails([picture]))[:, 0]
    assert (found[:4] > 0.99).all() and found[4] < 0.6 and found[5] == 0


def metrics(run: str, nearest_dino: list[float]) -> pd.DataFrame:
    rows = [
        {"run": run, "sample_id": f"{run}{i}", "subject_id": f"s{i % 4}", "prompt_id": f"{i:03d}", "image_index": 0}
        | dict.fromkeys(METRICS, np.nan)
        | {"nearest_dino": value, "dino": 0.5}
        for i, value in enumerate(nearest_dino)
    ]
    return pd.DataFrame(rows)


def test_threshold_is_the_99_percent_quantile_of_the_real_pictures():
    real = metrics("real", [i / 200 for i in range(201)])
    limits = thresholds(real)
    assert limits == {"copies_dino": pytest.approx(0.99)}  # no pixels were measured
    marked = mark(real, limits)
    assert marked["copies_dino"].sum() == 2 and marked["copies_pixels"].isna().all()
    frame = metrics("x", [0.5, 0.991, 1.0, np.nan])
    assert mark(frame, limits)["copies_dino"].tolist()[:3] == [0, 1, 1]
    assert np.isnan(mark(frame, limits)["copies_dino"].iloc[3])


def test_table_of_copies():
    runs = {"real": metrics("real", [i / 200 for i in range(200)]), "base": metrics("base", [0.2, 0.3, 0.1, 1.0])}
    frame = tables.copies(runs, "suti-none-k4", 50, 0).frame.set_index("method")
    assert frame.loc["Real images", "copies_dino"] == pytest.approx(0.01)
    assert frame.loc["Base (text only)", "copies_dino"] == pytest.approx(0.25)
    assert frame.loc["Real images, any two scenes", "diversity"] == pytest.approx(0.5)
    assert pd.isna(frame.loc["Base (text only)", "diversity"])  # one picture a prompt: none, not 0
    assert frame["threshold_copies_pixels"].isna().all() and "SuTI" not in frame.index
    alone = tables.copies({"base": runs["base"]}, "suti-none-k4", 50, 0).frame
    assert alone["copies_dino"].isna().all()


def test_the_worlds_threshold_finds_moved_and_noisy_copies_and_spares_other_views():
    found = world_benchmark(0, 12, 10, 4, 1)
    known: dict[str, list[np.ndarray]] = {}
    for row in found.demonstrations:
        known.setdefault(row["subject_id"], []).append(found.demonstration_images[row["image_id"]])
    shown = {s: list(pictures) for s, pictures in known.items()}
    for subject, pictures in found.references.items():
        known[subject] += pictures

    def nearest_pixels(pictures: dict[str, list[np.ndarray]]) -> np.ndarray:
        small = {s: thumbnails(p) for s, p in known.items()}
        return np.concatenate([nearest(pixel_similarity(thumbnails(p), small[s])) for s, p in pictures.items()])

    real: dict[str, list[np.ndarray]] = {}
    for row in template_rows(pd.DataFrame(found.targets)).to_dict("records"):
        real.setdefault(row["subject_id"], []).append(found.target_images[row["sample_id"]])
    values = nearest_pixels(real)
    limit = thresholds(pd.DataFrame({"nearest_dino": np.nan, "nearest_pixels": values}))["copies_pixels"]
    assert (values > limit).mean() == pytest.approx(0.01, abs=0.01)

    def copied(picture: np.ndarray) -> np.ndarray:
        moved = np.pad(picture, ((8, 8), (8, 8), (0, 0)), mode="edge")[4:68, 10:74]
        grain = generator("copied").normal(0, 8, moved.shape)
        return np.clip(moved * 0.9 + grain, 0, 255).astype(np.uint8)

    planted = nearest_pixels({s: [copied(p) for p in pictures] for s, pictures in shown.items()})
    assert (planted > limit).mean() > 0.95
