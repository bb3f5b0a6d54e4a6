"""Many experts at once against one alone: adapters, optimiser, training, drop-outs. Tolerances are of float32."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig, inject_adapter_in_model

from suti.experts.batched.adafactor import StackedAdafactor
from suti.experts.batched.adapters import stacked_adapters
from suti.experts.batched.keeping import is_kept, save_expert
from suti.experts.batched.memory import Fit, expert_memory, fit_machine, free_memory
from suti.experts.batched.merging import merged_adapters
from suti.experts.batched.parameters import StackedParameters
from suti.experts.batched.training import stacked_unet, train_experts
from suti.experts.fine_tuning import TrainingSet, fixed_rate_adafactor
from suti.optim.adafactor import share_at
from suti.seeds import torch_generator
from tests.alone_and_together import CASES, FP32, alone, probe, same, subject, together, tuning
from tests.tiny import tiny_base

TOLERANCE = 1e-4  # of the largest number: K at once against the plain loop, whose matrix products have other shapes


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_each_of_many_is_what_it_is_alone(kind, method):
    base, settings = tiny_base(kind), tuning(method)
    before = {n: p.clone() for n, p in base.unet.state_dict().items()}
    plain = base.unet(*probe(base)).sample
    out, losses, weights = together(base, [0, 1, 2], settings)
    for number in (0, 1, 2):
        wanted, loss = alone(base, number, settings)
        assert (out[number] - wanted).abs().max() < TOLERANCE * wanted.abs().max()
        assert losses[number] == pytest.approx(loss, rel=1e-5)
        assert (wanted - plain).abs().max() > 100 * TOLERANCE * wanted.abs().max(), "training changed next to nothing"
    for numbers in ([2, 0, 1], [2]):
        _, others, found = together(base, numbers, settings)
        for place, number in enumerate(numbers):
            assert others[place] == pytest.approx(losses[number], rel=1e-5)
            for name, value in weights[number].items():
                torch.testing.assert_close(found[place][name], value, rtol=1e-4, atol=1e-5)
    assert same(base.unet.state_dict(), before) and torch.equal(base.unet(*probe(base)).sample, plain)
    assert not any("forward" in vars(m) for m in base.unet.modules())


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_images_in_smaller_passes_train_the_same_expert(kind, method):
    base, settings = tiny_base(kind), tuning(method, rows=4)
    whole, losses, weights = together(base, [0, 1], settings)
    for micro_batch in (4, 3, 1):  # all, an odd one over, one by one
        out, found, ours = together(base, [0, 1], settings, micro_batch=micro_batch)
        assert found == pytest.approx(losses, rel=1e-5)
        for number in (0, 1):
            assert (out[number] - whole[number]).abs().max() < TOLERANCE * whole[number].abs().max()
            for name, value in weights[number].items():
                torch.testing.assert_close(ours[number][name], value, rtol=1e-4, atol=1e-5)
    alone_out, _ = alone(base, 1, settings)
    assert (out[1] - alone_out).abs().max() < TOLERANCE * alone_out.abs().max()


def test_a_base_with_tensors_of_its_own_trains_them_one_expert_at_a_time():
    base, settings = tiny_base("if"), tuning("full")
    before = {n: p.clone() for n, p in base.unet.state_dict().items()}
    with pytest.raises(ValueError, match="expected 1"):
        together(base, [0, 1], settings)
    assert fit_machine("auto", "auto", base, settings, FP32, subject(base, 0)) == Fit(1, 2)
    assert fit_machine(7, 1, base, settings, FP32, subject(base, 0)) == Fit(1, 1)
    out, losses, _ = together(base, [0], settings)
    wanted, loss = alone(base, 0, settings)
    assert losses[0] == pytest.approx(loss, rel=1e-5)
    assert (out[0] - wanted).abs().max() < TOLERANCE * wanted.abs().max()
    assert same(base.unet.state_dict(), before)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_diverged_expert_changes_no_bit_of_its_neighbours(method):
    base, settings = tiny_base(), tuning(method)
    data = [subject(base, n) for n in (0, 1, 2)]
    out, losses, weights = together(base, [0, 1, 2], settings, data)
    data[1] = TrainingSet(torch.full_like(data[1].x_start, torch.nan), data[1].conditions)
    ill_out, ill_losses, ill_weights = together(base, [0, 1, 2], settings, data)
    assert not math.isfinite(ill_losses[1]) and math.isfinite(losses[1])
    for healthy in (0, 2):
        assert ill_losses[healthy] == losses[healthy] and torch.equal(ill_out[healthy], out[healthy])
        assert same(ill_weights[healthy], weights[healthy])


def test_weights_that_are_not_finite_are_divergence_too():
    base, settings = tiny_base(), tuning(steps=1)
    generators = [torch_generator(0, n) for n in range(2)]
    with stacked_unet(base, settings, generators, FP32) as parameters:
        parameters["mid_block.attentions.0.proj_in.lora_B.weight"][1, 0, 0] = math.inf
        assert parameters.finite().tolist() == [True, False]  # the forward pass has not seen it: no refresh
        losses = train_experts(base, parameters, [subject(base, 0)] * 2, generators, settings, FP32)
    assert math.isfinite(losses[0]) and math.isnan(losses[1])


@pytest.mark.parametrize("shape", [(5,), (4, 6), (3, 4, 3, 3), (6, 2, 1, 1), (2, 3, 4)])
def test_adafactor_is_that_of_transformers_slice_by_slice(shape):
    draw = torch.Generator().manual_seed(0)
    experts = 3
    shapes = {name: (torch.Size(shape), torch.float32) for name in ("one", "two")}
    parameters = StackedParameters(shapes, experts, torch.device("cpu"))
    lone = {}
    for name in shapes:
        parameters[name].copy_(torch.randn(experts, *shape, generator=draw))
        lone[name] = [torch.nn.Parameter(p.clone().contiguous()) for p in parameters[name]]
    parameters.refresh()
    ours = StackedAdafactor(parameters, 0.1)
    theirs = [fixed_rate_adafactor([lone[name][k] for name in shapes], 0.1) for k in range(experts)]
    for step in range(6):
        for name in shapes:
            gradient = torch.randn(experts, *shape, generator=draw) * 10.0 ** (step - 3)
            gradient[1] *= 100  # one expert's steps are clipped by its own size alone
            (parameters.leaves[name] * gradient).sum().backward()
            for k in range(experts):
                lone[name][k].grad = gradient[k].clone()
        ours.step(share_at(step + 1))
        for optimizer in theirs:
            optimizer.step()
        for name in shapes:
            wanted = torch.stack([p.detach() for p in lone[name]])
            torch.testing.assert_close(parameters[name], wanted, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(parameters.leaves[name].detach(), wanted, rtol=1e-5, atol=1e-6)
            assert not parameters.leaves[name].grad.any()


class Layers(torch.nn.Module):
    """Convolutions of every kind that peft adapts, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        conv = torch.nn.Conv2d
        self.layers = torch.nn.ModuleList(
            [conv(4, 6, 3, padding=1), conv(6, 8, 3, stride=2, padding=1), conv(8, 4, 1, bias=False),
             conv(4, 8, (3, 1), padding=(1, 0), groups=2), torch.nn.Linear(8, 5)]
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x.flatten(2).transpose(1, 2))


