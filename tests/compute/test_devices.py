"""Devices: which GPU a process takes, by a faked torch.cuda and by processes that really contend for locks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from suti import devices
from suti.config.schema import Compute
from suti.io.slots import take_least_busy

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from pathlib import Path
from suti.io.slots import take_least_busy
print(take_least_busy(["a", "b", "c"], Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


class Holder:
    """A process that takes one of three things and keeps it until it is let go or killed."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def index(self) -> int:
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def test_processes_take_different_things_then_share_the_least_busy(tmp_path):
    holders = [Holder(tmp_path / "slots") for _ in range(6)]  # all at the same time
    try:
        taken = [holder.index() for holder in holders]
        assert sorted(taken) == [0, 0, 1, 1, 2, 2]
        for holder, index in zip(holders, taken, strict=True):
            if index == 1:
                holder.end()  # a kill lets go of it
        assert take_least_busy(["a", "b", "c"], tmp_path / "slots") == 1
        assert take_least_busy(["a", "b", "c"], tmp_path / "slots") == 1
        assert take_least_busy(["a", "b", "c"], tmp_path / "slots") == 0
    finally:
        for holder in holders:
            holder.end()


def test_a_folder_that_is_not_ours_alone_is_refused(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(PermissionError, match=r"link: .* remove it, or set TMPDIR"):
        take_least_busy(["a"], tmp_path / "link")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(PermissionError, match="expected a folder that user"):
        take_least_busy(["a"], tmp_path / "open")
    (tmp_path / "mine" / "a.0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"a\.0"):
        take_least_busy(["a"], tmp_path / "mine")
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Pretends that the named cards are visible; returns the list of those made current."""
    current: list[int] = []

    def show(*cards: str) -> list[int]:
        devices._own_gpu.cache_clear()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cards))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=cards[i]))
        monkeypatch.setattr(torch.cuda, "set_device", current.append)
        return current

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield show
    devices._own_gpu.cache_clear()


def pick(device: str = "auto") -> str:
    return str(devices.pick_device(Compute(device=device)))


def test_without_a_gpu(gpus):
    current = gpus()
    assert pick() == pick("cpu") == "cpu" and current == []
    for device in ("cuda", "cuda:1"):
        with pytest.raises(RuntimeError, match=f"compute.device: {device}, .* set it to auto or cpu"):
            pick(device)


def test_one_gpu_needs_no_lock(gpus, tmp_path):
    current = gpus("x")
    assert pick() == pick("cuda") == pick("cuda:0") == "cuda:0" and set(current) == {0}
    assert not list(tmp_path.iterdir()) and pick("cpu") == "cpu"


def test_each_process_takes_a_card_whatever_number_it_sees_it_by(gpus):
    current = gpus("x", "y")
    assert pick() == pick("cuda") == "cuda:0"  # the same at every call
    assert current == [0, 0]
    gpus("y", "x")  # a second process, to which CUDA_VISIBLE_DEVICES shows them the other way round
    assert pick() == "cuda:0"
    gpus("x", "z", "y")
    assert pick() == "cuda:1"
    assert pick("cuda:2") == "cuda:2" and current[-1] == 2
    with pytest.raises(RuntimeError, match=r"compute.device: cuda:3, but torch sees 3 GPUs"):
        pick("cuda:3")


def test_processes_of_one_training_take_the_gpu_of_their_rank(gpus, monkeypatch, tmp_path):
    gpus("x", "y")
    for rank in ("1", "0"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert pick() == f"cuda:{rank}"
    assert not list(tmp_path.iterdir())  # torchrun deals the GPUs out: nothing to lock


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0"])
def test_unknown_devices_are_errors(device):
    with pytest.raises(ValueError, match="device"):
        Compute(device=device)


def test_no_profile_names_a_rule():
    """What a rule needs stands in the rule, so that profiles cannot disagree about it."""
    for file in (ROOT / "profiles").glob("*/config.yaml"):
        assert not {"set-resources", "set-threads"} & set(yaml.safe_load(file.read_text())), file
