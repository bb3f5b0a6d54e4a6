"""Random draws keyed by what they are for, so that no result depends on shards, cores or order.

Every draw of the pipeline comes from a generator made of ``(seed, stage, id, ...)``. Two processes that make
the same key get the same numbers; a new subject in a shard does not shift its neighbours' numbers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Key = str | int | float


def stable_hash(*keys: Key, bits: int = 64) -> int:
    """Integer in ``[0, 2**bits)`` that depends on the keys alone (blake2b; not Python's salted ``hash``)."""
    digest = hashlib.blake2b(digest_size=bits // 8)
    for key in keys:
        text = repr(key).encode()
        digest.update(len(text).to_bytes(4, "little") + text)
    return int.from_bytes(digest.digest(), "little")


def generator(*keys: Key) -> np.random.Generator:
    """NumPy generator for the keys, e.g. ``generator(seed, "prompts", subject_id)``."""
    return np.random.default_rng(stable_hash(*keys))


def torch_generator(*keys: Key) -> torch.Generator:
    """CPU torch generator for the keys. Draw on the CPU and move: the numbers then agree between devices."""
    import torch

    return torch.Generator("cpu").manual_seed(stable_hash(*keys, bits=56))


def training_seed(seed: int, training: int) -> int:
    """Seed of a further training of the same model, in ``[0, 2**31)``: every draw of it is another one.

    The first training's is ``seed`` itself.
    """
    return seed if training == 1 else stable_hash(seed, "training", training, bits=64) % 2**31


def shard_of(subject_id: str, shards: int) -> int:
    """Shard in ``[0, shards)`` of a subject: a stable hash, so adding a subject moves no other."""
    if shards < 1:
        raise ValueError(f"shards: {shards}, expected at least 1")
    return stable_hash("shard", subject_id) % shards
