"""Embeddings of pictures and texts, batched and cached: each picture is decoded once, and embedded once an encoder."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image
from tqdm import tqdm

from suti.config.schema import Compute
from suti.digests import model_files
from suti.evaluation.cache import FileKeys, RowStore, content_key
from suti.evaluation.copies import thumbnails
from suti.io.images import BadImage, read_bytes, read_image
from suti.io.shard_index import Member
from suti.io.shards import decode_rgb

FORMAT = b"suti-embeddings-1"  # raise it when suti/io/images.py decodes otherwise
PIXELS = "pixels"  # the spec of the thumbnails that the copy check compares
BATCH = 64  # pictures an encoder sees at once
EXACT_BATCH = 128  # the same for groups that are embedded by themselves: a subject of 25 prompts x 4 fits
BATCH_PIXELS = 64_000_000  # and no more pixels than these: photos of a camera are large
KEPT = 512  # rows of a file of the cache
DECODERS = 4  # threads: Pillow decodes without the interpreter's lock
NAMED = 5  # unusable pictures that an error names
LIBRARIES = {"open_clip:": "open_clip_torch", "transformers:": "transformers"}
logger = logging.getLogger(__name__)


Place = Path | Member
"""Where a picture lies: a file of its own, or a shard that the pipeline wrote."""


class Loaded(Protocol):
    """What this module needs of an encoder (suti/models/encoders.py)."""

    def embed(self, images: Sequence[np.ndarray], batch_size: int = 64) -> np.ndarray:
        """Rows (N, D) of N pictures, uint8 (H, W, 3)."""
        ...


@dataclass(frozen=True)
class Encoding:
    """An encoder's spec and the preprocessing that goes before its own (suti/evaluation/protocols.py)."""

    spec: str
    crop: str = "own"


THUMBNAILS = Encoding(PIXELS)


class Thumbnails:
    """Pictures of 32 x 32 pixels as rows, uint8 (N, 3072): what ``copies.pixel_similarity`` compares."""

    def embed(self, images: Sequence[np.ndarray], batch_size: int = 64) -> np.ndarray:
        """See ``Loaded.embed``."""
        return np.round(thumbnails(images)).astype(np.uint8).reshape(len(images), -1)


