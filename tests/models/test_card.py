"""The model card says what the model is, how it was trained and how to call it; it is written with the weights."""

from __future__ import annotations

import yaml

from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.card import model_card
from suti.models.pipeline import SuTIPipeline, save_base
from tests.tiny import tiny_base

RECORD = {
    "settings": {"seed": 0, "apprentice": {"steps": 7, "learning_rate": 1e-4}}, "subjects": 12, "samples": 34,
    "hardware": "a computer",
}  # fmt: skip


def test_card_of_an_apprentice():
    card = model_card(32, 1_080_000, 80_000, latent=False, provenance=RECORD)
    _, head, text = card.split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "text-to-image"
    for wanted in ("32 x 32", "1,080,000 parameters, 80,000 of them (8.0% of the base's)", "- subjects: 12",
                   "- samples: 34", "| `steps` | 7 |", "| `seed` | 0 |", "encode_subject", "## Limits"):  # fmt: skip
        assert wanted in text
    assert "http" not in text and max(map(len, text.splitlines())) <= 120


def test_saved_pipelines_have_a_card(tmp_path):
    base = tiny_base()
    unet = ApprenticeUNet.from_base(base.unet)
    pipe = SuTIPipeline(unet, base.text_encoder, base.tokenizer, base.scheduler)
    pipe.save_pretrained(tmp_path / "apprentice")
    card = (tmp_path / "apprentice" / "README.md").read_text()
    new = sum(p.numel() for p in unet.new_parameters())
    assert card == model_card(16, sum(p.numel() for p in unet.parameters()), new, latent=False, provenance=None)
    assert "Not recorded." in card
    pipe.save_pretrained(tmp_path / "apprentice", provenance=RECORD)
    assert "| `steps` | 7 |" in (tmp_path / "apprentice" / "README.md").read_text()
    save_base(base, tmp_path / "base")
    assert "# Text-to-image base, 16 x 16" in (tmp_path / "base" / "README.md").read_text()
