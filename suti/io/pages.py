"""Readers of web pages: OBELICS-layout parquet, WebDataset tars, folders of pictures, one a subject.

Each yields ``RawPicture``s. Nothing is decoded here and nothing is extracted to disk; a picture's bytes are
read when ``load`` is called, so pictures that are not wanted (another part's pages, a page beyond its limit)
cost nothing.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from suti.io.alt_text import words_of_name
from suti.io.images import BYTES_PER_PIXEL, SUFFIXES, BadImage, read_bytes
from suti.io.tars import members

MAX_TEXT_BYTES = 1_000_000  # a JSON or text file beside a picture that is larger is not read


@dataclass(frozen=True)
class RawPicture:
    """A picture as its page gives it: texts unclean, bytes unread.

    ``load()`` gives the encoded bytes or raises ``BadImage``.
    """

    page_url: str
    image_url: str | None
    alt_text: str | None
    load: Callable[[], bytes]


def _fail(detail: str, reason: str = "broken") -> bytes:
    raise BadImage(reason, detail)  # type: ignore[arg-type]


def _text(value: object) -> str | None:
    """A string that survives UTF-8, or None."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None


def source_format(path: str | Path) -> str:
    """'obelics' for a parquet file, 'webdataset' for a tar, 'folders' for everything else."""
    return {".parquet": "obelics", ".tar": "webdataset"}.get(Path(path).suffix.lower(), "folders")


def _expand(path: Path, layout: str) -> list[Path]:
    if not path.exists():
        raise ValueError(f"pages.path: {path}: no such file or folder; pages.format {layout!r} needs it")
    if not path.is_dir():
        return [path]
    for name, suffix in (("obelics", "*.parquet"), ("webdataset", "*.tar")):
        found = sorted(path.glob(suffix))
        if layout == name or (layout == "auto" and found):
            if not found:
                raise ValueError(f"pages.path: {path}: no {suffix} in this folder, but pages.format is {layout!r}")
            return found
    raise ValueError(f"pages.path: {path}: a folder; format {layout!r} does not read folders")


def read_pages(paths: Iterable[str | Path], layout: str, *, max_pixels: int) -> Iterator[RawPicture]:
    """Yield the pictures of all pages in ``paths``, in a fixed order.

    Args:
        paths: parquet files, tars, or folders: of subject folders, or that hold parquet files or tars.
        layout: 'obelics', 'webdataset' ('world' is written in this layout), 'folders', or 'auto': by each
            path.
        max_pixels: pages.max_pixels; files larger than any such picture are not read.

    Raises:
        ValueError: a path does not exist, a source is not readable at all, or two subject folders share a
            name.
    """
    names: dict[str, Path] = {}
    for path in map(Path, paths):
        if layout == "folders" or (layout == "auto" and path.is_dir() and not _tables_in(path)):
            yield from read_folders(path, names, max_pixels=max_pixels)
            continue
        for file in _expand(path, "webdataset" if layout == "world" else layout):
            kind = source_format(file) if layout == "auto" else layout
            if kind == "obelics":
                yield from read_obelics(file, max_pixels=max_pixels)
            elif kind in ("webdataset", "world"):
                yield from read_webdataset(file, max_pixels=max_pixels)
            else:
                raise ValueError(f"pages.path: {file}: expected a parquet file, a tar or a folder of picture folders")


def _tables_in(path: Path) -> bool:
    return any(path.glob("*.parquet")) or any(path.glob("*.tar"))


# OBELICS ------------------------------------------------------------------------------------------


