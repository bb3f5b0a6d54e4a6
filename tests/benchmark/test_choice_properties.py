"""A smaller run asks for a part of what a larger one asks for, whatever their sizes."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from suti.benchmark.prompts import SHEET_ONLY, first_prompts, prompt_rows, select_prompts

TEMPLATES = tuple(f"a {{}} in place {i}" for i in range(40))


@given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 200))
def test_choices_are_nested_for_any_number_of_templates(total, n, m):
    n, m = sorted((n, m))
    small, large = select_prompts(total, n), select_prompts(total, m)
    assert large[: len(small)] == small and len(small) == min(n, total)
    assert len(set(large)) == len(large) and set(large) <= set(range(total))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 4), st.integers(1, 14), st.integers(1, 14))
def test_fewer_prompts_a_subject_are_among_more(counts, shown, n, m):
    n, m = sorted((n, m))
    rows = []
    for number, count in enumerate(counts):
        subject = f"s{number}"
        rows += prompt_rows(subject, "dog", TEMPLATES, count)
        rows += [{"subject_id": subject, "prompt_id": f"a{i}", "prompt": "x", "skill": SHEET_ONLY[0]}
                 for i in range(shown)]  # fmt: skip
    prompts = pd.DataFrame(rows)
    asked = [set(first_prompts(prompts, k, 0)[["subject_id", "prompt_id"]].itertuples(index=False)) for k in (n, m)]
    assert asked[0] <= asked[1]
    templates = first_prompts(prompts, n, 0)
    templates = templates[~templates["skill"].isin(SHEET_ONLY)]
    assert templates.groupby("subject_id").size().to_dict() == {f"s{i}": min(n, c) for i, c in enumerate(counts)}
