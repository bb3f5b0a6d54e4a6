"""Super-resolution: sizes, independence of the batch, errors, and that the shipped stage beats bicubic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from suti.models.super_resolution import PixelSuperResolution, augment_low
from suti.small_models import super_resolution as training
from suti.small_models.loop import LoopSettings
from suti.small_models.pool import Stream

SMALL = dict(batch_size=2, stream=Stream("few", 0, size=256, block=4), judge=lambda folder, seed: {})
SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "models" / "super_resolution"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a stage after two steps."""
    folder = tmp_path_factory.mktemp("super_resolution") / "stage"
    training.train_super_resolution(LoopSettings("sr", seed=0, steps=2, learning_rate=1e-3), folder, **SMALL)
    return folder


@pytest.fixture(scope="module")
def stage(folder: Path) -> PixelSuperResolution:
    """That stage, loaded."""
    return PixelSuperResolution.from_pretrained(folder)


def test_training_goes_on_from_a_stage(folder: Path, tmp_path: Path) -> None:
    more, settings = tmp_path / "more", LoopSettings("sr", seed=5, steps=1, learning_rate=1e-4)
    training.train_super_resolution(settings, more, initial=folder, **SMALL)
    old, new = (PixelSuperResolution.from_pretrained(path).unet.conv_in.weight for path in (folder, more))
    assert 0 < float((old - new).abs().max()) < 1e-3 < float(old.abs().max())


def test_sizes_and_empty_input(stage: PixelSuperResolution) -> None:
    images = np.zeros((2, 64, 64, 3), np.uint8)
    big = stage.upscale(images, num_inference_steps=2)
    assert big.shape == (2, 256, 256, 3) and big.dtype == np.uint8
    assert stage.upscale(images[:0]).shape == (0, 256, 256, 3)


def test_a_picture_does_not_depend_on_its_batch(stage: PixelSuperResolution) -> None:
    images = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3)).astype(np.uint8)
    runs = [
        stage.upscale(images, generator=torch.Generator().manual_seed(1), num_inference_steps=2, batch_size=size)
        for size in (3, 1)
    ]
    assert np.abs(runs[0].astype(int) - runs[1]).max() <= 1


def test_noise_augmentation_keeps_the_variance() -> None:
    x, noise = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    level = torch.tensor([0.0, 0.6])
    y = augment_low(x, noise, level)
    assert torch.equal(y[0], x[0])
    assert abs(float(y[1].std()) - 1) < 0.05


def test_errors_name_what_is_wrong(stage: PixelSuperResolution) -> None:
    with pytest.raises(ValueError, match=r"image 0 is \(16, 32, 3\), expected \(64, 64, 3\)"):
        stage.upscale(np.zeros((1, 16, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="noise_level"):
        stage.upscale(np.zeros((1, 64, 64, 3), np.uint8), noise_level=0.9)


def test_shipped_stage_is_sharper_than_bicubic_and_near_the_truth() -> None:
    """It restores the edges that bicubic blurs, is nearer to the truth, and adds little noise."""
    if not (SHIPPED / "provenance.json").is_file():
        pytest.skip("resources/models/super_resolution is absent; train it with `make models`")
    low, high = training.low_and_high(("test", "super_resolution"), 16)
    big, blurred = PixelSuperResolution.from_pretrained(SHIPPED).upscale(low), training.bicubic(low)

    def variation(images: np.ndarray) -> float:
        """Mean absolute difference of neighbouring pixels: that of an edge is the same sharp or soft, noise adds."""
        return float(np.abs(np.diff(images.astype(np.float64), axis=2)).mean())

    sharp, soft, truth = (training.sharpness(images) for images in (big, blurred, high))
    assert soft * 1.2 < sharp < truth
    assert training.psnr(big, high) > training.psnr(blurred, high)
    assert variation(big) < 1.2 * variation(high)