@pytest.mark.filterwarnings("ignore:LoRA adapter added to ConvNd")
def test_adapters_are_those_of_peft():
    torch.manual_seed(0)
    experts, rows, rank = 3, 2, 4
    model = Layers().requires_grad_(False)
    x = torch.randn(experts * rows, 4, 8, 8, requires_grad=True)
    start = model(x).detach()
    generators = [torch.Generator().manual_seed(k) for k in range(experts)]
    with stacked_adapters(model, generators, rank, (), torch.float32) as parameters:
        for name, leaf in parameters.leaves.items():
            if ".lora_B." in name:
                parameters[name].copy_(torch.randn(leaf.shape) * 0.3)
        parameters.refresh()
        out = model(x)
        out.square().sum().backward()
        found = {n: p.grad.clone() for n, p in parameters.leaves.items()}
        factors = [parameters.of_expert(k) for k in range(experts)]
    assert torch.equal(model(x), start)
    targets = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    model = inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets), model, "a")
    for k in range(experts):
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.data.copy_(factors[k][name.replace(".a.weight", ".weight")])
        part = x.detach()[k * rows : (k + 1) * rows].requires_grad_()
        wanted = model(part)
        torch.testing.assert_close(out[k * rows : (k + 1) * rows], wanted, rtol=1e-4, atol=1e-5)
        model.zero_grad()
        wanted.square().sum().backward()
        torch.testing.assert_close(x.grad[k * rows : (k + 1) * rows], part.grad, rtol=1e-4, atol=1e-5)
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                ours = found[name.replace(".a.weight", ".weight")][k]
                torch.testing.assert_close(ours, parameter.grad, rtol=1e-4, atol=1e-4)


def test_merged_adapters_draw_the_same_and_leave_everything_as_it_was():
    torch.manual_seed(0)
    experts, rows = 3, 2
    model, x = Layers().requires_grad_(False), torch.randn(experts * rows, 4, 8, 8)
    plain = model(x)
    generators = [torch.Generator().manual_seed(k) for k in range(experts)]
    with stacked_adapters(model, generators, 4, (), torch.float32) as parameters, torch.no_grad():
        for name, leaf in parameters.leaves.items():
            if ".lora_B." in name:  # it starts at zero, where there is nothing to merge
                parameters[name].copy_(torch.randn(leaf.shape) * 0.3)
        parameters.refresh()
        apart = model(x)
        layers = list(model.layers)
        before = [vars(layer)["forward"] for layer in layers]
        with merged_adapters(model, parameters):
            swapped = [vars(layer)["forward"] is not old for layer, old in zip(layers, before, strict=True)]
            together_drawn = model(x)
        assert swapped == [True, True, True, False, True], "all but the convolution with groups"
        torch.testing.assert_close(together_drawn, apart, rtol=1e-4, atol=1e-5)
        assert (apart - plain).abs().max() > 0.1, "the adapters change next to nothing"
        with pytest.raises(RuntimeError, match="in the middle"), merged_adapters(model, parameters):
            raise RuntimeError("in the middle")
        assert [vars(layer)["forward"] for layer in layers] == before
        assert torch.equal(model(x), apart)
    assert torch.equal(model(x), plain)


