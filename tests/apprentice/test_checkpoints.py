"""Checkpoints: any state comes back as it was, the newest few are kept, a damaged one is named and passed over."""

from __future__ import annotations

import pickle

import pytest
import torch

from suti.apprentice.checkpoints import checkpoint_path, newest_first, rotate
from suti.apprentice.loop import resume
from suti.io.state import read_state, write_state
from tests.small_g import run, trainer


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {
        "optimizer": {"state": {0: {"step": 3, "mean": torch.randn(2, 3)}, 7: {"rms": torch.tensor(0.1)}}},
        "rates": [{"lr": 1e-4 / 3, "betas": (0.9, 0.99), "first": None}],
        "half": torch.randn(3, dtype=torch.bfloat16), "slice": torch.randn(4, 4).T, "empty": [],
    }  # fmt: skip
    write_state(tmp_path / "a.safetensors", state)
    back = read_state(tmp_path / "a.safetensors")
    torch.testing.assert_close(back, state, rtol=0, atol=0)
    assert back["optimizer"]["state"].keys() == {0, 7} and back["rates"] == state["rates"] and back["empty"] == []


def damaged(data: bytes, how: str) -> bytes:
    if how == "flipped":
        return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    return {"cut": data[:-100], "empty": b"", "pickle": pickle.dumps({"unet": {}})}[how]


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "pickle"])
def test_a_damaged_file_is_refused_by_name(tmp_path, how):
    path = tmp_path / "a.safetensors"
    write_state(path, {"weights": torch.randn(100)})
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(ValueError, match=r"a\.safetensors: not a whole checkpoint"):
        read_state(path)


def test_the_newest_are_kept(tmp_path):
    for step in (2, 4, 10, 100_000_000):
        write_state(checkpoint_path(tmp_path, step), {"step": step})
    rotate(tmp_path, 2)
    assert [read_state(p)["step"] for p in newest_first(tmp_path)] == [100_000_000, 10]
    assert newest_first(tmp_path / "none") == []


def test_a_run_goes_on_from_the_one_before_a_damaged_one(tmp_path):
    whole = run(tmp_path / "a", checkpoint_every=1, keep_checkpoints=2)
    newest, before = newest_first(tmp_path / "a")
    assert (newest.name, before.name) == ("step-00000003.safetensors", "step-00000002.safetensors")
    newest.write_bytes(damaged(newest.read_bytes(), "cut"))
    probe = trainer()
    with pytest.warns(UserWarning, match=r"step-00000003\.safetensors: not a whole .* going on from the one before"):
        resume(probe, tmp_path / "a")
    assert probe.step == 2
    with pytest.warns(UserWarning, match="step-00000003"):
        again = run(tmp_path / "a", checkpoint_every=1)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
