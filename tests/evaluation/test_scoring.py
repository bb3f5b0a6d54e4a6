"""Scores under protocols against direct computations, one picture and one pair at a time; copies and the oracle."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suti.benchmark import world as world
from suti.benchmark.folders import Picture, find_generated, find_references
from suti.benchmark.lists import read_prompts
from suti.evaluation.bootstrap import resamples
from suti.evaluation.embedding import Embeddings
from suti.evaluation.protocols import Protocol
from suti.evaluation.scoring import metric_entries, prepare, real_pictures, references_of, report, score
from suti.io.images import read_image
from suti.models.encoders import load_text_image_encoder

ROOT = Path(__file__).resolve().parents[2]
CLIP = f"open_clip:local-dir:{ROOT}/resources/models/clip"
DINO = f"transformers:{ROOT}/resources/models/dino"
SIZES = {"robot": 3, "mug": 2}


class Vectors:
    """A toy encoder: the picture's corner pixel as a vector, of a text its length."""

    has_text = True

    def embed(self, images, batch_size=64):
        return unit(np.array([image[0, 0] for image in images], np.float64) + 1)

    def embed_text(self, texts):
        return unit(np.array([[len(text), 5, 1] for text in texts], np.float64))


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def toy() -> Embeddings:
    return Embeddings(None, load=lambda spec, compute: Vectors())


