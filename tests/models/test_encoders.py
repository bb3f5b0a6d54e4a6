"""Encoders on tiny random models: shapes, norms, preprocessing, and errors that name the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from suti.io.model_specs import model_folder
from suti.models.encoders import load_image_encoder, load_text_image_encoder

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 32,
    "patch_size": 8,
}


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8) for i in range(5)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
        Dinov2Config,
        Dinov2Model,
        ViTConfig,
        ViTModel,
    )

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("encoders")
    models = {
        "vit": ViTModel(ViTConfig(**SIZES)),
        "dinov2": Dinov2Model(Dinov2Config(**SIZES)),
        "clip": CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=8, **SIZES)),
    }
    for name, model in models.items():
        model.save_pretrained(root / name)
        processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        processor.save_pretrained(root / name)
    return root


@pytest.mark.parametrize(("name", "width"), [("vit", 16), ("dinov2", 16), ("clip", 8)])
def test_rows_are_unit_vectors_that_do_not_depend_on_the_batch(folders, pictures, name, width):
    encoder = load_image_encoder(f"transformers:{folders / name}")
    together = encoder.embed(pictures, batch_size=2)
    apart = np.concatenate([encoder.embed([picture]) for picture in pictures])
    assert together.shape == (5, width) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(together, apart, atol=1e-6)
    assert encoder.embed([]).shape == (0, width)


def test_dino_is_the_cls_token_of_the_folders_own_preprocessing(folders, pictures):
    from PIL import Image
    from transformers import AutoImageProcessor, Dinov2Model

    folder = folders / "dinov2"
    pixels = AutoImageProcessor.from_pretrained(folder)(images=[Image.fromarray(pictures[0])], return_tensors="pt")
    with torch.no_grad():
        cls = Dinov2Model.from_pretrained(folder).eval()(**pixels).last_hidden_state[:, 0]
    expected = torch.nn.functional.normalize(cls, dim=-1).numpy()
    np.testing.assert_allclose(load_image_encoder(f"transformers:{folder}").embed(pictures[:1]), expected, atol=1e-6)


def test_open_clip_folder_has_both_towers(tmp_path, pictures):
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(0)
    config = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    model = open_clip.CLIP(**config)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    encoder = load_text_image_encoder(f"open_clip:local-dir:{tmp_path}")
    texts = encoder.embed_text(["a dog in the snow", "a red teapot"])
    assert encoder.embed(pictures).shape == (5, 8) and texts.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-6)
    with torch.no_grad():
        expected = model.eval().encode_text(open_clip.get_tokenizer("ViT-B-32")(["a red teapot"], context_length=16))
    expected = torch.nn.functional.normalize(expected, dim=-1).numpy()
    np.testing.assert_allclose(texts[1:], expected, atol=1e-5)


def test_clear_errors(folders, tmp_path):
    with pytest.raises(ValueError, match="no text tower"):
        load_text_image_encoder(f"transformers:{folders / 'dinov2'}")
    with pytest.raises(FileNotFoundError, match="resources/models/absent does not exist; run `make models`"):
        load_image_encoder("open_clip:local-dir:resources/models/absent")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        load_image_encoder(f"transformers:{tmp_path}")
    with pytest.raises(ValueError, match="expected open_clip:MODEL/PRETRAINED"):
        load_image_encoder("resources/models/clip")
    with pytest.raises(ValueError, match=r"no weights 'nonsense'.*openai"):
        load_image_encoder("open_clip:ViT-L-14/nonsense")
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        load_image_encoder(f"transformers:{folders / 'vit'}").embed([np.zeros((8, 8))])


def test_model_folder_of_a_spec():
    assert model_folder("open_clip:ViT-L-14/openai") is None
    assert model_folder("transformers:facebook/dino-vits16") is None
    assert model_folder("open_clip:local-dir:a/b") == Path("a/b")
    assert model_folder("transformers:resources/models/dino") == Path("resources/models/dino")
