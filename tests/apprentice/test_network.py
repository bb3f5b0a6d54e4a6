"""The apprentice's network: equal to the base at the start, blind to the order of demonstrations, saved whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from suti.diffusion.sampling import sampling_scheduler
from suti.diffusion.settings import Sampling
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.base import load_base
from suti.models.demonstration_attention import DemonstrationAttention, DemonstrationProcessor, Demonstrations
from suti.models.drawing import draw
from suti.models.pipeline import SuTIPipeline, save_base
from tests.tiny import tiny_base

KINDS = ["pixel", "latent", "if"]


def inputs(base, rows: int = 4):
    generator = torch.Generator().manual_seed(1)
    x, shown = (torch.randn(count, *base.shape, generator=generator) for count in (rows, 6))
    timesteps = torch.tensor([0, 10, 500, 999][:rows])
    text, texts = base.encode(["a teapot", "a dog"] * (rows // 2)), base.encode(["a cat"] * 6)
    return x, timesteps, text.hidden_states, shown, texts.hidden_states


@pytest.mark.parametrize("kind", KINDS)
def test_zero_start_equals_the_base(kind, one_thread):
    base = tiny_base(kind)
    unet = ApprenticeUNet.from_base(base.unet)
    x, timesteps, text, shown, texts = inputs(base)
    with torch.no_grad():
        seen = {"demonstrations": unet.encode_demonstrations(shown, texts, 3)}
        assert seen["demonstrations"].keys_values
        want = base.unet(x, timesteps, text).sample
        assert torch.equal(unet(x, timesteps, text, cross_attention_kwargs=seen).sample, want)
        assert torch.equal(unet(x, timesteps, text).sample, want)


@pytest.mark.parametrize("kind", KINDS)
def test_random_start_reads_the_demonstrations_and_drops_them(kind):
    base = tiny_base(kind)
    torch.manual_seed(0)
    unet = ApprenticeUNet.from_base(base.unet, initialization="random")
    x, timesteps, text, shown, texts = inputs(base)
    with torch.no_grad():
        seen = unet.encode_demonstrations(shown, texts, 3)
        want = base.unet(x, timesteps, text).sample
        got = unet(x, timesteps, text, cross_attention_kwargs={"demonstrations": seen}).sample
        assert (got - want).abs().flatten(1).max(1).values.min() > 1e-4
        half = seen.with_present(torch.tensor([1.0, 0.0, 1.0, 0.0]))
        mixed = unet(x, timesteps, text, cross_attention_kwargs={"demonstrations": half}).sample
    torch.testing.assert_close(mixed[[0, 2]], got[[0, 2]])
    torch.testing.assert_close(mixed[[1, 3]], want[[1, 3]])


def test_order_of_demonstrations_and_neighbours_do_not_matter():
    base = tiny_base()
    unet = ApprenticeUNet.from_base(base.unet, initialization="random")
    x, timesteps, text, shown, texts = inputs(base)
    with torch.no_grad():
        both = unet.encode_demonstrations(shown, texts, 3)
        swapped = unet.encode_demonstrations(shown[[2, 0, 1, 5, 3, 4]], texts, 3)
        alone = unet.encode_demonstrations(shown[:3], texts[:3], 3)

        def run(demonstrations, rows):
            condition = {"demonstrations": demonstrations}
            return unet(x[rows], timesteps[rows], text[rows], cross_attention_kwargs=condition).sample

        every = slice(0, 4)
        torch.testing.assert_close(run(swapped, every), run(both, every), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(run(alone, slice(0, 2)), run(both, every)[:2], atol=1e-5, rtol=1e-4)


def test_attention_equals_the_reference():
    torch.manual_seed(0)
    layer = DemonstrationAttention(16, 12, heads=4, initialization="random")
    hidden, source = torch.randn(4, 5, 16), torch.randn(2, 9, 12)
    got = layer(hidden, layer.keys_values(source), torch.tensor([1.0, 1.0, 0.0, 1.0]))
    reference = torch.nn.MultiheadAttention(16, 4, bias=False, batch_first=True, kdim=12, vdim=12)
    with torch.no_grad():
        reference.q_proj_weight.copy_(layer.to_q.weight)
        reference.k_proj_weight.copy_(layer.to_k.weight)
        reference.v_proj_weight.copy_(layer.to_v.weight)
        reference.out_proj.weight.copy_(layer.to_out.weight)
        repeated = layer.norm_source(source).repeat_interleave(2, 0)
        want, _ = reference(layer.norm_query(hidden), repeated, repeated)
    want = want * torch.tensor([1.0, 1.0, 0.0, 1.0])[:, None, None]
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("is_map", [False, True])
def test_what_the_layer_reads_is_added(is_map):
    """A trained apprentice would draw another subject if it were taken away."""
    torch.manual_seed(0)
    layer = DemonstrationAttention(16, 16, heads=2, initialization="random")
    processor = DemonstrationProcessor("here", lambda _, hidden, **__: 2 * hidden, layer)
    hidden = torch.randn(2, 16, 3, 3) if is_map else torch.randn(2, 9, 16)
    seen = Demonstrations({"here": layer.keys_values(torch.randn(2, 5, 16))})
    tokens = hidden.flatten(2).transpose(1, 2) if is_map else hidden
    read = layer(tokens, seen.keys_values["here"], None)
    want = 2 * hidden + (read.transpose(1, 2).reshape(hidden.shape) if is_map else read)
    assert read.abs().max() > 0.1
    torch.testing.assert_close(processor(None, hidden, demonstrations=seen), want)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_new_parameter(kind):
    base = tiny_base(kind)
    unet = ApprenticeUNet.from_base(base.unet, initialization="random").requires_grad_(True)
    x, timesteps, text, shown, texts = inputs(base)
    seen = unet.encode_demonstrations(shown, texts, 3)
    out = unet(x, timesteps, text, cross_attention_kwargs={"demonstrations": seen}).sample
    (out - 1).square().mean().backward()
    # keys' gradients may vanish in a softmax over near-equal scores, but not be absent
    assert all(p.grad is not None for p in unet.new_parameters())
    assert sum(bool(p.grad.abs().max() > 0) for p in unet.new_parameters()) >= 0.9 * len(unet.new_parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_pipeline_saved_elsewhere_draws_the_same_pixels(kind, tmp_path):
    base = tiny_base(kind)
    unet = ApprenticeUNet.from_base(base.unet, initialization="random")
    pipe = SuTIPipeline.of(base.with_network(unet))
    pipe.save_pretrained(tmp_path / "apprentice")
    again = SuTIPipeline.from_pretrained(tmp_path / "apprentice")
    assert isinstance(again.unet, ApprenticeUNet)
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    call = {"num_inference_steps": 2, "output_type": "np"}
    shown = [(picture, "a cat"), (picture[:, ::-1], "a cat in the snow")]
    draws = [
        p("a cat on the beach", shown, generator=torch.Generator().manual_seed(3), **call).images for p in (pipe, again)
    ]
    assert draws[0].shape == (1, base.image_size, base.image_size, 3) and draws[0].dtype == np.uint8
    assert np.array_equal(*draws)
    encoded = pipe("a cat on the beach", pipe.encode_subject(shown), generator=torch.Generator().manual_seed(3), **call)
    assert np.array_equal(encoded.images, draws[0])
    plain = pipe("a cat on the beach", generator=torch.Generator().manual_seed(3), **call).images
    assert not np.array_equal(plain, draws[0])


def random_apprentice():
    """A base, an apprentice of it whose new layers are random, and a demonstration."""
    base = tiny_base()
    torch.manual_seed(0)
    unet = ApprenticeUNet.from_base(base.unet, initialization="random")
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return base, unet, [(picture, "a cat")]


def guided(base, unet, shown, **scales):
    """Pictures, and how many rows each forward pass of the UNet had."""
    pipe = SuTIPipeline.of(base.with_network(unet))
    rows: list[int] = []
    watch = unet.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    draw = pipe("a cat on the beach", shown, num_inference_steps=2, output_type="np",
                generator=torch.Generator().manual_seed(3), **scales)  # fmt: skip
    watch.remove()
    return draw.images, rows


def test_guidance_of_text_and_demonstrations_by_separate_weights():
    base, unet, shown = random_apprentice()
    joint, rows = guided(base, unet, shown, guidance_scale=3.0)
    assert rows == [2, 2]
    equal, rows = guided(base, unet, shown, guidance_scale=3.0, demonstration_guidance_scale=3.0)
    assert rows == [2, 2] and np.array_equal(equal, joint)
    apart, rows = guided(base, unet, shown, guidance_scale=3.0, demonstration_guidance_scale=1.0)
    assert rows == [3, 3] and not np.array_equal(apart, joint)
    _, rows = guided(base, unet, shown, guidance_scale=1.0)
    assert rows == [1, 1]
    # without demonstrations their weight has nothing to weigh
    plain, rows = guided(base, unet, (), guidance_scale=3.0, demonstration_guidance_scale=7.0)
    assert rows == [2, 2] and np.array_equal(plain, guided(base, unet, (), guidance_scale=3.0)[0])


def test_separate_weights_combine_three_predictions():
    """e(0,0) + w_d (e(0,C) - e(0,0)) + w (e(p,C) - e(0,C)), by hand for one step."""
    base = tiny_base()
    torch.manual_seed(0)
    unet = ApprenticeUNet.from_base(base.unet, initialization="random")
    pipe = SuTIPipeline.of(base.with_network(unet))
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    encoded = pipe.encode_subject([(picture, "a cat")])
    noise = torch.randn(1, *base.shape, generator=torch.Generator().manual_seed(5))
    scheduler = sampling_scheduler(base.scheduler, pixel=True, dynamic_thresholding=False)
    scheduler.set_timesteps(1)
    with torch.no_grad():
        text, empty = (base.encode([said]).hidden_states for said in ("a cat on the beach", ""))
        predict = lambda t, d: unet(noise, scheduler.timesteps[:1], t,  # noqa: E731
                                    cross_attention_kwargs={"demonstrations": d}).sample  # fmt: skip
        none, seen, both = predict(empty, Demonstrations()), predict(empty, encoded), predict(text, encoded)
        want = scheduler.step(none + 5 * (seen - none) + 2 * (both - seen), scheduler.timesteps[0], noise).prev_sample
    noise_again = [torch.Generator().manual_seed(5)]
    got = draw(base.with_network(unet), ["a cat on the beach"], encoded, noise_again,
               Sampling(1, 2.0, demonstration_guidance_scale=5.0))  # fmt: skip
    pixels = ((base.codec.decode(want).permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    assert np.abs(got.astype(int) - pixels).max() <= 1


def test_guidance_stops_at_low_noise():
    """Of two steps, at timesteps 999 and 499, the second is one pass that sees prompt and demonstrations."""
    base, unet, shown = random_apprentice()
    weights = {"guidance_scale": 3.0, "demonstration_guidance_scale": 5.0}
    whole, rows = guided(base, unet, shown, **weights)
    assert rows == [3, 3]
    same, rows = guided(base, unet, shown, **weights, guidance_stop=0.51)
    assert rows == [3, 3] and np.array_equal(same, whole)
    half, rows = guided(base, unet, shown, **weights, guidance_stop=0.5)
    assert rows == [3, 1] and not np.array_equal(half, whole)
    # where no step is guided, the picture is that of a weight of 1
    base_alone, rows = guided(base, unet, (), guidance_scale=3.0, guidance_stop=0.0005)
    assert rows == [1, 1]
    assert np.array_equal(base_alone, guided(base, unet, (), guidance_scale=1.0)[0])


def test_the_unguided_steps_of_several_rows_keep_their_order():
    base, unet, shown = random_apprentice()
    pipe = SuTIPipeline.of(base.with_network(unet))
    encoded, prompts = pipe.encode_subject(shown), ["a cat on the beach", "a red cat", "a cat"]

    def drawn(prompts, seeds):
        noise = [torch.Generator().manual_seed(seed) for seed in seeds]
        sampling = Sampling(3, 3.0, demonstration_guidance_scale=5.0, guidance_stop=0.5)
        return draw(base.with_network(unet), prompts, encoded, noise, sampling)

    together = drawn(prompts, range(3))
    for row, prompt in enumerate(prompts):
        assert np.abs(together[row].astype(int) - drawn([prompt], [row])[0].astype(int)).max() <= 1


ELSEWHERE = """
import sys
import numpy as np, torch
from suti.models.pipeline import SuTIPipeline
folder = sys.argv[1]
torch.set_num_threads(1)
pipe = SuTIPipeline.from_pretrained(folder + "/apprentice")
shown = [(picture, "a cat") for picture in np.load(folder + "/shown.npy")]
drawn = pipe(["a cat on the beach", "a dog"], shown, num_inference_steps=3, output_type="np",
             generator=torch.Generator().manual_seed(3)).images
