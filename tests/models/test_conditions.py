"""Conditions: whatever tensors there are, rows are gathered, repeated and joined alike."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suti.models.conditions import Conditions, join_rows


def conditions(rows: int, seed: int = 0) -> Conditions:
    """Hidden states, a mask and pooled text, as SDXL and its like read them."""
    draw = torch.Generator().manual_seed(seed)
    return Conditions({
        "hidden_states": torch.randn(rows, 5, 4, generator=draw),
        "mask": torch.rand(rows, 5, generator=draw) > 0.5,
        "pooled": torch.randn(rows, 3, generator=draw),
    })  # fmt: skip


def same(found: Conditions, wanted: Conditions) -> bool:
    names = found.tensors.keys() == wanted.tensors.keys()
    return names and all(torch.equal(found.tensors[n], wanted.tensors[n]) for n in wanted.tensors)


@settings(deadline=None)
@given(rows=st.integers(1, 6), data=st.data())
def test_gathering_goes_row_by_row_through_every_tensor(rows, data):
    whole = conditions(rows)
    pick = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=8))
    found = whole[torch.tensor(pick)]
    assert len(found) == len(pick) and same(found, whole[pick])
    for place, row in enumerate(pick):
        assert same(found[place : place + 1], whole[row : row + 1])
    assert same(whole[torch.tensor(pick)][::2], whole[torch.tensor(pick[::2])]), "gathering twice is gathering once"


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_joining_undoes_cutting(sizes):
    whole, start, parts = conditions(sum(sizes)), 0, []
    for size in sizes:
        parts.append(whole[start : start + size])
        start += size
    assert same(Conditions.join(parts), whole)


@settings(deadline=None)
@given(groups=st.integers(1, 4), rows=st.integers(1, 3), passes=st.integers(1, 3))
def test_joining_by_groups_keeps_each_group_together(groups, rows, passes):
    """Rows of one expert stand together, pass after pass: what each group gets is its own parts, joined."""
    parts = [conditions(groups * rows, seed) for seed in range(passes)]
    found = Conditions.join(parts, groups)
    assert len(found) == groups * rows * passes
    for group in range(groups):
        own = [part[group * rows : (group + 1) * rows] for part in parts]
        assert same(found[group * rows * passes : (group + 1) * rows * passes], Conditions.join(own))
    numbers = torch.arange(groups * rows)
    assert join_rows([numbers] * passes, groups).unflatten(0, (groups, passes, rows))[:, 0].flatten().equal(numbers)


@given(rows=st.integers(1, 5))
@settings(deadline=None)
def test_one_row_is_seen_many_times_and_not_copied(rows):
    one = conditions(1)
    assert same(one.expand(rows), one[[0] * rows])
    assert one.expand(rows).hidden_states.data_ptr() == one.hidden_states.data_ptr()


def test_a_dtype_is_for_numbers_and_leaves_masks():
    half = conditions(2).to(torch.float16)
    assert {n: t.dtype for n, t in half.tensors.items()} == {
        "hidden_states": torch.float16, "mask": torch.bool, "pooled": torch.float16
    }  # fmt: skip
    assert half.nbytes == 2 * (2 * 5 * 4 + 5 + 2 * 3)
    assert same(half.to(torch.device("cpu")), half)


def test_replaced_tensors_are_known_ones_of_as_many_rows():
    two = conditions(2)
    other = two.replace(pooled=torch.zeros(2, 3))
    assert not other.tensors["pooled"].any() and torch.equal(other.hidden_states, two.hidden_states)
    assert two.tensors["pooled"].any(), "the first is as it was"
    with pytest.raises(KeyError, match="pooledd, expected of hidden_states, mask, pooled"):
        two.replace(pooledd=torch.zeros(2, 3))
    with pytest.raises(ValueError, match="one number of rows"):
        two.replace(pooled=torch.zeros(3, 3))
    with pytest.raises(ValueError, match="at least one tensor"):
        Conditions({})
