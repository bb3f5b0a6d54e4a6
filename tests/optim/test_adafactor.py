"""Our Adafactor on banks of tensors against transformers', tensor by tensor."""

from __future__ import annotations

import pytest
import torch
from transformers import Adafactor

from suti.io.state import read_state, write_state
from suti.optim.adafactor import BankedAdafactor

SHAPES = [(5,), (5,), (4, 6), (3, 4, 3, 3), (3, 4, 3, 3), (3, 4, 3, 3), (), (2, 3, 4)]


def parameters() -> list[torch.nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES]


def give(members: list[torch.nn.Parameter], step: int) -> None:
    draw = torch.Generator().manual_seed(100 + step)
    for number, parameter in enumerate(members):
        parameter.grad = torch.randn(parameter.shape, generator=draw) * 10.0 ** (step - 2 + number % 2)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("bank", [1 << 20, 100])  # all of a shape together, or few
def test_it_is_that_of_transformers(momentum, bank):
    one, two = parameters(), parameters()
    groups = lambda members: [{"params": members[:3]}, {"params": members[3:], "lr": 0.02}]  # noqa: E731
    ours = BankedAdafactor(groups(one), 0.1, momentum, bank)
    theirs = Adafactor(groups(two), lr=0.1, beta1=momentum or None, scale_parameter=False, relative_step=False,
                       warmup_init=False)  # fmt: skip
    for step in range(5):
        for optimizer, members in ((ours, one), (theirs, two)):
            give(members, step)
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)  # the trainer's warm-up sets rates like this
            optimizer.step()
        for number, (found, wanted) in enumerate(zip(one, two, strict=True)):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6, msg=f"{SHAPES[number]} at step {step}")


def test_its_state_goes_through_a_file(tmp_path):
    whole, first, second = parameters(), parameters(), parameters()
    optimizer, before = BankedAdafactor(whole, 0.1, 0.9), BankedAdafactor(first, 0.1, 0.9)
    for step in range(4):
        give(whole, step), optimizer.step()
    for step in range(2):
        give(first, step), before.step()
    file = tmp_path / "state.safetensors"
    write_state(file, before.state_dict())
    after = BankedAdafactor(second, 0.1, 0.9)
    after.load_state_dict(read_state(file))
    for old, new in zip(first, second, strict=True):
        new.data.copy_(old.data)
    for step in range(2, 4):
        give(second, step), after.step()
    assert all(torch.equal(a, b) for a, b in zip(whole, second, strict=True))


def test_without_gradients_nothing_moves():
    members = parameters()
    start = [p.detach().clone() for p in members]
    BankedAdafactor(members, 0.1).step()
    members[1].grad = torch.ones(5)  # of a bank of two, one has a gradient
    BankedAdafactor(members, 0.1).step()
    assert [torch.equal(p, s) for p, s in zip(members, start, strict=True)] == [n != 1 for n in range(len(members))]
