"""The base and its autoencoder: they train, save and load; latents of unit variance; exact resume is the loop's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from suti.io.atomic import write_json
from suti.models.base import load_base
from suti.models.codec import LatentCodec
from suti.small_models import base, vae
from suti.small_models.decoder import WEIGHTS, adopt_decoder
from suti.small_models.loop import LoopSettings
from suti.small_models.pool import Pool
from suti.small_models.streams import base_stream
from suti.small_models.views import draw_views, to_tensor


def test_normalised_latents_change_no_picture() -> None:
    model = vae.new_vae(0).eval().requires_grad_(False)
    images = to_tensor(draw_views("test", "vae", subjects=8, views=1, size=64).flat()[0])
    before = model.decode(model.encode(images).latent_dist.mean).sample
    spread = model.encode(images).latent_dist.std / model.encode(images).latent_dist.mean.std((0, 2, 3))[:, None, None]
    vae.normalise(model, images)
    z = model.encode(images).latent_dist
    assert torch.allclose(z.mean.mean((0, 2, 3)), torch.zeros(8), atol=1e-4)
    assert torch.allclose(z.mean.std((0, 2, 3)), torch.ones(8), atol=1e-3)
    assert torch.allclose(z.std, spread, rtol=1e-3)
    assert torch.allclose(model.decode(z.mean).sample, before, atol=1e-4)


def test_the_residue_sees_a_pattern_of_two_pixels_and_no_shading() -> None:
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    grid = ramp + 0.1 * torch.tensor([1.0, -1.0]).repeat(16)
    assert float(vae.two_pixel_residue(ramp)) < 1e-6
    assert float(vae.two_pixel_residue(grid)) == pytest.approx(0.1, rel=1e-4)


SMALL = replace(base_stream(3), block=8)  # a pool's blocks of eight pictures
SHARED = dict(batch_size=2, blocks=1, stream=SMALL)


def no_figures(model: AutoencoderKL, seed: int) -> dict[str, int]:
    """In place of the held-out figures, which take a while."""
    return {"seed": seed}


def test_a_latent_base_trains_saves_loads_and_goes_on(tmp_path: Path) -> None:
    settings = LoopSettings("vae", 3, 2, 1e-3, optimizer="muon", log_every=1)
    shared = dict(pool=tmp_path / "pool", **SHARED)
    vae.train_vae(settings, tmp_path / "vae", None, tmp_path / "v.jsonl", judge=no_figures, **shared)
    assert json.loads((tmp_path / "vae/provenance.json").read_text())["settings"]["steps"] == 2
    settings = LoopSettings("base", 3, 2, 1e-3, optimizer="muon", log_every=1)
    base.train_base(settings, tmp_path / "base", None, tmp_path / "b.jsonl", vae=tmp_path / "vae", **shared)
    loaded = load_base(str(tmp_path / "base"))
    assert loaded.image_size == 64 and isinstance(loaded.codec, LatentCodec) and not loaded.scheduler.config.clip_sample
    assert (tmp_path / "base/loss.csv").read_text().startswith("step,loss\n1,")
    pictures = np.array(Pool(tmp_path / "pool", SMALL).block(0)[0])
    cells = loaded.codec.encode(to_tensor(pictures))
    assert cells.shape == (8, 8, 16, 16) and 0.5 < float(cells.std()) < 2
    saved = AutoencoderKL.from_pretrained(tmp_path / "vae")
    assert torch.equal(saved.decoder.conv_in.weight, loaded.vae.decoder.conv_in.weight)  # frozen while the base trains
    base.train_base(settings, tmp_path / "more", None, tmp_path / "m.jsonl", initial=tmp_path / "base", **shared)
    more = load_base(str(tmp_path / "more"))
    weight, moved = (b.unet.mid_block.resnets[0].conv1.weight for b in (loaded, more))
    assert 0 < float((weight - moved).abs().mean()) < 0.1 * float(weight.abs().mean())  # on from there, not anew


def test_a_base_takes_the_decoder_that_went_on_alone(tmp_path: Path) -> None:
    shared = dict(pool=tmp_path / "pool", **SHARED)
    vae.train_vae(LoopSettings("vae", 3, 1, 1e-3, optimizer="muon"), tmp_path / "vae", judge=no_figures, **shared)
    base.train_base(LoopSettings("base", 3, 1, 1e-3), tmp_path / "base", vae=tmp_path / "vae", **shared)
    figures = iter([20.0, 21.0])

    def judge(model: AutoencoderKL, seed: int) -> dict[str, float]:
        return {"psnr": next(figures)}

    settings = LoopSettings("vae", 3, 2, 1e-2, optimizer="muon", ema_decay=0.5)
    vae.train_decoder(settings, tmp_path / "more", initial=tmp_path / "base/vae", judge=judge, **shared)
    old, new = (load_file(tmp_path / name / WEIGHTS) for name in ("base/vae", "more"))
    moved = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert moved == {"decoder"}
    assert adopt_decoder(tmp_path / "base", tmp_path / "more")
    assert (tmp_path / "base/vae" / WEIGHTS).read_bytes() == (tmp_path / "more" / WEIGHTS).read_bytes()
    assert torch.equal(load_base(str(tmp_path / "base")).vae.decoder.conv_in.bias.half(), new["decoder.conv_in.bias"])
    assert json.loads((tmp_path / "base/provenance.json").read_text())["decoder"]["held_out"] == {"psnr": 21.0}


@pytest.mark.parametrize(("psnr", "weight"), [(20.0, "decoder.conv_in.bias"), (21.0, "quant_conv.bias")])
def test_a_base_keeps_its_decoder(tmp_path: Path, psnr: float, weight: str) -> None:
    """Where the new one draws no better, or its latents are not the base's."""
    tensors = {"decoder.conv_in.bias": torch.zeros(4), "quant_conv.bias": torch.zeros(4)}
    record = {"held_out": {"psnr": psnr}, "settings": {"held_out_initial": {"psnr": 20.0}}}
    for folder, changed in (("base/vae", {}), ("vae", {weight: torch.ones(4)})):
        (tmp_path / folder).mkdir(parents=True)
        save_file(tensors | changed, tmp_path / folder / WEIGHTS)
        write_json(tmp_path / folder / "provenance.json", record)
    kept = (tmp_path / "base/vae" / WEIGHTS).read_bytes()
    if psnr > 20:
        with pytest.raises(ValueError, match=r"quant_conv\.bias is not that of"):
            adopt_decoder(tmp_path / "base", tmp_path / "vae")
    else:
        assert not adopt_decoder(tmp_path / "base", tmp_path / "vae")
    assert (tmp_path / "base/vae" / WEIGHTS).read_bytes() == kept


def test_a_base_of_pixels_halves_larger_renders(tmp_path: Path) -> None:
    images = to_tensor(np.array(Pool(tmp_path / "pool", SMALL).block(0)[0]))
    for size in (32, 64):
        model = base.new_base(0, None, size)
        encode = base.cell_encoder(model.codec, size, bf16=False)
        cells = encode({"images": (images.permute(0, 2, 3, 1) * 127.5 + 127.5).round().byte()})["cells"]
        assert cells.shape == (8, 3 * (size // 16) ** 2, 16, 16)
        assert torch.allclose(cells.float().mean(), images.mean(), atol=2e-3)
