"""The infinite training stream of the world's own models, and further views of one subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from suti.world.language import caption
from suti.world.render import render
from suti.world.scenes import Scene, sample_scene
from suti.world.subjects import Subject, keyed_rng, sample_subject


class Batch(TypedDict):
    """images: uint8 (N, S, S, 3), RGB; masks: float32 (N, S, S) in [0, 1]; captions, subjects, scenes: N."""

    images: np.ndarray
    masks: np.ndarray
    captions: list[str]
    subjects: list[Subject]
    scenes: list[Scene]


def corpus_batch(
    seed: int,
    step: int,
    batch_size: int,
    size: int,
    subject_pool: int | Sequence[Subject] | None = None,
    **scene: Any,
) -> Batch:
    """Batch number `step` of the stream `seed`; the same arguments give the same bytes in any process.

    subject_pool: None shows a new subject in every picture; a number draws from that many subjects of the
    stream; a sequence draws from these. The stream's subjects are in the seed space 'corpus-SEED', apart
    from pages and benchmark. `scene` goes to `sample_scene`, e.g. p_accessory=.3.
    """
    space = f"corpus-{seed}"
    subjects, scenes, captions = [], [], []
    for i in range(batch_size):
        rng = keyed_rng("corpus", seed, step, i)
        if subject_pool is None:
            subject = sample_subject(space, step * batch_size + i)
        elif isinstance(subject_pool, int):
            subject = sample_subject(space, int(rng.integers(subject_pool)))
        else:
            subject = subject_pool[int(rng.integers(len(subject_pool)))]
        subjects.append(subject)
        scenes.append(sample_scene(rng, **scene))
        captions.append(caption(subject, scenes[-1], rng))
    images, masks = render(subjects, scenes, size)
    return Batch(images=images, masks=masks, captions=captions, subjects=subjects, scenes=scenes)


def views(subject: Subject, n: int, rng: np.random.Generator, *, size: int = 64, **scene: Any) -> Batch:
    """n pictures of one subject in scenes drawn by `sample_scene(rng, **scene)`, with true captions."""
    scenes = [sample_scene(rng, **scene) for _ in range(n)]
    captions = [caption(subject, s, rng) for s in scenes]
    images, masks = render([subject] * n, scenes, size)
    return Batch(images=images, masks=masks, captions=captions, subjects=[subject] * n, scenes=scenes)
