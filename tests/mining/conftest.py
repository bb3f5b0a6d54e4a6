"""Small pages and hostile files, made on the spot; a stub encoder that needs no weights."""

from __future__ import annotations

import importlib.util
import io
import os
import struct
import subprocess
import sys
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def encode(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Encoded bytes of a PIL image."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def photo(seed: int, height: int = 24, width: int = 32) -> Image.Image:
    """A smooth random picture."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def png_bomb(side: int = 20_000) -> bytes:
    """A valid 1-bit PNG of side x side pixels in some 50 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    line = bytes(1 + (side + 7) // 8)
    body = b"".join([*(packer.compress(line * 100) for _ in range(side // 100)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


class MeanColour:
    """Stub encoder: a picture's mean colour, centred, as its embedding (N, 3)."""

    name = "stub:mean-colour"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def embed(self, images: list[np.ndarray], batch_size: int = 64) -> np.ndarray:
        self.calls.append(len(images))
        rows = np.stack([image.reshape(-1, 3).mean(axis=0) for image in images]) - 127.5 + 1e-3
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def files() -> SimpleNamespace:
    """``encode(image, form, **options)``, ``photo(seed, height, width)`` and ``png_bomb(side)``."""
    return SimpleNamespace(encode=encode, photo=photo, png_bomb=png_bomb)


@pytest.fixture
def encoder() -> MeanColour:
    return MeanColour()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """Run a script's ``main`` in this process: ``script("ingest_pages", "--part", "0", ...)``.

    Gives returncode and stderr (the traceback). With ``limit``, in a process of its own that
    can write no file larger than ``limit`` bytes.
    """

    def run(name: str, *arguments: object, limit: int | None = None) -> SimpleNamespace:
        path = ROOT / "scripts" / f"{name}.py"
        command = [str(path), *map(str, arguments)]
        if limit is not None:
            return _run_with_small_files(command, limit)
        spec = importlib.util.spec_from_file_location(f"script_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", command)
        try:
            module.main()
        except Exception:
            return SimpleNamespace(returncode=1, stderr=traceback.format_exc())
        return SimpleNamespace(returncode=0, stderr="")

    return run


def _run_with_small_files(command: list[str], limit: int) -> SimpleNamespace:
    import resource

    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and pages, which the project does not ship; tests skip without it."""
    folder = Path(os.environ.get("SUTI_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder}/data does not exist (SUTI_SHARED names another folder)")
    return folder
