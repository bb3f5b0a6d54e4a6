"""The seam for bases: a UNet's members are diffusers' own calls, and no caller knows that it has a UNet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusionPipeline

from suti.config.schema import Compute
from suti.diffusion.sampling import sampling_scheduler
from suti.diffusion.schedules import Flow
from suti.diffusion.settings import Sampling
from suti.experts.batched.memory import expert_memory
from suti.experts.batched.sampling import draw_experts
from suti.experts.batched.training import stacked_unet, train_experts
from suti.experts.fine_tuning import FineTuning, TrainingSet, fine_tune, subject_unet
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.codec import PixelCodec
from suti.models.conditions import Conditions
from suti.models.drawing import sample
from suti.seeds import torch_generator
from tests.tiny import tiny_base

ROOT = Path(__file__).resolve().parents[2]
FP32 = Compute(precision="fp32", device="cpu")
KINDS = ["pixel", "latent", "if"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_unet_predicts_what_diffusers_says(kind: str) -> None:
    base, (t, said) = tiny_base(kind), (torch.tensor([10, 900]), ["a cat", "a red dog"])
    x = torch.randn(2, *base.shape, generator=torch.Generator().manual_seed(0))
    tokens = base.tokenizer(said, padding="max_length", max_length=min(77, base.tokenizer.model_max_length),
                            truncation=True, return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        mask = None if kind == "latent" else tokens.attention_mask
        hidden = base.text_encoder(input_ids=tokens.input_ids, attention_mask=mask).last_hidden_state
        wanted = base.unet(x, t, hidden).sample
    conditions = base.encode(said)
    assert list(conditions.tensors) == ["hidden_states"] and torch.equal(conditions.hidden_states, hidden)
    with torch.no_grad():
        assert torch.equal(base.predict(x, t, conditions), wanted[:, : base.shape[0]])
    assert wanted.shape[1] == (6 if kind == "if" else base.shape[0]), "IF's learned variance is dropped"
    assert base.image_size == base.shape[1] * base.codec.factor and base.codec.bounded == (kind != "latent")


def test_sampling_is_that_of_the_stable_diffusion_pipeline() -> None:
    base = tiny_base("latent")
    pipe = StableDiffusionPipeline(
        base.vae, base.text_encoder, base.tokenizer, base.unet,
        sampling_scheduler(base.scheduler, pixel=False, dynamic_thresholding=False), None, None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    noise = lambda: [torch_generator(0, number) for number in range(2)]  # noqa: E731
    prompts = ["a cat on a beach", "a dog"]
    theirs = pipe(prompts, num_inference_steps=3, guidance_scale=4.0, generator=noise(), output_type="latent").images
    ours = sample(base, prompts, None, noise(), Sampling(3, 4.0))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_references_are_the_apprentices_demonstrations() -> None:
    base = tiny_base()
    torch.manual_seed(0)
    apprentice = base.with_network(ApprenticeUNet.from_base(base.unet, "random"))
    x, shown = (torch.randn(count, *base.shape, generator=torch.Generator().manual_seed(count)) for count in (4, 6))
    t, texts, said = torch.tensor([10, 100, 500, 900]), base.encode(["a cat"] * 6), base.encode(["a dog"] * 4)
    with torch.no_grad():
        seen = apprentice.encode_references(shown, texts, 3)
        direct = apprentice.network(x, t, said.hidden_states, cross_attention_kwargs={"demonstrations": seen}).sample
        assert torch.equal(apprentice.predict(x, t, said, seen), direct)
        plain = apprentice.predict(x, t, said)
        assert torch.equal(apprentice.predict(x, t, said, seen.with_present(torch.zeros(4))), plain)
        assert not torch.allclose(direct, plain)
        # rolled: subject 0 sees those of subject 1, and the other way round
        swapped = apprentice.encode_references(torch.cat([shown[3:], shown[:3]]), texts, 3)
        torch.testing.assert_close(
            apprentice.predict(x, t, said, seen.rolled()), apprentice.predict(x, t, said, swapped)
        )
    with pytest.raises(ValueError, match="plain base"):
        base.encode_references(shown, texts, 3)


CALL = re.compile(r"\b(?:unet|network)\(")
MAY_CALL = {
    "suti/models/base.py": "predict",
    "suti/baselines/instruct_pix2pix.py": "predict, with a picture's channels",
    "suti/models/super_resolution.py": "another network",
    "suti/small_models/super_resolution.py": "its training",
    "suti/language/backends/transformers.py": "a language model",
}


def test_a_network_is_called_by_predict_alone() -> None:
    found = set()
    for path in sorted((ROOT / "suti").rglob("*.py")):
        lines = [line for line in path.read_text().splitlines() if not line.strip().startswith(("def ", "#", ">>>"))]
        if any(CALL.search(line) and "``" not in line for line in lines):
            found.add(str(path.relative_to(ROOT)))
    assert found == set(MAY_CALL)


@dataclass
class Transformer:
    """A transformer that learns a flow and reads two tensors of text: as a UNet as can be unlike."""

    network: SD3Transformer2DModel
    schedule: Flow
    codec: PixelCodec
    shape: tuple[int, int, int] = (3, 8, 8)

    @property
    def image_size(self) -> int:
        return self.shape[1]

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    def encode(self, texts: Sequence[str]) -> Conditions:
        draws = [torch_generator("text", text) for text in texts]
        rows = [(torch.randn(5, 16, generator=draw), torch.randn(24, generator=draw)) for draw in draws]
        return Conditions({"sequence": torch.stack([r[0] for r in rows]), "pooled": torch.stack([r[1] for r in rows])})

    def predict(self, x, t, conditions, references=None):
        return self.network(
            x, encoder_hidden_states=conditions.tensors["sequence"], pooled_projections=conditions.tensors["pooled"],
            timestep=t, return_dict=False,
        )[0]  # fmt: skip

    def encode_references(self, x_start, conditions, k):
        raise ValueError("it takes none")

    def with_network(self, network):
        return replace(self, network=network)


@pytest.fixture(scope="module")
def transformer() -> Transformer:
    torch.manual_seed(0)
    network = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=3, out_channels=3, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=24,
        pos_embed_max_size=8,
    )  # fmt: skip
    return Transformer(
        network.requires_grad_(False).eval(), Flow(FlowMatchEulerDiscreteScheduler(shift=3.0)), PixelCodec()
    )


def test_experts_of_a_transformer_train_and_draw_together_as_alone(transformer: Transformer) -> None:
    tuning = FineTuning("lora", 3, 2, 1e-2, 2)
    data = []
    for number in range(3):
        draw = torch.Generator().manual_seed(number)
        x_start = torch.rand(3, *transformer.shape, generator=draw) * 2 - 1
        data.append(TrainingSet(x_start, transformer.encode([f"{number} picture {i}" for i in range(3)])))
    keys = [(0, "expert", number) for number in range(3)]
    probe = torch.randn(2, *transformer.shape, generator=torch.Generator().manual_seed(9))
    t, said = torch.tensor([900.0, 300.0]), transformer.encode(["a cat", "a dog"])
    alone = []
    for subject, key in zip(data, keys, strict=True):
        with subject_unet(transformer, tuning) as (_, parameters):
            loss = fine_tune(transformer, parameters, subject, tuning, FP32, key)
            with torch.no_grad():
                alone.append((loss, transformer.predict(probe, t, said)))
    generators = [torch_generator(*key) for key in keys]
    sampling = Sampling(3, 2.0, guidance_stop=0.9)
    asked = [[("a cat in the snow", torch_generator("noise", number))] for number in range(3)]
    with stacked_unet(transformer, tuning, generators, FP32) as parameters:
        losses = train_experts(transformer, parameters, data, generators, tuning, FP32, micro_batch=1)
        with torch.no_grad():
            out = transformer.predict(probe.repeat(3, 1, 1, 1), t.repeat(3), Conditions.join([said] * 3)).chunk(3)
        drawn = draw_experts(transformer, asked, sampling, FP32, 2)
    with torch.no_grad():
        plain = transformer.predict(probe, t, said)
    for number, (loss, wanted) in enumerate(alone):
        assert losses[number] == pytest.approx(loss, rel=1e-4)
        torch.testing.assert_close(out[number], wanted, rtol=1e-3, atol=1e-4)
        assert (wanted - plain).abs().max() > 1e-2, "training changed next to nothing"
        assert drawn[number].shape == (1, 8, 8, 3)
    assert not np.array_equal(drawn[0], drawn[1])
    first, further = expert_memory(transformer, tuning, FP32, data[0])
    assert first > 0 and further > 0