class Embeddings:
    """Rows of pictures and texts under any number of encoders, from the cache where they are in it.

    An encoder is loaded when something is missing, and not before: a second protocol over the same pictures
    needs no model.

    Args:
        cache: folder of the cache, or None to keep nothing on disk.
        compute: device of the encoders.
        max_pixels: largest picture that is decoded.
        partial: leave out pictures that cannot be decoded (``bad`` names them) instead of refusing them.
        load: what loads an encoder by its spec.
        exact: rows are equal to the last bit whatever else is embedded and whatever the cache holds. A row depends,
            by rounding, on the batch in which it was made; so pictures come in groups (``prepare_groups``), texts by
            the call, each group goes through an encoder by itself, and a row is kept under its group. Without it a
            row is kept under its own content alone, and serves all.
        batch: pictures that an encoder sees at once.
        kept: rows after which a file of the cache is written, so that a killed run goes on from there.
    """

    def __init__(
        self,
        cache: Path | None,
        compute: Compute | None = None,
        max_pixels: int = 40_000_000,
        partial: bool = False,
        load: Callable[[str, Compute], Any] | None = None,
        exact: bool = False,
        batch: int = BATCH,
        kept: int = KEPT,
    ) -> None:
        self.cache, self.compute, self.max_pixels, self.partial = cache, compute or Compute(), max_pixels, partial
        self.exact = exact
        self._batch, self._kept = batch, kept
        self.bad: dict[Place, str] = {}
        self.embedded = 0  # pictures that went through an encoder, counted once an encoder
        self._load = load or _load
        self._files = FileKeys(cache)
        self._keys: dict[Place, str] = {}
        self._groups: dict[Place, str] = {}  # key of the group that a picture was embedded with
        self._stores: dict[Encoding, RowStore] = {}
        self._encoders: dict[str, Any] = {}
        self._digests: dict[str, str] = {}

    def key(self, path: Place) -> str:
        """Content key of an encoded picture, the same for as long as this object lives.

        Raises:
            BadImage: no file that can be read.
        """
        if path not in self._keys:
            if isinstance(path, Member):
                self._keys[path] = content_key(path.read())
            else:
                known = self._files.known(path)
                self._keys[path] = known or self._files.remember(path, read_bytes(path, max_pixels=self.max_pixels))
        return self._keys[path]

    def digest(self, spec: str) -> str:
        """Hash of an encoder: its spec or its folder's files, and the version of the library that runs it."""
        if spec not in self._digests:
            files = model_files(spec)
            parts = [f"{Path(file).name} {self._files.key(Path(file))}" for file in files] or [spec]
            library = next((LIBRARIES[form] for form in LIBRARIES if spec.startswith(form)), None)
            self._digests[spec] = content_key(FORMAT, _version(library).encode(), *(part.encode() for part in parts))
        return self._digests[spec]

    def prepare(self, pictures: Mapping[Encoding, Sequence[Place]]) -> None:
        """Embed what is not in the cache: each file is decoded once, for all the encoders that miss it.

        Raises:
            ValueError: pictures that cannot be decoded, unless ``partial``.
        """
        missing: dict[Place, list[Encoding]] = {}
        claimed: set[tuple[Encoding, str]] = set()
        for encoding, paths in pictures.items():
            store = self._store(encoding)
            for path in dict.fromkeys(paths):
                try:
                    key = self.key(path)
                except BadImage as error:
                    self.bad[path] = str(error)
                    continue
                if path not in self.bad and key not in store and (encoding, key) not in claimed:
                    claimed.add((encoding, key))
                    missing.setdefault(path, []).append(encoding)
        try:
            self._embed(missing)
        finally:
            self._files.save()
        if self.bad and not self.partial:
            named = "; ".join(f"{path}: {reason}" for path, reason in list(self.bad.items())[:NAMED])
            raise ValueError(
                f"{len(self.bad)} pictures cannot be read: {named}; draw or download them anew, or leave them out of "
                "the numbers with --partial"
            )

    def prepare_groups(self, encodings: Sequence[Encoding], groups: Sequence[Sequence[Place]]) -> None:
        """Embed groups of pictures, each by itself; a group of which the cache has all rows needs no model.

        Args:
            encodings: each sees every picture.
            groups: one a subject. In memory is one group at a time.

        Raises:
            BadImage: a picture that cannot be decoded.
        """
        bar = tqdm(groups, desc="embedding subjects", unit="subject", mininterval=5)
        try:
            for group in bar:
                distinct = {self.key(path): path for path in reversed(group)}
                keys = list(dict.fromkeys(self.key(path) for path in group))
                name = content_key(*(key.encode() for key in keys))
                self._groups |= dict.fromkeys(group, name)
                paths = [distinct[key] for key in keys]
                rows = [self._row(path) for path in paths]
                missing = [encoding for encoding in encodings if self._store(encoding).missing(rows)]
                images = [self._read(path) for path in paths] if missing else []
                for encoding in missing:
                    cropped = [crop(image, encoding.crop) for image in images]
                    self._store(encoding).add(rows, self._encoder(encoding.spec).embed(cropped, EXACT_BATCH))
                    self.embedded += len(cropped)
        finally:
            self._files.save()

    def images(self, encoding: Encoding, paths: Sequence[Place]) -> np.ndarray:
        """Rows (N, D) of N pictures, which ``prepare`` or ``prepare_groups`` has seen."""
        return self._store(encoding).take([self._row(path) for path in paths])

    def _row(self, path: Place) -> str:
        """Key of a picture's row."""
        key = self.key(path)
        return content_key(self._groups[path].encode(), key.encode()) if self.exact else key

    def texts(self, spec: str, texts: Sequence[str]) -> np.ndarray:
        """Rows (N, D) of N texts; those that are asked for several times are embedded once."""
        store = self._store(Encoding(spec))
        different = list(dict.fromkeys(texts))
        group = [content_key(*(text.encode() for text in different)).encode()] if self.exact else []
        keys = {text: content_key(b"text", *group, text.encode()) for text in different}
        new = [text for text, key in keys.items() if key not in store]
        new = different if new and self.exact else new
        if new:
            encoder = self._encoder(spec)
            if not getattr(encoder, "has_text", True):
                raise ValueError(
                    f"{spec}: this model has no text tower, and CLIP-T compares pictures with prompts; name a CLIP "
                    "with both towers, or leave the metric out"
                )
            store.add([keys[text] for text in new], encoder.embed_text(new))
        return store.take([keys[text] for text in texts])

    def _store(self, encoding: Encoding) -> RowStore:
        if encoding not in self._stores:
            name = content_key(self.digest(encoding.spec).encode(), encoding.crop.encode())
            self._stores[encoding] = RowStore(self.cache / name if self.cache is not None else None)
        return self._stores[encoding]

    def _encoder(self, spec: str) -> Any:
        if spec not in self._encoders:
            self._encoders[spec] = Thumbnails() if spec == PIXELS else self._load(spec, self.compute)
        return self._encoders[spec]

    def _read(self, path: Place) -> np.ndarray:
        """uint8 (H, W, 3) of a picture."""
        return decode_rgb(path.read()) if isinstance(path, Member) else read_image(path, max_pixels=self.max_pixels)

    def _embed(self, missing: Mapping[Place, Sequence[Encoding]]) -> None:
        for spec in dict.fromkeys(e.spec for encodings in missing.values() for e in encodings):
            self._encoder(spec)  # an encoder that is not there is told before hours of work
        waiting: dict[Encoding, tuple[list[str], list[np.ndarray]]] = {}
        bar = tqdm(total=len(missing), desc="embedding pictures", unit="picture", mininterval=1, disable=not missing)
        try:
            for batch in self._batches(list(missing)):
                for encoding in dict.fromkeys(e for path, _ in batch for e in missing[path]):
                    chosen = [(path, image) for path, image in batch if encoding in missing[path]]
                    keys, rows = waiting.setdefault(encoding, ([], []))
                    images = [crop(image, encoding.crop) for _, image in chosen]
                    found = self._encoder(encoding.spec).embed(images, len(images))
                    keys.extend(self.key(path) for path, _ in chosen)
                    rows.append(found)
                    self.embedded += len(chosen)
                    if len(keys) >= self._kept:
                        self._flush(encoding, waiting)
                bar.update(len(batch))
        finally:
            for encoding in list(waiting):
                self._flush(encoding, waiting)
            bar.close()

    def _flush(self, encoding: Encoding, waiting: dict[Encoding, tuple[list[str], list[np.ndarray]]]) -> None:
        keys, rows = waiting.pop(encoding)
        if rows:
            self._store(encoding).add(keys[: sum(map(len, rows))], np.concatenate(rows))

    def _batches(self, paths: Sequence[Place]) -> Iterator[list[tuple[Place, np.ndarray]]]:
        """Decoded pictures in batches; while a batch is embedded, the next are decoded."""
        batch: list[tuple[Place, np.ndarray]] = []
        with ThreadPoolExecutor(DECODERS) as threads:
            ahead: deque = deque()
            rest = iter(paths)

            def fill() -> None:
                while len(ahead) < 2 * DECODERS and (path := next(rest, None)) is not None:
                    ahead.append((path, threads.submit(self._read, path)))

            fill()
            while ahead:
                path, future = ahead.popleft()
                fill()
                try:
                    batch.append((path, future.result()))
                except BadImage as error:
                    self.bad[path] = str(error)
                    continue
                if (
                    len(batch) == self._batch
                    or sum(image.shape[0] * image.shape[1] for _, image in batch) > BATCH_PIXELS
                ):
                    yield batch
                    batch = []
        if batch:
            yield batch


def crop(image: np.ndarray, how: str) -> np.ndarray:
    """A picture, uint8 (H, W, 3), before the encoder's own preprocessing.

    'resize256-crop224' is the evaluation transform of DINO's repository, as Kosmos-G, DreamBench++ and ImagenHub
    use it: shorter side to 256 (bicubic), the middle 224 x 224. An encoder for 224 pixels then leaves it as it is.
    """
    if how == "own":
        return image
    height, width = image.shape[:2]
    scale = 256 / min(height, width)
    # the longer side is cut to whole pixels, as torchvision does
    size = (256, int(height * scale)) if width <= height else (int(width * scale), 256)
    small = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    return np.asarray(small.crop((left, top, left + 224, top + 224)))


def _load(spec: str, compute: Compute) -> Any:
    from suti.models.encoders import load_image_encoder  # imports torch: only when something is missing

    try:
        return load_image_encoder(spec, compute)
    except (RuntimeError, FileNotFoundError) as error:
        raise ValueError(
            f"{error}. Give the metric another copy of the model with --encoders NAME=SPEC, or leave it out with "
            "--encoders NAME=none"
        ) from error


def _version(package: str | None) -> str:
    try:
        return version(package) if package else ""
    except PackageNotFoundError:
        return ""