np.save(folder + "/drawn.npy", drawn)
"""


def test_loaded_in_another_process_it_draws_the_same_pixels(tmp_path, one_thread):
    base = tiny_base()
    unet = ApprenticeUNet.from_base(base.unet, initialization="random")
    pipe = SuTIPipeline.of(base.with_network(unet))
    pipe.save_pretrained(tmp_path / "apprentice")
    shown = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    np.save(tmp_path / "shown.npy", shown)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(tmp_path)], check=True, env=environment)
    drawn = pipe(["a cat on the beach", "a dog"], [(picture, "a cat") for picture in shown], num_inference_steps=3,
                 output_type="np", generator=torch.Generator().manual_seed(3)).images  # fmt: skip
    assert np.array_equal(np.load(tmp_path / "drawn.npy"), drawn)


def test_a_plain_base_takes_no_demonstrations(tmp_path):
    save_base(tiny_base(), tmp_path / "base")
    base = load_base(str(tmp_path / "base"))
    pipe = SuTIPipeline.of(base)
    with pytest.raises(ValueError, match="plain base"):
        pipe("a cat", [(np.zeros((8, 8, 3), np.uint8), "a cat")])
    assert pipe.encode_subject([]).keys_values == Demonstrations().keys_values == {}


def test_a_missing_model_is_named():
    with pytest.raises(FileNotFoundError, match=r"models\.base: model folder 'results/none'.*make models"):
        load_base("results/none")
