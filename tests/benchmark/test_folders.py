"""Folders of pictures and CSVs of prompts: layouts, what is missing, what is extra, and hostile input."""

from __future__ import annotations

from pathlib import Path

import pytest

from suti.benchmark.folders import find_generated, find_references
from suti.benchmark.lists import read_prompts, write_prompts
from suti.benchmark.photos import pictures_in

PROMPTS = 'subject,class,prompt\ndog,dog,a dog in the snow\ndog,dog,"a red, wet dog"\ncat_a,cat,a cat\n'


@pytest.fixture
def prompts(tmp_path: Path) -> list:
    (tmp_path / "p.csv").write_text(PROMPTS)
    return read_prompts(tmp_path / "p.csv")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


LAYOUTS = {
    "folders": ("dog/0/b.png", "dog/0/a.png", "dog/01/x.jpg", "dog/01/y.jpg", "cat_a/0/0.png", "cat_a/0/1.png"),
    "numbers": ("dog/0_0.png", "dog/0_1.png", "dog/1-0.png", "dog/1-1.png", "cat_a/00__0.png", "cat_a/00__1.png"),
    "flat": tuple(f"{s}__{i:02d}__{k}.png" for s, i in (("dog", 0), ("dog", 1), ("cat_a", 0)) for k in (0, 1)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, prompts: list, layout: str):
    folder = touch(tmp_path / "out", *LAYOUTS[layout], "dog/notes.txt", ".hidden/0.png")
    found = find_generated(folder, prompts)
    assert [(p.subject, p.prompt_id, p.image_index) for p in found] == [
        (s, i, k) for s, i in (("dog", "00"), ("dog", "01"), ("cat_a", "00")) for k in (0, 1)
    ]
    assert found[2].prompt == "a red, wet dog" and found[0].path.name in ("a.png", "0_0.png", "dog__00__0.png")


def test_a_subject_whose_name_begins_as_anothers(tmp_path: Path):
    (tmp_path / "p.csv").write_text("subject,prompt\ncat,x\ncat__a,x\n")
    folder = touch(tmp_path / "out", "cat__0__0.png", "cat__a__0__0.png")
    found = find_generated(folder, read_prompts(tmp_path / "p.csv"))
    assert [p.path.name for p in found] == ["cat__0__0.png", "cat__a__0__0.png"]


def test_missing_and_extra_pictures_are_named(tmp_path: Path, prompts: list):
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_generated(tmp_path / "out", prompts)
    folder = touch(tmp_path / "out", "dog/0/a.png", "dog/0/b.png", "dog/1/a.png")
    with pytest.raises(FileNotFoundError, match=r"2 of 3 prompts do not have 2 pictures: dog/1 .* has 1; cat_a/0"):
        find_generated(folder, prompts)
    assert len(find_generated(folder, prompts, partial=True)) == 3
    with pytest.raises(FileNotFoundError, match="3 of 3 prompts do not have 4"):
        find_generated(folder, prompts, images=4)
    touch(folder, "dog/7/a.png")
    with pytest.raises(ValueError, match=r"1 pictures belong to no prompt of the CSV: dog/7/a\.png"):
        find_generated(folder, prompts)
    with pytest.raises(FileNotFoundError, match="no picture of any prompt"):
        find_generated(touch(tmp_path / "empty", "a.txt"), prompts)


def test_links_are_followed_and_loops_end(tmp_path: Path, prompts: list):
    real = touch(tmp_path / "elsewhere", *LAYOUTS["numbers"])
    (tmp_path / "out").mkdir()
    for subject in ("dog", "cat_a"):
        (tmp_path / "out" / subject).symlink_to(real / subject)
    assert len(find_generated(tmp_path / "out", prompts)) == 6
    (real / "dog" / "loop").symlink_to(real / "dog")
    with pytest.raises(ValueError, match=r"belong to no prompt of the CSV: dog/loop/0_0\.png"):
        find_generated(tmp_path / "out", prompts)


def test_files_of_the_csv(tmp_path: Path):
    (tmp_path / "p.csv").write_text("file,subject,prompt\nx/1.png,dog,a dog\n2.png,dog,a dog\n3.png,dog,a cat\n")
    prompts = read_prompts(tmp_path / "p.csv")
    folder = touch(tmp_path / "out", "x/1.png", "2.png")
    with pytest.raises(FileNotFoundError, match=r"1 files of the CSV are not there: 3\.png"):
        find_generated(folder, prompts)
    found = find_generated(folder, prompts, partial=True)
    assert [(p.prompt_id, p.image_index, p.path.name) for p in found] == [("00", 0, "1.png"), ("00", 1, "2.png")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject,text\na,b\n", "no column 'prompt'"),
        ("subject,prompt\n", "no prompts below"),
        ("subject,prompt\n../../etc,x\n", r"line 2: subject '\.\./\.\./etc'"),
        ("subject,prompt\n/etc,x\n", "without slashes"),
        ("subject,prompt\n..,x\n", "without slashes"),
        ("subject,prompt\n.hidden,x\n", "without slashes"),
        ('subject,prompt\n"a\\b",x\n', "without slashes"),
        ("subject,prompt\n,x\n", "subject ''"),
        ("subject,prompt\na,\n", "prompt ''"),
        ("subject,prompt\na,x\na,x\n", "line 3: subject 'a' has the prompt 'x' twice"),
        ("subject,prompt\na,red, wet\n", "line 2: more cells than columns"),
        ("subject,prompt\na,\x07\n", r"prompt '\\x07'"),
        ("subject,prompt\na," + "x" * 3000 + "\n", "1 to 2,000 characters"),
        ('subject,prompt\na,"x\n', "not CSV"),
        ("subject,prompt,file\na,x,../b.png\n", r"line 2: file '\.\./b\.png'"),
        ("subject,prompt,file\na,x,/etc/passwd\n", "below the folder"),
        ("subject,prompt,file\na,x,C:\\b.png\n", "below the folder"),
        ("subject,prompt,file\na,x,\n", "below the folder"),
        ("subject,prompt,file\na,x,b.png\na,y,b.png\n", "named twice"),
    ],
)
def test_hostile_rows_are_refused_by_line(tmp_path: Path, text: str, message: str):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_prompts(tmp_path / "p.csv")