def paint(path: Path, *colours: tuple[int, int, int]) -> Path:
    """A picture whose corner is the first colour; the others make it a picture of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (32, 32), colours[0])
    for number, colour in enumerate(colours[1:]):
        image.paste(colour, (5 + 9 * number, 5, 30, 30))
    image.save(path)
    return path


@pytest.fixture
def world_run(tmp_path: Path) -> tuple[list[Picture], dict[str, list[Path]]]:
    """Two subjects of the world: their real pictures, and true renders of two prompts in place of drawn ones."""
    lines = ["subject,class,prompt"]
    for subject in world.benchmark_subjects(0, 2):
        for number, image in enumerate(world.demonstrations(subject, 3, "references").images):
            path = tmp_path / "refs" / subject.subject_id / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        for number, template in enumerate(world.templates(subject.class_name)[:2]):
            prompt = template.format(subject.class_name)
            lines.append(f"{subject.subject_id},{subject.class_name},{prompt}")
            for index in range(2):
                path = tmp_path / "out" / subject.subject_id / f"{number}_{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(world.target(subject, prompt, "target", index=index)).save(path)
    (tmp_path / "p.csv").write_text("\n".join(lines))
    return find_generated(tmp_path / "out", read_prompts(tmp_path / "p.csv")), find_references(tmp_path / "refs")


@pytest.mark.parametrize("rule", ["all", "one", "other"])
def test_every_metric_equals_a_direct_computation_a_pair_at_a_time(tmp_path: Path, world_run, rule: str):
    pictures, references = world_run
    protocol = Protocol("p", {"dino": DINO, "dinov2": DINO, "clip_i": CLIP, "clip_t": CLIP}, rule)
    embeddings = Embeddings(tmp_path / "c")
    found = score(protocol, *prepare([protocol], pictures, references, embeddings), embeddings)
    encoders = {"dino": Embeddings(None)._load(DINO, embeddings.compute), "clip": load_text_image_encoder(CLIP)}

    def cosine(name: str, first: Path, second: Path) -> float:
        one, two = (encoders[name].embed([read_image(path, max_pixels=10**6)])[0] for path in (first, second))
        return float(one @ two)

    for row, picture in zip(found.to_dict("records")[::3], pictures[::3], strict=True):
        known = references[picture.subject]
        chosen = {"all": known, "one": known[:1], "other": known[1:]}[rule]
        for metric, name in (("dino", "dino"), ("dinov2", "dino"), ("clip_i", "clip")):
            direct = np.mean([cosine(name, picture.path, real) for real in chosen])
            assert row[metric] == pytest.approx(direct, abs=2e-5)
        image = encoders["clip"].embed([read_image(picture.path, max_pixels=10**6)])[0]
        text = encoders["clip"].embed_text([picture.prompt])[0]
        assert row["clip_t"] == pytest.approx(float(image @ text), abs=2e-5)
        assert row["nearest_dino"] == pytest.approx(max(cosine("dino", picture.path, real) for real in known), abs=2e-5)
        (other,) = [p for p in pictures if p != picture and (p.subject, p.prompt) == (picture.subject, picture.prompt)]
        assert row["diversity"] == pytest.approx(1 - cosine("dino", picture.path, other.path), abs=2e-5)


def test_the_oracle_is_the_mean_pairwise_cosine(tmp_path: Path):
    colours = {"a": [(255, 0, 0), (0, 255, 0), (200, 200, 0)], "b": [(9, 9, 9), (0, 0, 255)]}
    references = {s: [paint(tmp_path / s / f"{i}.png", c) for i, c in enumerate(cs)] for s, cs in colours.items()}
    protocol = Protocol("own", {"DINO": "toy"})
    embeddings = toy()
    _, references = prepare([protocol], [], references, embeddings, copies=False)
    found = score(protocol, real_pictures(references), references, embeddings, copies=False)
    entry = metric_entries(protocol, found, embeddings, 200, 0)["DINO"]
    means = []
    for cs in colours.values():
        rows = unit(np.array(cs, float) + 1)
        means.append(np.mean([float(x @ y) for x, y in itertools.combinations(rows, 2)]))
    assert entry["mean"] == pytest.approx(np.mean(means), abs=1e-6)
    assert (entry["n"], entry["n_subjects"], entry["n_images"]) == (2, 2, 5)
    resampled = np.array(means)[resamples(2, 200, 0)].mean(axis=1)
    assert entry["interval"] == pytest.approx(np.percentile(resampled, [2.5, 97.5]).tolist(), abs=1e-6)


def test_means_over_images_and_over_subjects(tmp_path: Path):
    references = {s: [paint(tmp_path / "r" / f"{s}.png", (255, 0, 0))] for s in "ab"}
    pictures = [
        Picture("a", "00", "x", 0, paint(tmp_path / "0.png", (255, 0, 0), (1, 2, 3))),
        *(Picture("b", f"0{i}", "x" * i, 0, paint(tmp_path / f"{i}.png", (0, 255, 0), (i, 0, 0))) for i in (1, 2, 3)),
    ]
    low = float(np.prod([unit(np.array([c], float) + 1)[0] for c in ((255, 0, 0), (0, 255, 0))], axis=0).sum())
    means = {}
    for aggregate in ("subjects", "images"):
        protocol = Protocol("p", {"dino": "toy"}, aggregate=aggregate)
        embeddings = toy()
        found = score(protocol, *prepare([protocol], pictures, references, embeddings), embeddings)
        entry = metric_entries(protocol, found, embeddings, 300, 0)["dino"]
        means[aggregate] = entry["mean"]
        assert entry["low"] == pytest.approx(low, abs=1e-6) and entry["high"] == pytest.approx(1, abs=1e-6)
    assert means == pytest.approx({"subjects": (1 + low) / 2, "images": (1 + 3 * low) / 4}, abs=1e-6)


def test_which_reference_is_the_one(tmp_path: Path):
    paths = [tmp_path / f"0{i}.jpg" for i in range(3)]
    chosen = {"chosen": {"cat": "01.png", "dog": "07.jpg"}}
    assert references_of(Protocol("p", {"d": "x"}, "one", **chosen), "cat", paths) == [paths[1]]
    assert references_of(Protocol("p", {"d": "x"}, "other", **chosen), "cat", paths) == [paths[0], paths[2]]
    assert references_of(Protocol("p", {"d": "x"}, "one", **chosen), "dog", paths) == [paths[0]]
    assert references_of(Protocol("p", {"d": "x"}, "other"), "cat", paths[:1]) == []


def test_planted_copies_are_found_and_a_score_above_real_pictures_is_suspicious(tmp_path: Path):
    rng = np.random.default_rng(0)

    def colour() -> tuple[int, int, int]:
        return tuple(int(x) for x in rng.integers(0, 255, 3))

    references, pictures = {}, []
    for s in "abcdef":
        references[s] = [paint(tmp_path / s / f"{i}.png", colour(), colour(), colour()) for i in range(4)]
        copy = tmp_path / "out" / f"{s}.png"
        copy.parent.mkdir(exist_ok=True)
        shifted = np.roll(np.asarray(Image.open(references[s][0])), 1, axis=1)
        Image.fromarray(shifted if s == "b" else np.asarray(Image.open(references[s][0]))).save(copy, compress_level=0)
        drawn = paint(tmp_path / "out" / f"{s}2.png", colour(), colour())
        pictures += [Picture(s, "00", "x", 0, copy), Picture(s, "00", "x", 1, drawn)]
    protocol = Protocol("p", {"dino": "toy"}, "one")
    embeddings = toy()
    pictures, references = prepare([protocol], pictures, references, embeddings)
    generated = score(protocol, pictures, references, embeddings)
    real = score(protocol, real_pictures(references), references, embeddings)
    found = report(protocol, generated[generated["image_index"] == 0], real, embeddings, 100, 0)
    assert found["copies"]["copies_pixels"]["mean"] == 1 and found["copies"]["copies_dino"]["mean"] == 1
    assert found["copies"]["real"]["copies_pixels"]["mean"] < 0.1
    assert found["metrics"]["dino"]["mean"] == pytest.approx(1, abs=1e-3)
    assert found["suspicious"][0]["above_real"] and len(found["suspicious"][0]["subjects_above_real"]) == 6
    assert generated["nearest_pixels"][0] == pytest.approx(1, abs=1e-5)
    fresh = report(protocol, generated[generated["image_index"] == 1], real, embeddings, 100, 0)
    assert fresh["copies"]["copies_pixels"]["mean"] < 0.5


def test_pictures_that_are_alike_have_no_diversity(tmp_path: Path):
    references = {"a": [paint(tmp_path / "r.png", (1, 2, 3))]}
    same = [Picture("a", "00", "x", i, paint(tmp_path / f"{i}.png", (9, 9, 9), (i, 0, 0))) for i in range(3)]
    alone = Picture("a", "01", "y", 0, paint(tmp_path / "y.png", (255, 0, 0)))
    protocol, embeddings = Protocol("p", {"dino": "toy"}), toy()
    found = score(protocol, *prepare([protocol], [*same, alone], references, embeddings), embeddings)
    assert found["diversity"][:3].tolist() == pytest.approx([0, 0, 0], abs=1e-6) and np.isnan(found["diversity"][3])
    real = score(protocol, real_pictures(references), references, embeddings)
    assert np.isnan(real["dino"][0])  # the only one has no other to be compared with
    empty = report(protocol, found, real, embeddings, 10, 0)
    assert empty["real"]["dino"]["mean"] is None and empty["suspicious"] == []


def test_unreadable_references_do_not_pass_unnoticed(tmp_path: Path):
    (tmp_path / "r.png").write_bytes(b"nothing")
    protocol = Protocol("p", {"dino": "toy"})
    embeddings = Embeddings(None, partial=True, load=lambda spec, compute: Vectors())
    with pytest.raises(ValueError, match="references of 'a': none can be read"):
        prepare([protocol], [], {"a": [tmp_path / "r.png"]}, embeddings)
