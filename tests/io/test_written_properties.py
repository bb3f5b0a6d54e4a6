"""What is written is read back as it was: words for bash, states of a training, finished work."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suti.io.braces import braces
from suti.io.finished import Finished, content_address
from suti.io.state import read_state, write_state

NAMES = st.text("ab-./{},'\" $*0128é", min_size=1, max_size=8).filter(lambda name: not name.startswith("-"))
SERIES = st.builds(
    lambda stem, low, count, end: [f"{stem}{i}{end}" for i in range(low, low + count)],
    NAMES, st.integers(0, 12), st.integers(1, 5), NAMES,
)  # fmt: skip
TABLE = st.builds(
    lambda stem, parts, shards: [f"{stem}-{i}/{j}.tar" for i in range(parts) for j in range(shards)],
    NAMES, st.integers(1, 4), st.integers(1, 4),
)  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("aé\n'", max_size=4)
TENSORS = st.builds(
    lambda shape, kind: (torch.arange(int(np.prod(shape))).reshape(shape) % 7).to(kind),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool]),
)
STATES = st.recursive(
    PLAIN | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
PICTURES = st.dictionaries(
    st.text("ab/_.", min_size=1, max_size=5).filter(lambda key: key[0] in "ab"),
    st.builds(
        lambda height, width, value: np.full((height, width, 3), value, np.uint8),
        st.integers(1, 4), st.integers(1, 4), st.integers(0, 255),
    ),
    max_size=3,
)  # fmt: skip


@settings(max_examples=60)
@given(SERIES | TABLE | st.lists(NAMES, min_size=1, max_size=5))
def test_bash_reads_the_word_as_the_paths(paths):
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {braces(paths)}"], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == paths


def test_a_long_series_is_a_short_word():
    paths = [f"scores-{i}-{j}.parquet" for i in range(100) for j in range(5)]
    assert braces(paths) == "scores-{0..99}-{0..4}.parquet"
    assert braces(paths[:-1]).count("parquet") == 499


def same(found: Any, wanted: Any) -> bool:
    """Whether two states are equal in values, kinds and order of keys."""
    if isinstance(wanted, torch.Tensor):
        return found.dtype == wanted.dtype and torch.equal(found, wanted)
    if isinstance(wanted, dict):
        return list(found) == list(wanted) and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and type(found) is type(wanted) and all(map(same, found, wanted))
    return type(found) is type(wanted) and bool(found == wanted)


@settings(max_examples=25)
@given(st.dictionaries(st.text("ab", max_size=3), STATES, max_size=3))
def test_a_state_is_read_as_it_was_written(state):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.safetensors"
        write_state(path, state)
        assert same(read_state(path), state)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ValueError, match="not a whole checkpoint"):
            read_state(path)


@settings(max_examples=25)
@given(PICTURES, st.dictionaries(st.text("ab", max_size=3), PLAIN, max_size=3))
def test_finished_work_is_found_as_it_was_kept(pictures, record):
    with tempfile.TemporaryDirectory() as folder:
        finished = Finished(Path(folder))
        address = content_address(record, pictures.values())
        finished.keep(address, record, pictures.items())
        found, images = finished.find(address, lambda record, pictures: (record, pictures))
        assert found == record and list(images) == list(pictures)
        assert all(np.array_equal(images[key], picture) for key, picture in pictures.items())
        assert address == content_address(dict(reversed(record.items())), pictures.values())
