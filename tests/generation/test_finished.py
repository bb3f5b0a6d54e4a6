"""Finished subjects of a drawing run: drawn once, redrawn when anything behind them changes or a file is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from suti.generation.draw import BenchmarkSubject, Drawn
from suti.generation.finished import address, draw_all, group_addresses
from suti.io.finished import Finished

CONTEXT = {"seed": 0, "model": "m"}


def subject(name: str, prompts: int = 2) -> BenchmarkSubject:
    picture = np.full((4, 4, 3), len(name), np.uint8)
    return BenchmarkSubject(
        name, "dog", ((picture, "a dog"),), tuple((f"{i:02d}", f"a dog {i}") for i in range(prompts))
    )


class Painter:
    """Draws noise and remembers whom."""

    def __init__(self, fails_at: str = "") -> None:
        self.drew: list[str] = []
        self.fails_at = fails_at

    def __call__(self, group: Sequence[BenchmarkSubject]) -> list[Drawn]:
        return [self.paint(subject) for subject in group]

    def paint(self, s: BenchmarkSubject) -> Drawn:
        if s.subject_id == self.fails_at:
            raise KeyboardInterrupt
        self.drew.append(s.subject_id)
        rng = np.random.default_rng(len(s.subject_id))
        rows = [
            {"sample_id": f"{s.subject_id}__{pid}__0", "subject_id": s.subject_id, "prompt_id": pid, "prompt": text,
             "image_index": 0}
            for pid, text in s.prompts
        ]  # fmt: skip
        images = rng.integers(0, 256, (len(rows), 4, 4, 3), dtype=np.uint8)
        return Drawn(rows, images, 2.0, 1.0, 0.5, encoding_seconds=0.25, stored_bytes=7)


def same(first: Drawn, second: Drawn) -> bool:
    return np.array_equal(first.images, second.images) and replace(first, images=0) == replace(second, images=0)


def test_a_broken_run_goes_on_and_more_subjects_draw_only_the_new(tmp_path: Path) -> None:
    names = ["a", "bb", "ccc"]
    broken = Painter(fails_at="ccc")
    with pytest.raises(KeyboardInterrupt):
        draw_all([[subject(n)] for n in names], broken, CONTEXT, tmp_path, "run")
    assert broken.drew == ["a", "bb"]
    painter = Painter()
    drawn = draw_all([[subject(n)] for n in [*names, "dddd"]], painter, CONTEXT, tmp_path, "run")
    assert painter.drew == ["ccc", "dddd"]
    fresh = Painter()
    undisturbed = draw_all([[subject(n)] for n in [*names, "dddd"]], fresh, CONTEXT, tmp_path / "other", "run")
    assert all(same(a, b) for a, b in zip(drawn, undisturbed, strict=True))
    assert [d.rows[0]["subject_id"] for d in drawn] == [*names, "dddd"]


def test_a_change_of_anything_draws_anew(tmp_path: Path) -> None:
    plain = subject("a")
    changed = [
        replace(plain, class_name="cat"),
        replace(plain, prompts=plain.prompts[:1]),
        replace(plain, demonstrations=((plain.demonstrations[0][0], "a cat"),)),
        replace(plain, demonstrations=((plain.demonstrations[0][0] + 1, "a dog"),)),
    ]
    addresses = [address(s, CONTEXT) for s in [plain, *changed]] + [address(plain, CONTEXT | {"seed": 1})]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("damage", [b"", b"no tar"])
def test_a_damaged_file_is_drawn_anew(tmp_path: Path, damage: bytes) -> None:
    first = draw_all([[subject("a")]], Painter(), CONTEXT, tmp_path, "run")
    (file,) = tmp_path.glob("*/*.tar")
    whole = file.read_bytes()
    for broken in (damage, whole[:1100]):  # cut within a member; what follows the last is padding
        file.write_bytes(broken)
        painter = Painter()
        again = draw_all([[subject("a")]], painter, CONTEXT, tmp_path, "run")
        assert painter.drew == ["a"] and same(first[0], again[0])
        assert file.read_bytes() == whole


def test_a_group_is_drawn_whole_and_never_taken_for_another_group(tmp_path: Path) -> None:
    a, b, c = (subject(n) for n in ("a", "bb", "ccc"))
    draw_all([[a, b]], Painter(), CONTEXT, tmp_path, "run")
    painter = Painter()
    draw_all([[a, b], [c]], painter, CONTEXT, tmp_path, "run")
    assert painter.drew == ["ccc"]
    painter = Painter()
    draw_all([[a], [b, c]], painter, CONTEXT, tmp_path, "run")
    assert painter.drew == ["a", "bb", "ccc"]
    Finished(tmp_path).path(group_addresses([b, c], CONTEXT)[1]).unlink()
    painter = Painter()
    draw_all([[b, c]], painter, CONTEXT, tmp_path, "run")
    assert painter.drew == ["bb", "ccc"]
