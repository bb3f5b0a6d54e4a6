"""Keyed randomness: the values themselves, because shards, ids and every drawn number hang on them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suti.seeds import generator, shard_of, stable_hash, torch_generator

WORDS = st.text("ab01'\", é")
KEYS = st.lists(WORDS | st.integers() | st.floats(allow_nan=False), max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("keys", "want", "want_of_32_bits"),
    [
        ((), 13020603013274838756, 634351890),
        (("a", "b"), 1807570441945515732, 3506612950),
        (("ab",), 18168565144383710402, 838640271),
        ((0,), 2760575203916077219, 4242462615),
        (("0",), 18328689733361487044, 2238802880),
        ((0.5,), 4788101516852953952, 2953214569),
        ((7, "apprentice", "noise", 3), 16692685574879638459, 4073370187),
        (("é",), 4474045676192959745, 4211695531),
    ],
)
def test_the_hash_keeps_its_values(keys, want, want_of_32_bits):
    """Another value would move every subject to another shard and draw every number anew."""
    assert (stable_hash(*keys), stable_hash(*keys, bits=32)) == (want, want_of_32_bits)


def test_subjects_keep_their_shards():
    assert [shard_of(f"s{i}", 7) for i in range(10)] == [6, 3, 4, 2, 3, 1, 5, 5, 5, 3]
    assert [shard_of(f"s{i}", 2) for i in range(10)] == [1, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="shards: 0, expected at least 1"):
        shard_of("s", 0)


def test_generators_keep_their_numbers():
    assert generator(0, "prompts", "s").integers(0, 2**31, 3).tolist() == [1766322268, 1476490890, 1832795643]
    drawn = torch.randint(0, 2**31, (3,), generator=torch_generator(0, "x"))
    assert drawn.tolist() == [1704097909, 1499599451, 2072992251]


@given(KEYS, KEYS, st.sampled_from([8, 32, 56, 64, 128]))
def test_other_keys_give_other_hashes(keys, others, bits):
    assert 0 <= stable_hash(*keys, bits=bits) < 2**bits
    assert stable_hash(*keys, bits=128) == stable_hash(*keys, bits=128)
    if repr(keys) != repr(others):  # 1 and 1.0 are different keys
        assert stable_hash(*keys, bits=128) != stable_hash(*others, bits=128)


@given(WORDS, WORDS.filter(bool), WORDS)
def test_where_one_key_ends_matters(first, moved, last):
    assert stable_hash(first + moved, last) != stable_hash(first, moved + last)


@given(st.lists(WORDS, min_size=1, unique=True), st.integers(1, 50))
def test_a_subjects_shard_depends_on_no_other_subject(subjects, shards):
    places = {subject: shard_of(subject, shards) for subject in subjects}
    assert all(0 <= place < shards for place in places.values())
    assert {subject: shard_of(subject, shards) for subject in reversed(subjects)} == places
