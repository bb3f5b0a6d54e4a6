"""Values of the configuration that have a meaning of their own: the skills of prompts, and lambda of Eq. 6.

The rest of this package only carries settings from a file to a program, so no digest of code counts it
(suti/digests.py). This module counts.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from suti.runs import LAMBDA

Skill = Literal["recontextualization", "attribute_editing", "art_style", "accessorization", "compositional"]
SKILLS: tuple[Skill, ...] = get_args(Skill)
COMPOSITIONAL: Skill = "compositional"
"""The skill that joins requests of the others, as the prompts of DreamBench-v2 do (section 5.1)."""
SINGLE: tuple[Skill, ...] = tuple(skill for skill in SKILLS if skill != COMPOSITIONAL)
"""Skills that ask for one thing."""


def parse_lambda(text: str) -> tuple[Literal["none", "absolute", "quantile"], float]:
    """('none', 0), ('absolute', 0.02) or ('quantile', 0.4) of a lambda as written in the configuration."""
    if text == "none":
        return "none", 0.0
    kind: Literal["absolute", "quantile"] = "quantile" if text.startswith("q") else "absolute"
    if not re.fullmatch(LAMBDA, text):  # it becomes part of file names
        raise ValueError(f"lambda {text!r}: expected none, a number such as 0.02, or a quantile such as q0.4")
    number = float(text.removeprefix("q"))
    if kind == "quantile" and not 0 <= number < 1:
        raise ValueError(f"lambda {text!r}: a quantile lies in [0, 1)")
    return kind, number
