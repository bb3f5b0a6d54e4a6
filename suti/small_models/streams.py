"""The streams of pictures that the shipped models learn from: one for the base, one for its companions, one large."""

from __future__ import annotations

from suti.small_models.pool import Stream

IMAGE_SIZE = 64
LARGE_SIZE = 256


def base_stream(seed: int, size: int = IMAGE_SIZE) -> Stream:
    """Pictures of the base and its autoencoder: a new subject in every one."""
    return Stream("base", seed, size, views=1, block=512)


def companion_stream(seed: int) -> Stream:
    """Pictures of probe, CLIP, DINO-like encoder and captioner: two views a subject.

    What a scene may lack is drawn more often than in the base's stream, or heads would learn to say "none".
    """
    scene = {"p_accessory": 0.6, "p_style": 0.3, "p_recolour": 0.2, "p_effect": 0.3}
    return Stream("companions", seed, IMAGE_SIZE, views=2, block=1024, scene=scene)


def large_stream(seed: int) -> Stream:
    """Pictures of super-resolution."""
    return Stream("large", seed, LARGE_SIZE, views=1, block=64)
