"""Runs of the workflow by the one scorer: against direct computations, on planted copies, over the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from suti.evaluation.copies import thumbnails
from suti.evaluation.embedding import Embeddings
from suti.evaluation.scoring import score_run
from suti.io.shard_index import ShardIndex
from suti.io.shards import encode_png, write_shard
from suti.seeds import generator


def noise(key: str, side: int = 64) -> np.ndarray:
    """A smooth random picture, as different from another as two scenes."""
    coarse = generator("copies", key).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return coarse.repeat(side // 8, axis=0).repeat(side // 8, axis=1)


class Pixels:
    """A toy encoder: the pixels of the thumbnail, and of a text a vector that its letters draw.

    A row depends by rounding on how many pictures or texts are embedded at once, as those of real encoders do.
    """

    has_text = True

    def __init__(self) -> None:
        self.seen = self.read = 0

    def embed(self, images, batch_size=64):
        self.seen += len(images)
        rows = thumbnails(images).reshape(len(images), -1)
        return self._unit(rows - rows.mean(1, keepdims=True), len(images))

    def embed_text(self, texts, batch_size=64):
        self.read += len(texts)
        return self._unit([generator("text", text).normal(size=3072) for text in texts], len(texts))

    def _unit(self, rows, count):
        rows = np.asarray(rows, np.float32)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True) * (1 + count * 1e-6)).astype(np.float32)


class Run:
    """A run's files in a folder: pictures, real ones and demonstrations by subject."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.encoder = folder, Pixels()

    def score(
        self,
        drawn: dict[str, np.ndarray],
        real: dict[str, list[np.ndarray]],
        shown: dict[str, list[np.ndarray]] | None = None,
        prompt: str = "p",
        metrics: tuple[str, ...] = ("dino", "clip_i", "clip_t"),
    ) -> pd.DataFrame:
        """Scores of pictures with keys SUBJECT__PROMPT__NUMBER."""
        names = [key.split("__") for key in drawn]
        rows = [
            {"run": "x", "sample_id": key, "subject_id": s, "prompt_id": p, "image_index": int(i)}
            | {"prompt": prompt and f"{prompt} {p}"}
            for key, (s, p, i) in zip(drawn, names, strict=True)
        ]
        write_shard(self.folder / "images.tar", [(f"{key}.png", encode_png(image)) for key, image in drawn.items()])
        for name, pictures in (("real", real), ("shown", shown or {})):
            members = [(f"{s}__{i:02d}.png", encode_png(p)) for s, own in pictures.items() for i, p in enumerate(own)]
            write_shard(self.folder / f"{name}.tar", members)
        shards = [ShardIndex(self.folder / f"{name}.tar") for name in ("images", "real", "shown")]
        embeddings = Embeddings(self.folder / "cache", load=lambda spec, compute: self.encoder, exact=True)
        return score_run(pd.DataFrame(rows), *shards, dict.fromkeys(metrics, "toy"), embeddings)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def pictures(count: int, name: str = "new") -> dict[str, np.ndarray]:
    return {f"{s}__{i:02d}__{k}": noise(f"{name} {s} {i} {k}") for s in "ab" for i in range(count) for k in range(2)}


REAL = {s: [noise(f"real {s} {i}") for i in range(3)] for s in "ab"}


def test_scores_equal_a_direct_computation_a_pair_at_a_time(run: Run) -> None:
    drawn = pictures(2)
    found = run.score(drawn, REAL)
    toy = Pixels()
    for row in found.to_dict("records"):
        own = toy.embed([drawn[row["sample_id"]]])[0]
        each = [float(own @ toy.embed([picture])[0]) for picture in REAL[row["subject_id"]]]
        assert row["dino"] == row["clip_i"] == pytest.approx(np.mean(each), abs=1e-4)
        assert row["nearest_dino"] == pytest.approx(max(each), abs=1e-4)
        text = toy.embed_text([f"p {row['prompt_id']}"])[0]
        assert row["clip_t"] == pytest.approx(float(own @ text), abs=1e-4)
    assert found["dinov2"].isna().all() and found["overall"].isna().all()


