"""The loop: resume by Muon's state too, time budgets, the average; what trainers keep on the device."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from suti.optim.muon import Muon, orthogonalize
from suti.small_models import loop
from suti.small_models.loop import LoopSettings, rate_at, train
from suti.small_models.optimizers import Average, make_optimizers
from suti.small_models.pool import Pool, Stream
from suti.small_models.store import Store


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))


def least_squares(model: nn.Module, fail_at: int | None = None):
    """Loss of batches that ``draw`` makes; fails at a step."""

    def draw(step: int) -> dict[str, torch.Tensor]:
        if step == fail_at:
            raise KeyboardInterrupt
        return {"x": torch.randn(8, 3, generator=torch.Generator().manual_seed(step))}

    def loss(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        x = batch["x"] + 0.1 * torch.randn(8, 3)
        return {"loss": ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()}

    return loss, draw


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, optimizer: str) -> None:
    settings = LoopSettings("toy", 1, 12, 1e-2, checkpoint_every=5, optimizer=optimizer, hold=0.4)
    whole, killed, resumed = network(), network(), network()
    loss, draw = least_squares(whole)
    spent = train(whole, loss, settings, draw=draw)
    assert spent.steps == 12
    checkpoint = tmp_path / "toy.safetensors"
    loss, draw = least_squares(killed, fail_at=8)
    with pytest.raises(KeyboardInterrupt):
        train(killed, loss, settings, checkpoint, draw=draw)
    loss, draw = least_squares(resumed)
    assert train(resumed, loss, settings, checkpoint, draw=draw).steps == 12
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(whole[2].weight, network()[2].weight)


def test_a_run_of_seconds_ends_with_its_rate_come_down() -> None:
    model = network()
    loss, draw = least_squares(model)
    settings = LoopSettings("toy", 1, 10**9, 1e-2, warmup=1, hold=0.4, seconds=0.5)
    spent = train(model, loss, settings, draw=draw)
    assert 0.5 <= spent.seconds < 5 and 1 < spent.steps < 10**6
    rates = [rate_at(settings, 100, elapsed) for elapsed in (0.0, 0.2, 0.35, 0.5, 9.0)]
    assert rates[0] == rates[1] == 1e-2
    assert rates[1] > rates[2] > rates[3] == rates[4] == pytest.approx(2e-4)


def test_a_run_with_a_duty_rests_between_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rests = network(), []
    error, draw = least_squares(model)
    ticks = count()  # a clock that goes on by a second at each look: no step takes longer on a busy machine
    clock = SimpleNamespace(sleep=rests.append, perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(loop, "time", clock)
    train(model, error, LoopSettings("toy", 1, 4, 1e-2, duty=0.25), draw=draw)
    assert rests == [3.0] * 3  # three times what a step took, after all but the last
    train(model, error, LoopSettings("toy", 1, 4, 1e-2), draw=draw)
    assert len(rests) == 3


def test_muon_orthogonalises_matrices_of_one_shape_as_each_alone() -> None:
    torch.manual_seed(0)
    many = torch.randn(3, 6, 20)
    together = orthogonalize(many)
    for one, row in zip(many, together, strict=True):
        assert torch.allclose(orthogonalize(one), row, atol=1e-2)
    spectrum = torch.linalg.svdvals(together.float())
    assert float(spectrum.min()) > 0.6 and float(spectrum.max()) < 1.3


def test_muon_takes_hidden_matrices_only() -> None:
    parameters = {name: nn.Parameter(torch.randn(4, 4)) for name in ("unet.conv_in.weight", "unet.mid.weight")}
    parameters["unet.mid.bias"] = nn.Parameter(torch.randn(4))
    parameters["text_encoder.block.weight"] = nn.Parameter(torch.randn(4, 4))
    muon, adamw = make_optimizers(parameters, "muon", 1e-3, 0.01, torch.device("cpu"))
    assert isinstance(muon, Muon)
    assert [id(p) for p in muon.param_groups[0]["params"]] == [id(parameters["unet.mid.weight"])]
    assert len(adamw.param_groups[0]["params"]) == 3
    with pytest.raises(ValueError, match="expected adamw or muon"):
        make_optimizers(parameters, "sgd", 1e-3, 0.01, torch.device("cpu"))


def test_the_average_moves_by_its_weight_and_copies_counts() -> None:
    model = nn.BatchNorm1d(2)
    average = Average(model)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.num_batches_tracked.fill_(7)
    average.update(0.25)
    assert torch.equal(average.tensors["weight"], torch.tensor([1.5, 1.5]))
    assert int(average.tensors["num_batches_tracked"]) == 7


def test_a_store_grows_with_the_steps_and_draws_by_key(tmp_path: Path) -> None:
    pool = Pool(tmp_path, Stream("test", 0, block=4))

    def read(pool: Pool, block: int) -> dict[str, torch.Tensor]:
        return {"number": torch.arange(4) + 4 * block}

    def store() -> Store:
        return Store(pool, 3, read, torch.device("cpu"), lambda t: {"twice": 2 * t["number"]}, fresh=2.0)

    first = store()
    assert int(first.draw("a", 1, 0, 50)["twice"].max()) == 6  # the first block alone
    later = first.draw("a", 1, 4, 50)["twice"]
    assert first.pictures == 12 and set(later.tolist()) <= set(range(0, 24, 2))
    assert torch.equal(store().draw("a", 1, 4, 50)["twice"], later)  # a resumed run has what the first had
    assert not torch.equal(store().draw("a", 2, 4, 50)["twice"], later)


def test_a_store_raises_what_its_reader_raises(tmp_path: Path) -> None:
    def read(pool: Pool, block: int) -> dict[str, torch.Tensor]:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Store(Pool(tmp_path, Stream("test", 0, block=4)), 1, read, torch.device("cpu"), fresh=1.0).draw("a", 0, 0, 1)
