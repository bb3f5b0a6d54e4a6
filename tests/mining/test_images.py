"""Every hostile or odd file of the list has a named outcome: a picture, or a BadImage that says why."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from suti.io.images import BadImage, centre_crop_square, from_unit, read_image, shrink, to_unit

LIMIT = 40_000_000
RED, WHITE = (255, 0, 0), (255, 255, 255)


def fails(data: bytes | Path, reason: str, *words: str, limit: int = LIMIT) -> None:
    with pytest.raises(BadImage) as caught:
        read_image(data, max_pixels=limit)
    assert caught.value.reason == reason
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("share", [0.03, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_file_is_broken(files: SimpleNamespace, form: str, share: float) -> None:
    data = files.encode(files.photo(1, 64, 64), form)
    fails(data[: int(len(data) * share)], "broken")


def test_zero_byte_file_is_broken(tmp_path: Path) -> None:
    fails(b"", "broken", "0 bytes")
    (tmp_path / "empty.jpg").touch()
    fails(tmp_path / "empty.jpg", "broken", "0 bytes")


def test_decompression_bomb_is_too_large_and_never_decoded(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    bomb = files.png_bomb(20_000)
    assert len(bomb) < 200_000
    fails(bomb, "too_large", "400000000", limit=10**12 // 10**4)
    fails(files.png_bomb(10_000), "too_large", "10000 x 10000", "40,000,000", "pages.max_pixels")


def test_header_that_lies_about_its_size_is_too_large(files: SimpleNamespace) -> None:
    data = bytearray(files.encode(files.photo(1), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = (20_000).to_bytes(2, "big") * 2
    fails(bytes(data), "too_large")


def test_text_file_named_jpg_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_text("<html>404 not found</html>")
    fails(path, "broken", "not a picture", "<html>")


def test_other_formats_and_programs_are_refused(files: SimpleNamespace) -> None:
    fails(files.encode(files.photo(1), "PPM"), "broken", "not a picture")
    fails(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "broken", "not a picture")
    fails(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "broken", "not a picture")


def test_missing_files_folders_and_pipes_are_broken(tmp_path: Path) -> None:
    fails(tmp_path / "none.jpg", "broken", "no such file")
    fails(tmp_path, "broken", "not a regular file")
    os.mkfifo(tmp_path / "pipe.jpg")
    fails(tmp_path / "pipe.jpg", "broken", "not a regular file")


def test_file_larger_than_any_allowed_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as stream:
        stream.truncate(8_001)
    fails(path, "too_large", "8,001 bytes", limit=1_000)


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(files: SimpleNamespace, form: str) -> None:
    picture = Image.new("RGB", (16, 16), RED).convert("CMYK")
    image = read_image(files.encode(picture, form), max_pixels=LIMIT)
    assert image.shape == (16, 16, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - RED).max() < 12


def test_palette_transparency_lies_on_white(files: SimpleNamespace) -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0, *RED])
    picture.paste(1, (0, 0, 4, 8))
    image = read_image(files.encode(picture, "PNG", transparency=0), max_pixels=LIMIT)
    assert tuple(image[0, 0]) == RED and tuple(image[0, 7]) == WHITE


def test_alpha_is_composited_on_white(files: SimpleNamespace) -> None:
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert np.abs(read_image(files.encode(half), max_pixels=LIMIT).astype(int) - 127).max() <= 1
    grey = Image.new("LA", (4, 4), (0, 0))
    assert (read_image(files.encode(grey), max_pixels=LIMIT) == 255).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled(files: SimpleNamespace, form: str) -> None:
    deep = np.array([[0, 257 * 100, 65535]], np.uint16).repeat(3, axis=0)
    image = read_image(files.encode(Image.fromarray(deep), form), max_pixels=LIMIT)
    assert image[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_float_and_32_bit_tiff_are_scaled(files: SimpleNamespace) -> None:
    light = np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)
    assert read_image(files.encode(Image.fromarray(light), "TIFF"), max_pixels=LIMIT)[0, :, 0].tolist() == [
        0,
        128,
        255,
        0,
    ]
    deep = np.array([[0, 65535]], np.int32)
    assert read_image(files.encode(Image.fromarray(deep), "TIFF"), max_pixels=LIMIT)[0, :, 0].tolist() == [
        0,
        255,
    ]


def test_grey_and_one_bit_become_rgb(files: SimpleNamespace) -> None:
    for mode in ("L", "1"):
        image = read_image(files.encode(Image.new(mode, (5, 4), 255)), max_pixels=LIMIT)
        assert image.shape == (4, 5, 3) and (image == 255).all()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_gives_its_first_frame(files: SimpleNamespace, form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 0, 255), (0, 255, 0))]
    options = {"lossless": True} if form == "WEBP" else {}
    data = files.encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as check:
        assert check.n_frames == 3
    assert (read_image(data, max_pixels=LIMIT) == RED).all()


def test_exif_orientation_is_applied_and_broken_exif_ignored(files: SimpleNamespace) -> None:
    picture = Image.new("RGB", (20, 10), RED)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(files.encode(picture, "JPEG", exif=exif), max_pixels=LIMIT).shape == (20, 10, 3)
    data = files.encode(picture, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    assert read_image(data, max_pixels=LIMIT).shape == (10, 20, 3)


def test_random_damage_never_raises_anything_else(files: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        clean = files.encode(files.photo(3), form)
        for _ in range(60):
            data = bytearray(clean)
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.integers(256)
            try:
                image = read_image(bytes(data), max_pixels=1_000_000)
            except BadImage:
                continue
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


def test_shrink_reduces_and_never_enlarges(files: SimpleNamespace) -> None:
    image = np.asarray(files.photo(2, 60, 90))
    assert shrink(image, 20).shape == (20, 30, 3)
    assert shrink(image, 60) is image and shrink(image, 500) is image
    assert (shrink(np.full((64, 64, 3), 77, np.uint8), 10) == 77).all()


def test_centre_crop_and_ranges() -> None:
    image = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
    assert (centre_crop_square(image) == image[:, 2:6]).all()
    values = np.arange(256, dtype=np.uint8)
    unit = to_unit(values)
    assert unit.dtype == np.float32 and unit[0] == -1 and unit[-1] == 1
    assert (from_unit(unit) == values).all() and from_unit(np.array([-9.0, 9.0])).tolist() == [0, 255]