def _json(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (json.JSONDecodeError, RecursionError):
        return None


def read_obelics(path: Path, *, max_pixels: int) -> Iterator[RawPicture]:
    """Pictures of an OBELICS-layout parquet file: one document a row, lists ``images``, ``texts``,
    ``metadata``.

    The bytes come from ``local_file`` of a picture's metadata, relative to the parquet file's folder; a name
    that leads out of that folder is refused. Pictures that were never downloaded (no ``local_file``) are
    broken.

    Raises:
        ValueError: not a parquet file, or not in this layout.
    """
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a readable parquet file ({error})") from error
    wanted = {"images", "metadata"}
    missing = wanted - set(table.schema_arrow.names)
    if missing:
        raise ValueError(
            f"{path}: column {sorted(missing)[0]!r} is missing; pages.format obelics wants the columns "
            f"images, metadata and general_metadata, found {table.schema_arrow.names}"
        )
    columns = [n for n in ("images", "metadata", "general_metadata") if n in table.schema_arrow.names]
    row = 0
    for batch in table.iter_batches(batch_size=256, columns=columns):
        for document in batch.to_pylist():
            yield from _document(document, path, row, max_pixels)
            row += 1


def _document(document: dict, path: Path, row: int, max_pixels: int) -> Iterator[RawPicture]:
    general = _json(document.get("general_metadata"))
    metadata = _json(document["metadata"])
    metadata = metadata if isinstance(metadata, list) else []
    general = general if isinstance(general, dict) else {}
    for place, url in enumerate(document["images"] or []):
        if url is None:
            continue  # the place of a text in the interleaved document
        entry = metadata[place] if place < len(metadata) and isinstance(metadata[place], dict) else {}
        page = _text(general.get("url")) or _text(entry.get("document_url")) or f"row:{path.name}:{row}"
        yield RawPicture(page, _text(url), _text(entry.get("alt_text")),
                         partial(_local_bytes, path.parent, entry.get("local_file"), max_pixels))  # fmt: skip


def _local_bytes(root: Path, name: object, max_pixels: int) -> bytes:
    if not isinstance(name, str) or not name:
        return _fail("no local_file in its metadata: the picture was never downloaded beside the parquet file")
    try:
        file = (root / name).resolve()
        inside = file.is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        return _fail(f"local_file {name[:80]!r}: {error}")
    if not inside:
        return _fail(f"local_file {name[:80]!r} leads out of the parquet file's folder")
    return read_bytes(file, max_pixels=max_pixels)


# WebDataset ---------------------------------------------------------------------------------------


def read_webdataset(path: Path, *, max_pixels: int) -> Iterator[RawPicture]:
    """Pictures of a WebDataset tar: ``KEY.jpg`` (or another picture) with ``KEY.json`` and/or ``KEY.txt``.

    The JSON may hold page_url (or document_url), image_url (or url) and alt_text (or caption); a text file
    is the alt text. Without a page URL the folder part of the key is the page. Members are read in memory;
    names, links and devices in the tar mean nothing. A tar that ends early yields what came before and then
    a broken picture.

    Raises:
        ValueError: not a tar at all.
    """
    key: str | None = None
    sample: dict[str, bytes | str] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for info in members(tar):
                name = PurePosixPath(info.name)
                if not info.isfile() or name.name.startswith("."):
                    continue
                stem, _, extension = name.name.partition(".")
                this, extension = str(name.parent / stem), "." + extension.lower()
                if this != key:
                    yield from _sample(path, key, sample)
                    key, sample = this, {}
                limit = max_pixels * BYTES_PER_PIXEL if extension in SUFFIXES else MAX_TEXT_BYTES
                if extension not in (*SUFFIXES, ".json", ".txt") or extension in sample:
                    continue
                stream = tar.extractfile(info)
                small = info.size <= limit
                sample[extension] = stream.read() if stream and small else f"{info.size:,} bytes, {limit:,} are read"
            yield from _sample(path, key, sample)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if key is None:
            raise ValueError(f"{path}: not a readable tar ({error})") from error
        yield from _sample(path, key, sample)
        yield RawPicture(f"tar:{path.name}", None, None, partial(_fail, f"{path.name} ends early: {error}"))


def _sample(path: Path, key: str | None, sample: dict[str, bytes | str]) -> Iterator[RawPicture]:
    pictures = [sample[e] for e in SUFFIXES if e in sample]
    if key is None or not pictures:
        return
    raw = sample.get(".json")
    fields = _json(raw.decode("utf-8", "replace")) if isinstance(raw, bytes) else None
    fields = fields if isinstance(fields, dict) else {}
    text = sample.get(".txt")
    alt = _text(fields.get("alt_text")) or _text(fields.get("caption"))
    if alt is None and isinstance(text, bytes):
        alt = _text(text.decode("utf-8", "replace"))
    folder = str(PurePosixPath(key).parent)
    alone = f"tar:{path.name}:{key}" if folder == "." else f"tar:{folder}"
    page = _text(fields.get("page_url")) or _text(fields.get("document_url")) or _text(alone) or "tar:"
    url = _text(fields.get("image_url")) or _text(fields.get("url"))
    data = pictures[0]
    load = partial(bytes, data) if isinstance(data, bytes) else partial(_fail, data, "too_large")
    yield RawPicture(page, url, alt, load)


# Folders ------------------------------------------------------------------------------------------


def read_folders(root: Path, names: dict[str, Path], *, max_pixels: int) -> Iterator[RawPicture]:
    """Pictures of folders, one folder a subject: the page is ``folder:NAME``, NAME relative to ``root``.

    The alt text of ``a.jpg`` is ``a.txt`` beside it, else the words of the folder's name ('dog2' -> 'dog').
    ``*.mask.png`` and hidden files are no pictures of the subject and are left out.

    Args:
        root: the folder of subject folders, or one subject's folder.
        names: subject names seen so far with their folders, shared by all roots of a run.
        max_pixels: pages.max_pixels.

    Raises:
        ValueError: no such folder, or a subject name that another root has too.
    """
    if not root.is_dir():
        raise ValueError(f"pages.path: {root}: not a folder; pages.format folders wants folders of picture folders")
    folders: dict[Path, list[Path]] = {}
    for file in sorted(root.rglob("*"), key=lambda f: f.parts):
        parts = file.relative_to(root).parts
        picture = file.suffix.lower() in SUFFIXES and not file.stem.endswith(".mask")
        if picture and not any(p.startswith(".") for p in parts):
            folders.setdefault(file.parent, []).append(file)
    for folder, files in folders.items():
        relative = folder.relative_to(root).as_posix()
        name = (_text(root.resolve().name if relative == "." else relative)) or "folder"
        if names.setdefault(name, folder) != folder:
            raise ValueError(f"pages.path: {folder} and {names[name]} are both subject {name!r}; rename one of them")
        for file in files:
            alt = _sidecar(file.with_suffix(".txt")) or words_of_name(PurePosixPath(name).name)
            url = _text(f"{name}/{file.name}")
            yield RawPicture(f"folder:{name}", url, alt, partial(read_bytes, file, max_pixels=max_pixels))


def _sidecar(path: Path) -> str | None:
    try:
        if path.is_file() and path.stat().st_size <= MAX_TEXT_BYTES:
            return _text(path.read_text(encoding="utf-8", errors="replace").strip())
    except OSError:
        pass
    return None
