"""What the module of a system holds: ``METHODS``, a ``Method`` by the name of each system that the module draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suti.config.schema import Compute
    from suti.diffusion.settings import Sampling
    from suti.generation.draw import BenchmarkSubject, Drawn
    from suti.models.base import BaseModel


@dataclass(frozen=True)
class Method:
    """How a system is set and how it draws.

    Attributes:
        settings: makes the method's settings, a frozen dataclass, of the values named in ``System.reads``, each under
            the last part of its name. They have a field or property ``steps``, the optimiser steps a subject (0 if
            there are none).
        draw: ``draw(base, subject, settings, sampling, compute, seed)`` draws all prompts of a benchmark subject. The
            base is left exactly as it was. Draws are keyed by the seed, the system and the subject; noise of the
            pictures as in ``suti.generation.draw.draw_subject``.
        load: of a system that does not start from the base: the model in a folder, frozen.

    ``Drawn.optimisation_seconds`` is what is done once a subject. A method that trains for every prompt counts that as
    drawing: in ``first_seconds`` what the first prompt takes, in ``sampling_seconds`` what all prompts take.
    """

    settings: Callable[..., Any]
    draw: Callable[[Any, BenchmarkSubject, Any, Sampling, Compute, int], Drawn]
    load: Callable[[str], BaseModel] | None = None

    def settings_of(self, values: Mapping[str, Any]) -> Any:
        """The method's settings of values by their dotted names."""
        return self.settings(**{name.rpartition(".")[2]: value for name, value in values.items()})


def load_method(name: str, module: str) -> Method:
    """The method of a system.

    Args:
        name: the system's.
        module: dotted name of its module (``System.module``). It is imported by this name and not by a statement, so
            that a system's code is behind its own pictures only: suti/digests.py follows statements.

    Raises:
        ValueError: the module draws no system of this name.
    """
    methods: dict[str, Method] = import_module(module).METHODS
    if name not in methods:
        raise ValueError(f"{module}: draws {', '.join(methods)}, not {name!r}; add it to its METHODS")
    return methods[name]
