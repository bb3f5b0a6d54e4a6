"""Embeddings of what experts drew: by these the samples are scored (suti/filtering.py), as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from suti.io.atomic import atomic_path

if TYPE_CHECKING:
    from suti.models.encoders import TextImageEncoder

PARTS = ("samples", "prompts", "demonstrations")


@dataclass(frozen=True)
class SubjectEmbeddings:
    """Unit embeddings of one subject, float32.

    Attributes:
        samples: of its samples y_s, (N, D).
        prompts: of the prompt p_s that each was drawn for, (N, D).
        demonstrations: of the pictures of C_s, (n, D), n >= 1.
    """

    samples: np.ndarray
    prompts: np.ndarray
    demonstrations: np.ndarray


def embed_subject(
    encoder: TextImageEncoder,
    samples: Sequence[np.ndarray],
    prompts: Sequence[str],
    demonstrations: Sequence[np.ndarray],
) -> SubjectEmbeddings:
    """Embeddings of a subject's pictures and prompts, in batches of this subject: they depend on no other.

    Args:
        samples: N pictures, uint8 (H, W, 3).
        prompts: N prompts, those that the samples were drawn for.
        demonstrations: the pictures of C_s.
    """
    return SubjectEmbeddings(
        encoder.embed(list(samples)), encoder.embed_text(list(prompts)), encoder.embed(list(demonstrations))
    )


def write_embeddings(path: str | Path, subjects: Mapping[str, SubjectEmbeddings]) -> None:
    """Write a shard's embeddings, subjects in their order, whole or not at all."""
    tensors = {
        name: np.concatenate([getattr(found, name) for found in subjects.values()])
        if subjects
        else np.zeros((0, 0), np.float32)
        for name in PARTS
    }
    counts = [[subject_id, len(found.samples), len(found.demonstrations)] for subject_id, found in subjects.items()]
    with atomic_path(path) as part:
        save_file(tensors, part, metadata={"subjects": json.dumps(counts)})


def read_embeddings(path: str | Path) -> dict[str, SubjectEmbeddings]:
    """A shard's embeddings by subject.

    Raises:
        ValueError: not a file that ``write_embeddings`` wrote (names the file and the remedy).
    """
    try:
        with safe_open(path, framework="np") as file:
            counts = json.loads((file.metadata() or {})["subjects"])
            samples, prompts, demonstrations = (file.get_tensor(name) for name in PARTS)
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a readable file of embeddings ({error}); delete it and run again") from error
    found, first, shown = {}, 0, 0
    for subject_id, count, known in counts:
        own, c_s = slice(first, first + count), slice(shown, shown + known)
        found[subject_id] = SubjectEmbeddings(samples[own], prompts[own], demonstrations[c_s])
        first, shown = own.stop, c_s.stop
    return found
