"""What training and drawing ask of a base: a network behind one call, and what makes its inputs of texts and pictures.

``suti.models.base.BaseModel`` is the one for UNets. A new family of networks is a class with these members and nothing
else: no caller asks which base it has (docs/method.md, "A new base").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import torch
from diffusers import ModelMixin

from suti.diffusion.schedules import Schedule
from suti.models.codec import Codec
from suti.models.conditions import Conditions


class References(Protocol):
    """Pictures beside the text, as a network reads them: the apprentice's demonstrations, an editor's picture."""

    def __bool__(self) -> bool:
        """Whether there are any."""

    def with_present(self, present: torch.Tensor | None) -> Self:
        """The same for a forward pass in which row i of B sees them if ``present[i]`` is 1, and not if it is 0."""

    def rolled(self) -> Self:
        """Each subject sees those of the subject before it: the wrong ones, to compare with."""


class Backbone(Protocol):
    """A text-to-image base."""

    @property
    def network(self) -> ModelMixin:
        """What is trained, adapted and saved. It is called by ``predict`` and by nothing else."""

    @property
    def schedule(self) -> Schedule:
        """Its noise: ``Diffusion`` or ``Flow``."""

    @property
    def codec(self) -> Codec:
        """Map between pictures and the network's inputs."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one input."""

    @property
    def image_size(self) -> int:
        """Side of the pictures, pixels."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""

    def encode(self, texts: Sequence[str]) -> Conditions:
        """Conditions of texts, a row each, that depends on no other; '' is the dropped text. No gradients."""

    def predict(
        self, x: torch.Tensor, t: torch.Tensor, conditions: Conditions, references: References | None = None
    ) -> torch.Tensor:
        """What the schedule's ``target`` is: the one call of the network.

        Args:
            x: noisy inputs ``(B, *shape)``.
            t: ``(B,)``, times of the schedule.
            conditions: of B rows.
            references: what ``encode_references`` gave; None or empty: none are seen.

        Returns:
            ``(B, *shape)``. Nothing is rounded or cast here: callers choose precision.
        """

    def encode_references(self, x_start: torch.Tensor, conditions: Conditions, k: int) -> References:
        """Demonstrations of S subjects, encoded once for many predictions.

        Args:
            x_start: clean inputs ``(S k, *shape)``, subject-major; conditions: of their texts.
            k: demonstrations a subject.

        Raises:
            ValueError: the network takes none.
        """

    def with_network(self, network: ModelMixin) -> Self:
        """The same base around another network of its kind: an apprentice beside the base that it started from."""
