"""Pictures from anywhere as uint8 RGB arrays, safe for hostile files, and the reshapes that stages need.

A picture is an array ``(H, W, 3)``, uint8, RGB, [0, 255]. Files that the pipeline did not write itself are
read here only: the size is checked from the header before anything is decoded, and every failure is a
``BadImage``.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}  # their usual names, for choosing files
BYTES_PER_PIXEL = 8  # 16-bit RGBA without compression: no honest file is larger than this times its pixels

Reason = Literal["broken", "too_large"]


class BadImage(ValueError):
    """A file that gives no picture: ``reason`` is 'broken' or 'too_large', ``detail`` says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read_bytes(path: Path, *, max_pixels: int) -> bytes:
    """Bytes of a regular file, unless it is larger than any picture of ``max_pixels`` can be.

    Raises:
        BadImage: missing, unreadable, not a regular file (a pipe would block for ever), or too large.
    """
    limit = max_pixels * BYTES_PER_PIXEL
    try:
        if not path.is_file():
            raise BadImage("broken", "no such file" if not path.exists() else "not a regular file")
        size = path.stat().st_size
        if size > limit:
            raise BadImage("too_large", f"{size:,} bytes, at most {limit:,} are read (pages.max_pixels x 8)")
        return path.read_bytes()
    except OSError as error:
        raise BadImage("broken", f"cannot be read: {error.strerror or error}") from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    """8-bit RGB of any mode: deep greys scaled, transparency on white, CMYK and palettes converted."""
    if picture.mode.startswith("I;16"):
        deep = np.asarray(picture).astype(np.float64) / 257.0
        return Image.fromarray(np.round(deep).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        deep = np.nan_to_num(np.asarray(picture).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        top = float(deep.max(initial=0.0))
        white = 1.0 if picture.mode == "F" and top <= 1 else 255.0 if top <= 255 else max(65535.0, top)
        return Image.fromarray(np.round(np.clip(deep / white, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return picture.convert("RGB")


def _upright(picture: Image.Image) -> Image.Image:
    """Turn as EXIF says; a picture with unreadable EXIF is taken as it lies."""
    try:
        return ImageOps.exif_transpose(picture)
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error, OverflowError):
        return picture


def read_image(data: bytes | Path, *, max_pixels: int) -> np.ndarray:
    """Decode a picture that anybody may have made.

    JPEG, PNG, WebP, GIF, BMP or TIFF, whatever its name says. Of an animation the first frame; EXIF
    orientation is applied; transparency is laid on white; CMYK, palette, grey and 16-bit pictures become
    8-bit RGB.

    Args:
        data: the file's bytes, or its path.
        max_pixels: largest width x height that is decoded; checked on the header, before any pixel exists.

    Returns:
        uint8 ``(H, W, 3)``, RGB.

    Raises:
        BadImage: 'broken' (empty, truncated, no picture, unreadable) or 'too_large'.
    """
    if isinstance(data, Path):
        data = read_bytes(data, max_pixels=max_pixels)
    if not data:
        raise BadImage("broken", "the file is empty (0 bytes)")
    if len(data) > max_pixels * BYTES_PER_PIXEL:
        raise BadImage("too_large", f"{len(data):,} bytes, at most {max_pixels * BYTES_PER_PIXEL:,} are read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of sizes that are checked below
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_size(picture.size, max_pixels)
                picture.load()
                _check_size(picture.size, max_pixels)  # a GIF's first frame may be larger than its screen
                return np.ascontiguousarray(np.asarray(_to_rgb(_upright(picture))))
        except BadImage:
            raise
        except Image.DecompressionBombError as error:
            raise BadImage("too_large", f"{error}; at most {max_pixels:,} pixels are decoded") from error
        except Image.UnidentifiedImageError as error:
            head = data[:16]
            raise BadImage("broken", f"not a picture in {', '.join(FORMATS)}; it starts with {head!r}") from error
        except MemoryError as error:
            raise BadImage("too_large", "decoding it needs more memory than there is") from error
        except (
            Exception
        ) as error:  # decoders raise nearly anything on crafted bytes: OSError, SyntaxError, struct.error
            raise BadImage("broken", f"cannot be decoded: {error or type(error).__name__}") from error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise BadImage("broken", f"{width} x {height} pixels")
    if width * height > max_pixels:
        raise BadImage("too_large", f"{width} x {height} pixels, at most {max_pixels:,} are decoded (pages.max_pixels)")


def shrink(image: np.ndarray, shorter_side: int) -> np.ndarray:
    """Reduce uint8 ``(H, W, 3)`` so that its shorter side has ``shorter_side`` pixels (Lanczos). Never
    enlarges."""
    height, width = image.shape[:2]
    if min(height, width) <= shorter_side:
        return image
    scale = shorter_side / min(height, width)
    size = (max(shorter_side, round(width * scale)), max(shorter_side, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def centre_crop_square(image: np.ndarray) -> np.ndarray:
    """The largest centred square of ``(H, W, 3)``, as ``(S, S, 3)``."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def to_unit(images: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] of uint8 in [0, 255], any shape: the range of x_0 in Eqs. 1-5."""
    return images.astype(np.float32) / 127.5 - 1.0


def from_unit(images: np.ndarray) -> np.ndarray:
    """uint8 in [0, 255] of floats in [-1, 1], any shape; values outside are clipped."""
    return np.round((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
