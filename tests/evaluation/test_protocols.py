"""Protocols: what the declared ones say, replacing encoders openly, and one's own from YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from suti.benchmark.dreambench import CLASSES
from suti.evaluation.protocols import KOSMOS_G_CHOSEN, PROTOCOLS, Protocol, find_protocol, kind


def test_the_declared_protocols_differ_in_what_their_papers_differ_in():
    rules = {name: (p.references, p.encoders["dino"][-7:], p.encoders["clip_i"][-7:]) for name, p in PROTOCOLS.items()}
    assert rules == {
        "dreambooth": ("all", "-vits16", "patch32"),
        "kosmos-g": ("one", "-vits16", "patch14"),
        "dreambench-plus": ("one", "o-vits8", "patch32"),
        "imagenhub": ("all", "-vits16", "patch32"),
    }
    assert all("arXiv" in protocol.source for protocol in PROTOCOLS.values())
    assert set(KOSMOS_G_CHOSEN) == set(CLASSES) and len(CLASSES) == 30


def test_metrics_of_text_are_told_by_their_name():
    assert [kind(name) for name in ("clip_t", "CLIP-T", "clip_t_large", "clip_i", "DINO")] == ["text"] * 3 + [
        "image"
    ] * 2


def test_replaced_encoders_are_remembered_and_none_leaves_a_metric_out():
    found = PROTOCOLS["kosmos-g"].with_encoders({"dino": "transformers:here", "clip_t": "none", "other": "x"})
    assert set(found.encoders) == {"dino", "clip_i"} and found.replaced["dino"] == "transformers:here"
    assert "clip_i" not in found.replaced and found.crop("dino") == "resize256-crop224"
    assert PROTOCOLS["kosmos-g"].replaced == {}


def test_a_protocol_of_ones_own(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nencoders: {dino: 'transformers:x'}\nreferences: other\nchosen: {cat: 2.jpg}\n")
    found = find_protocol(str(file))
    assert (found.name, found.references, found.aggregate, found.chosen) == (
        "mine",
        "other",
        "subjects",
        {"cat": "2.jpg"},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not YAML"),
        ("- a", "expected a mapping"),
        ("name: x", "expected a mapping"),
        ("name: x\nencoders: {dino: 3}", "text to text"),
        ("name: x\nencoders: {dino: y}\nrefrences: one", "unknown field 'refrences'"),
        ("name: x\nencoders: {dino: y}\nreferences: some", "'some', expected one of all, one, other"),
        ("name: x\nencoders: {dino: y}\ncrops: {clip: own}", "crops.clip: no such metric"),
        ("name: x\nencoders: {dino: y}\ncrops: {dino: big}", "crops.dino: 'big'"),
    ],
)
def test_unusable_protocols_are_explained(tmp_path: Path, text: str, message: str):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        find_protocol(str(file))


def test_an_unknown_protocol_names_the_known():
    with pytest.raises(ValueError, match=r"'kosmos', expected dreambooth, kosmos-g"):
        find_protocol("kosmos")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_protocol("absent.yaml")
    assert Protocol("x", {"dino": "y"}).references == "all"