def test_a_dilated_convolution_takes_the_product_of_the_factors():
    """peft forgets the dilation, so the wanted answer is the merged convolution's."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 5, 3, padding=2, dilation=2).requires_grad_(False)
    x = torch.randn(2, 3, 9, 9)
    with stacked_adapters(torch.nn.Sequential(layer), [torch.Generator()] * 2, 2, (), torch.float32) as parameters:
        parameters["0.lora_B.weight"].copy_(torch.randn(2, 5, 2, 1, 1))
        parameters.refresh()
        out = layer(x)
        for k, factors in enumerate(parameters.of_expert(k) for k in range(2)):
            product = torch.einsum("or,rchw->ochw", factors["0.lora_B.weight"][..., 0, 0], factors["0.lora_A.weight"])
            merged = torch.nn.functional.conv2d(x[k], layer.weight + product, layer.bias, padding=2, dilation=2)
            torch.testing.assert_close(out[k], merged, rtol=1e-4, atol=1e-5)


def test_other_padding_is_refused_by_name():
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 2, 3, padding="same"))
    with (
        pytest.raises(ValueError, match="0: padding 'same'"),
        stacked_adapters(model, [torch.Generator()], 2, (), torch.float32),
    ):
        pass


@pytest.mark.parametrize("method", ["lora", "full"])
def test_kept_experts_open_with_diffusers(method, tmp_path):
    base, settings = tiny_base(), tuning(method)
    out, _, weights = together(base, [0, 1], settings)
    folder = save_expert(tmp_path, "a/b", "address", base, settings, weights[1])
    assert is_kept(tmp_path, "a/b", "address") and not is_kept(tmp_path, "a/b", "other")
    assert folder.parent == tmp_path and not is_kept(tmp_path, "c", "address")
    if method == "lora":
        unet = base.unet
        unet.load_lora_adapter(folder, prefix="unet", use_safetensors=True)
    else:
        unet = UNet2DConditionModel.from_pretrained(folder)
    with torch.no_grad():
        found = unet(*probe(base)).sample
    assert (found - out[1]).abs().max() < TOLERANCE * found.abs().max()
    assert (found - out[0]).abs().max() > 100 * TOLERANCE * found.abs().max()


@pytest.fixture
def memory(monkeypatch):
    """Sets free memory, bytes."""
    return lambda free: monkeypatch.setattr("suti.experts.batched.memory.free_memory", lambda device: free)


def test_as_many_experts_as_free_memory_holds_and_smaller_passes_before_none(memory):
    base, settings = tiny_base(), tuning(rows=4)
    data = subject(base, 0)
    first, further = expert_memory(base, settings, FP32, data)
    assert 0 < further < first
    fit = lambda micro="auto": fit_machine("auto", micro, base, settings, FP32, data)  # noqa: E731
    memory(1e12)
    assert (fit(), fit(1), fit(9)) == (Fit(16, 4), Fit(32, 1), Fit(16, 4))  # 64 rows; never more than 32 experts
    memory(3 * (first + 3 * further) / 0.4 + 1)
    assert fit() == Fit(3, 4)
    memory((first + further) / 0.4 + 1)
    assert fit() == Fit(1, 2)
    memory(first / 0.4 + 1)
    assert fit() == Fit(1, 1)
    memory(first / 0.8 + 1)
    assert fit() == Fit(1, 1)  # more than a share, but it fits: no warning
    memory(first / 2)
    with pytest.warns(RuntimeWarning, match="experts_at_once: 1 needs about .* free memory, take a larger machine"):
        assert fit() == Fit(1, 1)


def test_an_ordered_number_of_experts_is_served_by_smaller_passes(memory):
    base, settings = tiny_base(), tuning(rows=4)
    data = subject(base, 0)
    first, further = expert_memory(base, settings, FP32, data)
    fit = lambda micro="auto": fit_machine(7, micro, base, settings, FP32, data)  # noqa: E731
    memory(7 * (first + 3 * further) / 0.8 + 1)
    assert (fit(), fit(1)) == (Fit(7, 4), Fit(7, 1))
    memory(7 * (first + further) / 0.8 + 1)
    assert fit() == Fit(7, 2)
    with pytest.warns(RuntimeWarning, match=r"experts_at_once: 7 needs .* 4 images .* experts.micro_batch to auto"):
        assert fit(4) == Fit(7, 4)
    memory(7 * first / 0.8 - 1)
    with pytest.warns(RuntimeWarning, match=r"set it to auto, or to 6 or less$"):
        assert fit() == Fit(7, 1)


def test_free_memory_is_read_of_the_machine():
    assert free_memory(torch.device("cpu")) > 0