def test_unreadable_csvs(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="suti prompts"):
        read_prompts(tmp_path / "p.csv")
    (tmp_path / "p.csv").write_bytes(b"subject,prompt\na,\xff\xfe\n")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_prompts(tmp_path / "p.csv")


def test_excel_and_odd_spaces_are_read(tmp_path: Path):
    (tmp_path / "p.csv").write_bytes("\ufeffsubject , prompt\r\na, a\u00a0red  dog \r\n".encode())
    (found,) = read_prompts(tmp_path / "p.csv")
    assert (found.subject, found.text, found.number) == ("a", "a red dog", 0)


def test_written_prompts_are_read_again(tmp_path: Path, prompts: list):
    rows = [{"subject": p.subject, "class": p.class_name, "prompt": p.text} for p in prompts]
    assert write_prompts(tmp_path / "q.csv", rows) == 3
    assert (tmp_path / "q.csv").read_text() == PROMPTS and read_prompts(tmp_path / "q.csv") == prompts


def test_references(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_references(tmp_path / "refs")
    folder = touch(tmp_path / "refs", "dog/2.jpg", "dog/1.PNG", "dog/x.txt", "dog/.h.png", "empty/x.txt", "cat/1.jpg")
    assert {s: [p.name for p in paths] for s, paths in find_references(folder).items()} == {
        "cat": ["1.jpg"],
        "dog": ["1.PNG", "2.jpg"],
    }
    assert list(find_references(folder, ["dog", "dog"])) == ["dog"]
    with pytest.raises(FileNotFoundError, match=r"2 of 3 subjects have no pictures in .*: empty, absent"):
        find_references(folder, ["dog", "empty", "absent"])
    assert pictures_in(folder / "absent") == []


def test_a_clone_holds_its_subjects_in_dataset(tmp_path: Path):
    clone = touch(tmp_path / "dreambooth", "dataset/dog/0.jpg", "dataset/cat_a/1.jpg", "images/teaser.png")
    whole, inner = find_references(clone), find_references(clone / "dataset")
    assert whole == inner and list(whole) == ["cat_a", "dog"]
    subject = touch(tmp_path / "refs", "dataset/0.jpg", "dog/0.jpg")
    assert list(find_references(subject)) == ["dataset", "dog"], "a subject may be called so"
