"""How well the shipped apprentice draws, with and without demonstrations, as scores of the shipped probe.

`make golden` writes the scores to ``tests/golden_apprentice.json``: do so after another apprentice or probe is shipped,
and look at what has changed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from suti.benchmark.world import benchmark_subjects, demonstrations, references
from suti.io.atomic import write_json
from suti.models.pipeline import SuTIPipeline
from suti.seeds import torch_generator
from suti.small_models.probe_network import load_probe
from suti.world.language import phrase

ROOT = Path(__file__).resolve().parents[1]
FILE = Path(__file__).with_suffix(".json")
MODELS = {name: ROOT / "resources/models" / name for name in ("apprentice", "probe")}
SUBJECTS, STEPS, GUIDANCE = 24, 12, 3.0
PLACES = ("jungle", "snow", "beach")


def weights() -> dict[str, str]:
    """Digest of each model's weights: golden scores are those of these files."""
    found = {}
    for name, folder in MODELS.items():
        digest = hashlib.sha256()
        for path in sorted(folder.rglob("*.safetensors")):
            digest.update(path.read_bytes())
        found[name] = digest.hexdigest()
    return found


def draw_scores() -> dict[str, dict[str, float]]:
    """Mean subject, text and realism scores of one picture a subject, 'with' and 'without' four demonstrations."""
    pipeline = SuTIPipeline.from_pretrained(MODELS["apprentice"])
    pipeline.set_progress_bar_config(disable=True)
    size = pipeline.base.image_size
    probe = load_probe(MODELS["probe"])
    pictures: dict[str, list[np.ndarray]] = {"with": [], "without": []}
    prompts, real = [], []
    for number, subject in enumerate(benchmark_subjects(0, SUBJECTS)):
        prompt = phrase(subject.class_name, background=PLACES[number % len(PLACES)])
        shown = demonstrations(subject, 4, 0, size=size)
        for name, pairs in (("with", list(zip(shown.images, shown.captions, strict=True))), ("without", [])):
            drawn = pipeline(
                prompt, pairs, num_inference_steps=STEPS, guidance_scale=GUIDANCE, output_type="np",
                generator=[torch_generator(0, "golden", subject.subject_id)],
            )  # fmt: skip
            pictures[name].append(drawn.images[0])
        prompts.append(prompt)
        real.append(list(references(subject, 4, 0, size=size)))
    return {
        name: {
            field: round(float(values.mean()), 4)
            for field, values in probe.judge(images, prompts, real)._asdict().items()
        }
        for name, images in pictures.items()
    }


def golden() -> dict[str, Any]:
    """What the file holds."""
    return dict(json.loads(FILE.read_text()))


if __name__ == "__main__":
    write_json(FILE, {"weights": weights(), "scores": draw_scores()})
