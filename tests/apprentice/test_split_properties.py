"""Shares of a step: nothing is lost, doubled or moved, however many processes and micro-batches there are."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from suti.apprentice.data import Batch, share_of

COUNTS = st.integers(1, 6)


@given(st.integers(0, 100), st.integers(1, 12))
def test_shares_are_neighbours_and_even(count, parts):
    shares = [share_of(count, number, parts) for number in range(parts)]
    assert [place for share in shares for place in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(COUNTS, st.integers(1, 3), st.integers(1, 3), COUNTS, st.integers(0, 5))
def test_micro_batches_make_up_the_batch(subjects, rows, k, parts, first):
    parts = min(parts, subjects)
    count, shown = subjects * rows, subjects * k
    whole = Batch(
        torch.arange(count)[:, None, None, None].float(), [f"p{i}" for i in range(count)],
        torch.arange(shown)[:, None, None, None].float(), [f"t{i}" for i in range(shown)],
        torch.arange(count).float(), k, first=first, total=first + count,
    )  # fmt: skip
    split = whole.split(parts)
    assert len(split) == parts
    assert torch.cat([part.targets for part in split]).equal(whole.targets)
    assert torch.cat([part.demonstrations for part in split]).equal(whole.demonstrations)
    assert torch.cat([part.present for part in split]).equal(whole.present)
    assert [p for part in split for p in part.prompts] == whole.prompts
    assert [t for part in split for t in part.texts] == whole.texts
    for part in split:  # whole subjects: a prompt's row tells whose demonstrations it is beside
        assert part.first == first + int(part.prompts[0][1:]) and part.total == whole.total
        assert {int(p[1:]) // rows for p in part.prompts} == {int(t[1:]) // k for t in part.texts}
