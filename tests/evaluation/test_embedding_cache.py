"""The embedding cache: hits by content, damage, killed processes, unreadable pictures, preprocessing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from PIL import Image

from suti.evaluation import cache, embedding
from suti.evaluation.cache import FileKeys, RowStore, content_key
from suti.evaluation.embedding import THUMBNAILS, Embeddings, Encoding

TOY = Encoding("toy")


class Colour:
    """A toy encoder: the mean colour; counts what it has seen."""

    def __init__(self) -> None:
        self.seen = 0

    def embed(self, images, batch_size=64):
        self.seen += len(images)
        rows = np.array([image.reshape(-1, 3).mean(0) + 1 for image in images], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_text(self, texts):
        self.seen += len(texts)
        return np.array([[len(text), 1, 1] for text in texts], np.float32)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / "in" / f"{i}.png" for i in range(7)]
    (tmp_path / "in").mkdir()
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path)
    return paths


def opened(folder: Path | None, toy: Colour, **more) -> Embeddings:
    return Embeddings(folder, load=lambda spec, compute: toy, **more)


def test_a_second_run_loads_and_embeds_nothing(tmp_path: Path, pictures: list[Path]):
    toy = Colour()
    first = opened(tmp_path / "c", toy)
    first.prepare({TOY: pictures, THUMBNAILS: pictures})
    rows, texts = first.images(TOY, pictures), first.texts("toy", ["a", "b", "a"])
    assert toy.seen == 7 + 2 and texts.shape == (3, 3) and first.embedded == 14

    def refuse(spec, compute):
        raise AssertionError("an encoder was loaded")

    again = Embeddings(tmp_path / "c", load=refuse)
    again.prepare({TOY: pictures, THUMBNAILS: pictures})
    np.testing.assert_array_equal(again.images(TOY, pictures), rows)
    np.testing.assert_array_equal(again.texts("toy", ["b", "a"]), texts[[1, 0]])
    small = again.images(THUMBNAILS, pictures[:1])
    assert small.dtype == np.uint8 and small.shape == (1, 3072) and again.embedded == 0


def test_rows_belong_to_contents_not_names(tmp_path: Path, pictures: list[Path]):
    toy = Colour()
    opened(tmp_path / "c", toy).prepare({TOY: pictures})
    moved = pictures[0].with_name("moved.png")
    pictures[0].rename(moved)
    Image.new("RGB", (4, 4), "red").save(pictures[0])
    later = opened(tmp_path / "c", toy)
    later.prepare({TOY: [*pictures, moved]})
    assert toy.seen == 8 and later.images(TOY, [pictures[0]])[0, 0] > 0.99


def test_the_same_picture_twice_is_embedded_once(pictures: list[Path]):
    toy = Colour()
    pictures[1].write_bytes(pictures[0].read_bytes())
    found = opened(None, toy)
    found.prepare({TOY: [*pictures, *pictures]})
    assert toy.seen == 6
    np.testing.assert_array_equal(*found.images(TOY, pictures[:2]))


def test_other_encoders_folders_and_preprocessings_have_other_rows(tmp_path: Path, pictures: list[Path]):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    spec = f"transformers:{model}"
    digests = [Embeddings(None).digest(spec)]
    (model / "config.json").write_text('{"size": 1}')
    digests.append(Embeddings(None).digest(spec))
    digests.append(Embeddings(None).digest("transformers:someone/model"))
    assert len(set(digests)) == 3
    toy = Colour()
    found = opened(tmp_path / "c", toy)
    found.prepare({TOY: pictures, Encoding("toy", "resize256-crop224"): pictures})
    assert toy.seen == 14 and len([p for p in (tmp_path / "c").iterdir() if p.is_dir()]) == 2


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "text"])
def test_a_damaged_file_is_computed_again(tmp_path: Path, pictures: list[Path], harm: str):
    toy = Colour()
    first = opened(tmp_path / "c", toy)
    first.prepare({TOY: pictures})
    rows = first.images(TOY, pictures)
    (file,) = (tmp_path / "c").glob("*/*.safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes({"cut": data[:-20], "flipped": data, "empty": b"", "text": b"no tensors at all"}[harm])
    again = opened(tmp_path / "c", toy)
    again.prepare({TOY: pictures})
    assert toy.seen == 14
    np.testing.assert_array_equal(again.images(TOY, pictures), rows)
    third = opened(tmp_path / "c", toy)
    third.prepare({TOY: pictures})
    assert toy.seen == 14


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, pictures: list[Path]):
    folder = tmp_path / "many"
    folder.mkdir()
    paths = [folder / f"{i:03d}.png" for i in range(40)]
    for i, path in enumerate(paths):
        Image.new("RGB", (5, 5), (i, 9, 9)).save(path)
    program = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\nfrom suti.evaluation import embedding\n"
        "batches = []\n"
        "class Waits:\n    def embed(self, images, batch_size=0):\n        batches.append(len(images))\n"
        "        if len(batches) == 3:\n            print('third batch', flush=True)\n            sys.stdin.read()\n"
        "        return np.array([[image[0, 0, 0] + 1.0, 1.0] for image in images], np.float32)\n"
        "found = embedding.Embeddings(Path(sys.argv[1]), load=lambda spec, compute: Waits(), batch=4, kept=4)\n"
        "found.prepare({embedding.Encoding('toy'): sorted(Path(sys.argv[2]).iterdir())})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "c"), str(folder)], stdin=PIPE, stdout=PIPE, text=True
    )
    assert process.stdout.readline() == "third batch\n"  # two are done
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    toy = Colour()
    found = opened(tmp_path / "c", toy)
    found.prepare({TOY: paths})
    assert toy.seen == 32
    kept = found.images(TOY, paths[:8])
    np.testing.assert_array_equal(kept, np.array([[i + 1.0, 1.0] for i in range(8)], np.float32))


def test_many_files_become_one(tmp_path: Path):
    store = RowStore(tmp_path, merge_above=3)
    keys = [content_key(bytes([i])) for i in range(5)]
    for i, key in enumerate(keys):
        store.add([key], np.full((1, 2), i, np.float32))
    assert len(list(tmp_path.glob("*.safetensors"))) == 5
    merged = RowStore(tmp_path, merge_above=3)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    for found in (merged, RowStore(tmp_path, merge_above=3)):
        assert found.take(keys)[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_numbers_that_are_not_finite_are_not_kept(tmp_path: Path):
    with pytest.raises(ValueError, match="not finite"):
        RowStore(tmp_path).add([content_key(b"a")], np.full((1, 2), np.nan, np.float32))
    assert not list(tmp_path.iterdir())


def test_a_changed_file_is_read_again_and_a_fresh_one_not_trusted(tmp_path: Path):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    keys = FileKeys(tmp_path)
    first = keys.key(file)
    assert keys.known(file) is None  # changed within the last seconds
    os.utime(file, (1, 1))
    state = cache._state
    try:  # a change time cannot be set, so the clock is moved
        cache._state = lambda path: [state(path)[0], state(path)[1], 5, state(path)[3]]
        assert keys.key(file) == first == keys.known(file)
        keys.save()
        assert FileKeys(tmp_path).known(file) == first
        file.write_bytes(b"two")
        assert FileKeys(tmp_path).known(file) is None
    finally:
        cache._state = state
    (tmp_path / cache.FILES).write_text("[1")
    assert FileKeys(tmp_path).known(file) is None


def test_unreadable_pictures_are_named_together_or_left_out(tmp_path: Path, pictures: list[Path]):
    (pictures[0].parent / "a.png").write_bytes(b"not a picture")
    Image.new("RGB", (200, 200)).save(pictures[0].parent / "big.png")
    bad = [pictures[0].parent / name for name in ("a.png", "big.png", "absent.png")]
    with pytest.raises(ValueError, match=r"3 pictures cannot be read: .*absent\.png: broken.*--partial"):
        opened(None, Colour(), max_pixels=1000).prepare({TOY: [*pictures, *bad]})
    found = opened(tmp_path / "c", Colour(), max_pixels=1000, partial=True)
    found.prepare({TOY: [*bad, *pictures]})
    assert set(found.bad) == set(bad) and "too_large" in found.bad[bad[1]]
    assert found.images(TOY, pictures).shape == (7, 3)


@pytest.mark.parametrize("size", [(300, 400), (401, 256), (97, 31), (224, 224)])
def test_the_crop_is_that_of_dinos_repository(size: tuple[int, int]):
    from torchvision import transforms

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    theirs = transforms.Compose([
        transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(224),
    ])(Image.fromarray(image))  # fmt: skip
    np.testing.assert_array_equal(embedding.crop(image, "resize256-crop224"), np.asarray(theirs))
    assert embedding.crop(image, "own") is image


def test_after_the_crop_an_encoders_own_preprocessing_only_normalises():
    from torchvision import transforms
    from transformers import ViTImageProcessor

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    cut = Image.fromarray(embedding.crop(image, "resize256-crop224"))
    theirs = transforms.Normalize(mean, std)(transforms.ToTensor()(cut))
    processor = ViTImageProcessor(size={"height": 224, "width": 224}, image_mean=mean, image_std=std)
    ours = processor(images=[cut], return_tensors="pt")["pixel_values"][0]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


def test_an_encoder_that_cannot_be_loaded_names_the_way_out(pictures: list[Path]):
    with pytest.raises(ValueError, match=r"does not exist.*--encoders NAME=none"):
        Embeddings(None).prepare({Encoding("transformers:./absent/model"): pictures})
