"""Readers of the three layouts: what they yield, and that hostile names and files in them stay inert."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suti.io.images import BadImage
from suti.io.pages import RawPicture, read_pages

LIMIT = 10_000


def read(path: Path, layout: str = "auto") -> list[RawPicture]:
    return list(read_pages([path], layout, max_pixels=LIMIT))


def why(picture: RawPicture) -> str:
    with pytest.raises(BadImage) as caught:
        picture.load()
    return str(caught.value)


def write_tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_documents(path: Path, *documents: dict) -> Path:
    rows = [
        {
            "images": d["images"],
            "texts": [None] * len(d["images"]),
            "metadata": json.dumps(d.get("metadata")),
            "general_metadata": json.dumps({"url": d.get("url")}),
        }
        for d in documents
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_obelics_takes_urls_and_alt_texts_from_the_metadata(tmp_path: Path, files: SimpleNamespace) -> None:
    (tmp_path / "images").mkdir()
    data = files.encode(files.photo(1), "JPEG")
    (tmp_path / "images" / "a.jpg").write_bytes(data)
    entry = {
        "document_url": "https://b/2",
        "src": "https://x/a.jpg",
        "alt_text": "a cup",
        "local_file": "images/a.jpg",
    }
    path = write_documents(
        tmp_path / "d.parquet",
        {
            "images": ["https://x/a.jpg", None, "https://x/b.jpg"],
            "metadata": [entry, None, {**entry, "alt_text": None}],
            "url": "https://b/1",
        },
        {"images": ["https://x/a.jpg"], "metadata": [entry]},
    )
    for source, layout in ((path, "obelics"), (tmp_path, "auto"), (tmp_path, "obelics")):
        pictures = read(source, layout)
        assert [p.page_url for p in pictures] == ["https://b/1", "https://b/1", "https://b/2"]
        assert [p.alt_text for p in pictures] == ["a cup", None, "a cup"]
        assert pictures[1].image_url == "https://x/b.jpg" and pictures[0].load() == data


def test_obelics_local_files_stay_in_their_folder(tmp_path: Path, files: SimpleNamespace) -> None:
    inside = tmp_path / "pages"
    inside.mkdir()
    (tmp_path / "secret.jpg").write_bytes(files.encode(files.photo(1), "JPEG"))
    (inside / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    names = [
        "../secret.jpg",
        str(tmp_path / "secret.jpg"),
        "link.jpg",
        "a/../../secret.jpg",
        "nul\0.jpg",
        "none.jpg",
        "",
        None,
        7,
        "x" * 5000,
    ]
    path = write_documents(
        inside / "d.parquet",
        {"images": ["u"] * len(names), "metadata": [{"local_file": n} for n in names], "url": "https://b/1"},
    )
    outcomes = [why(p) for p in read(path)]
    assert all("leads out of the parquet file's folder" in o for o in outcomes[:4])
    assert "no such file" in outcomes[5] and all("never downloaded" in o for o in outcomes[6:9])
    assert all(o.startswith("broken: ") for o in outcomes)


def test_obelics_with_damaged_metadata_yields_broken_pictures(tmp_path: Path) -> None:
    for metadata in ("not json", "{}", "[1, 2]", "[" * 100_000, "null"):
        rows = [{"images": ["u", "v"], "metadata": metadata, "general_metadata": "[]"}]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
        pictures = read(tmp_path / "d.parquet")
        assert [p.page_url for p in pictures] == ["row:d.parquet:0"] * 2
        assert all("never downloaded" in why(p) for p in pictures)


def test_files_that_are_no_pages_are_errors_that_name_them(tmp_path: Path) -> None:
    (tmp_path / "d.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(ValueError, match=r"d.parquet: not a readable parquet"):
        read(tmp_path / "d.parquet")
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "e.parquet")
    with pytest.raises(ValueError, match=r"e.parquet: column 'images' is missing"):
        read(tmp_path / "e.parquet")
    (tmp_path / "t.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(ValueError, match=r"t.tar: not a readable tar"):
        read(tmp_path / "t.tar")
    with pytest.raises(ValueError, match=r"none: no such file or folder"):
        read(tmp_path / "none", "webdataset")
    with pytest.raises(ValueError, match=r"not a folder"):
        read(tmp_path / "none", "folders")
    (tmp_path / "void").mkdir()
    with pytest.raises(ValueError, match=r"no \*.tar in this folder"):
        read(tmp_path / "void", "webdataset")


def test_webdataset_joins_pictures_with_their_texts(tmp_path: Path) -> None:
    facts = {"page_url": "https://b/1", "image_url": "https://b/a.jpg", "alt_text": "a cup"}
    path = write_tar(
        tmp_path / "t.tar",
        ("0.jpg", b"A"),
        ("0.json", json.dumps(facts).encode()),
        ("1.json", b'{"url": "u", "caption": "c"}'),
        ("1.png", b"B"),
        ("dog/2.webp", b"C"),
        ("dog/2.txt", b"my dog"),
        ("3.json", b"{}"),
        ("4.jpg", b"D"),
        ("4.json", b"{"),
        ("readme.md", b"x"),
        (".hidden.jpg", b"x"),
    )
    for layout in ("auto", "webdataset", "world"):
        pictures = read(path, layout)
        assert [(p.page_url, p.image_url, p.alt_text, p.load()) for p in pictures] == [
            ("https://b/1", "https://b/a.jpg", "a cup", b"A"),
            ("tar:t.tar:1", "u", "c", b"B"),
            ("tar:dog", None, "my dog", b"C"),
            ("tar:t.tar:4", None, None, b"D"),
        ]


def test_hostile_tar_members_write_nothing(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    path = write_tar(inside / "t.tar", ("../../evil.jpg", b"A"), ("/abs/evil.jpg", b"B"))
    with tarfile.open(path, "a") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        large = tarfile.TarInfo("zz/large.jpg")
        large.size = LIMIT * 8 + 1
        tar.addfile(large, io.BytesIO(bytes(large.size)))
    pictures = read(path)
    assert [p.load() for p in pictures[:2]] == [b"A", b"B"] and len(pictures) == 3
    assert "too_large" in why(pictures[2])
    assert [f.name for f in tmp_path.rglob("*") if f.is_file()] == ["t.tar"]


def test_tar_that_ends_early_yields_what_came_before(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t.tar", ("a/0.jpg", b"A" * 600), ("a/1.jpg", b"B" * 60_000))
    path.write_bytes(path.read_bytes()[:9_000])
    pictures = read(path)
    assert pictures[0].load() == b"A" * 600
    assert "t.tar ends early" in why(pictures[-1])


def test_folders_are_subjects_with_names_as_alt_texts(tmp_path: Path) -> None:
    for name in (
        "dog2/01.jpg",
        "dog2/00.jpg",
        "bear_plushie/a.PNG",
        "dog2/00.mask.png",
        "dog2/.x.jpg",
        ".git/x.jpg",
        "b.txt",
    ):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(name.encode())
    (tmp_path / "set" / "dog2" / "01.txt").write_text("my <b>dog</b> Rex")
    pictures = read(tmp_path / "set")
    assert [(p.page_url, p.image_url, p.alt_text) for p in pictures] == [
        ("folder:bear_plushie", "bear_plushie/a.PNG", "bear plushie"),
        ("folder:dog2", "dog2/00.jpg", "dog"),
        ("folder:dog2", "dog2/01.jpg", "my <b>dog</b> Rex"),
    ]
    assert [p.load() for p in pictures] == [b"bear_plushie/a.PNG", b"dog2/00.jpg", b"dog2/01.jpg"]
    assert {p.page_url for p in read(tmp_path / "set" / "dog2", "folders")} == {"folder:dog2"}


def test_two_roots_with_one_subject_name_are_an_error(tmp_path: Path) -> None:
    for root in ("a", "b"):
        (tmp_path / root / "dog").mkdir(parents=True)
        (tmp_path / root / "dog" / "0.jpg").touch()
    with pytest.raises(ValueError, match=r"both subject 'dog'"):
        list(read_pages([tmp_path / "a", tmp_path / "b"], "folders", max_pixels=LIMIT))
