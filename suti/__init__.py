"""Open reproduction of SuTI: subject-driven generation via apprenticeship learning (arXiv 2304.00186).

``from suti import SuTIPipeline`` gives the pipeline; ``import suti`` alone loads neither it nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suti.models.pipeline import SuTIPipeline

__version__ = "0.1.0"
__all__ = ["SuTIPipeline", "__version__"]

_PLACES = {"SuTIPipeline": "suti.models.pipeline"}


def __getattr__(name: str) -> Any:
    # By name and not by an import statement: this file is behind every module of the package, so a statement would
    # make the pipeline's code a part of every script's digest (suti/digests.py follows statements).
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