def test_a_subjects_numbers_depend_on_nothing_else_to_the_last_bit(run: Run, tmp_path: Path) -> None:
    drawn = pictures(2)
    together = run.score(drawn, REAL)
    again = run.score(drawn, REAL)
    (tmp_path / "other").mkdir()
    other = Run(tmp_path / "other")
    other.score({key: image for key, image in pictures(3).items() if "__0" in key}, REAL)  # fills the cache first
    alone = other.score({key: image for key, image in drawn.items() if key.startswith("b")}, REAL)
    pd.testing.assert_frame_equal(together, again, check_exact=True)
    mine = together[together["subject_id"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone, check_exact=True)


def test_pictures_that_the_cache_knows_are_not_embedded(run: Run) -> None:
    drawn = pictures(2)
    run.score(drawn, REAL)
    seen, read = run.encoder.seen, run.encoder.read
    assert (seen, read) == (2 * (4 + 3), 2)  # each picture once for three metrics; both subjects are asked alike
    run.score(drawn, REAL)
    assert (run.encoder.seen, run.encoder.read) == (seen, read)
    drawn["b__00__0"] = noise("redrawn")
    run.score(drawn, REAL)
    assert run.encoder.seen == seen + 7 and run.encoder.read == read


def test_planted_copies_are_found_and_no_picture_is_embedded_twice(run: Run) -> None:
    shown = [noise("shown 0"), noise("shown 1")]
    drawn = {
        "a__00__0": shown[1],  # an exact copy
        "a__00__1": np.roll(shown[0], 2, axis=0),
        "a__01__0": noise("new"),
        "a__01__1": noise("newer"),
    }
    found = run.score(drawn, {"a": [noise("real 0")]}, {"a": shown}, metrics=("dino", "clip_i"))
    assert run.encoder.seen == 6  # four drawn, one of them a demonstration; the other demonstration and the reference
    assert found["nearest_dino"].iloc[0] == pytest.approx(1, abs=1e-4) and found["nearest_dino"].iloc[3] < 0.6
    assert (found["nearest_pixels"].iloc[:2] > 0.95).all() and (found["nearest_pixels"].iloc[2:] < 0.8).all()
    assert found["dino"].iloc[0] < 0.5  # the metric looks at the references alone
    e = run.encoder.embed(list(drawn.values()))
    np.testing.assert_allclose(found["diversity"], np.repeat([1 - e[0] @ e[1], 1 - e[2] @ e[3]], 2), atol=1e-4)


def test_a_drawn_picture_is_compared_with_a_reference_that_it_equals(run: Run) -> None:
    found = run.score({"a__00__0": REAL["a"][0]}, REAL)
    toy = Pixels()
    rows = toy.embed(REAL["a"])
    assert found["dino"][0] == pytest.approx(float((rows @ rows[0]).mean()), abs=1e-4)


def test_real_photos_have_no_text_score_and_never_meet_themselves(run: Run) -> None:
    photos = [noise("p0"), noise("p1"), noise("p2"), noise("p0")]
    found = run.score({f"a__photo-0{i}__0": p for i, p in enumerate(photos)}, {"a": photos}, {"a": photos}, prompt="")
    assert (found["nearest_dino"] < 0.7).all() and (found["nearest_pixels"] < 0.9).all()
    assert (found["dino"] < 0.7).all() and found["dino"].notna().all()  # photo 3 is photo 0 again
    assert found["clip_t"].isna().all() and found["diversity"].isna().all()


def test_missing_pictures_and_references_are_named(run: Run) -> None:
    with pytest.raises(ValueError, match=r"subject 'c': no real pictures"):
        run.score({"c__00__0": noise("x")}, REAL)
    rows = pd.DataFrame([{"run": "x", "sample_id": "a__00__1", "subject_id": "a", "prompt_id": "00", "prompt": "p"}])
    run.score({"a__00__0": noise("x")}, REAL)
    shards = [ShardIndex(run.folder / f"{name}.tar") for name in ("images", "real", "shown")]
    with pytest.raises(ValueError, match="sample 'a__00__1'"):
        score_run(rows, *shards, {"dino": "toy"}, Embeddings(None, load=lambda *_: Pixels(), exact=True))
