"""What the configuration names is there, or a line says what is not and what to write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from suti.config.load import ConfigError, validate_config
from suti.config.plan import check_plan

ROOT = Path(__file__).parents[2]
FILES = (
    "data/photos/dog/1.jpg",
    "data/obelics/0.parquet",
    "data/tars/0.tar",
    "data/prompts.csv",
    "data/empty/.hidden",
    "weights/base/model_index.json",
    "weights/clip/config.json",
    "weights/dino/config.json",
    "weights/tower/open_clip_config.json",
    "weights/nothing/readme.txt",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos, pages and models in which the workflow runs."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "weights/clip/config.json").write_text(json.dumps({"text_config": {}, "vision_config": {}}))
    (tmp_path / "weights/dino/config.json").write_text(json.dumps({"model_type": "dinov2"}))
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(settings: dict, **options: bool) -> list[str]:
    try:
        check_plan(validate_config(settings), settings, **options)
    except ConfigError as error:
        return error.problems
    return []


def pages(path: str, layout: str = "folders") -> dict:
    return {"pages": {"format": layout, "path": [path]}}


def photos(path: str, **more: str) -> dict:
    return {"evaluation": {"benchmark": "folders", "path": path, **more}}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pages": {"path": ["unused/for/the/world"]}},
        pages("data/photos"),
        pages("data/photos", "auto"),
        pages("data/obelics", "obelics"),
        pages("data/obelics/0.parquet", "auto"),
        pages("data/tars/0.tar", "webdataset"),
        pages("somewhere/pages-{part:05d}.parquet", "obelics"),
        pages("results/world/pages-0.tar", "webdataset"),
        photos("data/photos"),
        photos("data/photos", benchmark="csv", prompts="data/prompts.csv"),
        {"models": {"base": "weights/base", "apprentice": None, "super_resolution": None}},
        {"models": {"base": "stable-diffusion-v1-5/stable-diffusion-v1-5"}},
        {"mining": {"encoder": "transformers:weights/dino"}},
        {"mining": {"encoder": "open_clip:local-dir:weights/tower"}},
        {"filtering": {"encoder": "transformers:./weights/clip"}},
        {"filtering": {"encoder": "open_clip:ViT-L-14/openai"}},
        {"filtering": {"encoder": "open_clip:hf-hub:timm/ViT-B-16-SigLIP"}},
        {"filtering": {"encoder": "transformers:openai/clip-vit-base-patch16"}},
        {"evaluation": {"probe": None, "encoders": {"clip_t": None}}},
        {"language": {"model": "not/looked/at"}},
        {"language": {"backend": "openai", "model": "a name", "base_url": "http://127.0.0.1:8000/v1"}},
    ],
)
def test_what_is_there_passes(settings: dict) -> None:
    assert problems(settings) == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"results": "data/prompts.csv"}, "results: 'data/prompts.csv': a file; name a folder"),
        (pages("data/fotos"), "pages.path: 'data/fotos': no such file or folder; did you mean data/photos?"),
        (pages("/nowhere/at/all"), "pages.path: '/nowhere/at/all': no such file or folder; name one that is there"),
        (pages("~/photos"), "pages.path: '~/photos': the workflow expands no ~"),
        (pages("data/empty"), "pages.path: 'data/empty': an empty folder"),
        (
            pages("data/obelics/0.parquet"),
            "pages.path: 'data/obelics/0.parquet': a file, but pages.format is 'folders'",
        ),
        (pages("data/photos", "obelics"), "pages.path: 'data/photos': no *.parquet in this folder"),
        (pages("data/tars/0.tar", "obelics"), "pages.path: 'data/tars/0.tar': a file that is no .parquet"),
        (pages("data/prompts.csv", "auto"), "pages.path: 'data/prompts.csv': a file that is no .parquet or .tar"),
        (pages("data/{prt}.tar", "webdataset"), "pages.path: 'data/{prt}.tar': not a pattern of {part}"),
        (photos("data/foto"), "evaluation.path: 'data/foto': no such file or folder; did you mean data/photos?"),
        (photos("data/photos/dog"), "evaluation.path: 'data/photos/dog': no folder in it"),
        (photos("data/prompts.csv"), "evaluation.path: 'data/prompts.csv': a file; give a folder"),
        (
            photos("data/photos", benchmark="csv", prompts="data/promts.csv"),
            "evaluation.prompts: 'data/promts.csv': no such file or folder; did you mean data/prompts.csv?",
        ),
        (photos("data/photos", benchmark="csv", prompts="data"), "evaluation.prompts: 'data': a folder; give the CSV"),
        (
            {"models": {"base": "resources/models/bsae"}},
            "models.base: 'resources/models/bsae': no such folder; did you mean resources/models/base?",
        ),
        (
            {"models": {"base": "weights/bsae"}},
            "models.base: 'weights/bsae': no such folder; did you mean weights/base?",
        ),
        ({"models": {"base": "base"}}, "models.base: 'base': no such folder; give a folder made by save_pretrained"),
        ({"models": {"base": "an owner/name"}}, "models.base: 'an owner/name': neither a folder nor a hub id"),
        ({"models": {"base": "weights/nothing"}}, "models.base: 'weights/nothing': no model_index.json in this folder"),
        ({"models": {"captioner": "~/blip"}}, "models.captioner: '~/blip': the workflow expands no ~"),
        ({"models": {"apprentice": "./none"}}, "models.apprentice: './none': no such folder"),
        (
            {"models": {"super_resolution": [{"model": "weights/clip"}]}},
            "models.super_resolution.0.model: 'weights/clip': no model_index.json",
        ),
        ({"evaluation": {"probe": "./probe"}}, "evaluation.probe: './probe': no such folder"),
        ({"language": {"backend": "transformers", "model": "./llm"}}, "language.model: './llm': no such folder"),
        ({"mining": {"encoder": "clip:ViT-L-14"}}, "mining.encoder: 'clip:ViT-L-14': no encoder of a known form"),
        (
            {"mining": {"encoder": "open_clip:ViT-L-14"}},
            "mining.encoder: 'open_clip:ViT-L-14': no open_clip:MODEL/PRETR",
        ),
        ({"mining": {"encoder": "open_clip:hf-hub:x"}}, "mining.encoder: 'open_clip:hf-hub:x': no hub id (owner/name)"),
        (
            {"mining": {"encoder": "open_clip:local-dir:resources/models/clop"}},
            "mining.encoder: 'open_clip:local-dir:resources/models/clop': no such folder; did you mean "
            "resources/models/clip?",
        ),
        (
            {"mining": {"encoder": "open_clip:local-dir:weights/clip"}},
            "mining.encoder: 'open_clip:local-dir:weights/clip'",
        ),
        ({"mining": {"encoder": "transformers:a b/c"}}, "mining.encoder: 'transformers:a b/c': neither a folder nor"),
        (
            {"filtering": {"encoder": "transformers:weights/dino"}},
            "filtering.encoder: 'transformers:weights/dino': a model",
        ),
        (
            {"evaluation": {"encoders": {"dinov2": "transformers:weights/dinov2/small"}}},
            "evaluation.encoders.dinov2: 'transformers:weights/dinov2/small': no such folder",
        ),
        (
            {"evaluation": {"encoders": {"clip_t": "transformers:weights/dino"}}},
            "evaluation.encoders.clip_t: 'transformers:weights/dino': a model without a text tower",
        ),
    ],
)
def test_what_is_not_there_is_named_with_its_remedy(settings: dict, line: str) -> None:
    found = problems(settings)
    assert len(found) == 1 and found[0].startswith(line) and "\n" not in found[0]


def test_only_the_first_pattern_is_fetched() -> None:
    settings = {"pages": {"format": "obelics", "parts": 1, "path": ["a/{part}.parquet", "data/obelics/{part}.parquet"]}}
    assert problems(settings) == []
    settings["pages"]["parts"] = 2
    assert problems(settings) == [
        "pages.path: 'data/obelics/{part}.parquet': no file 'data/obelics/1.parquet'; a rule fetches the files of the "
        "first pattern only"
    ]


def test_models_that_the_run_trains_need_not_be_there(folder: Path) -> None:
    (folder / "resources").unlink()
    assert len(problems({})) == 10
    assert problems({}, training=True) == []
    settings = {"models": {"base": "results/models/base", "captioner": "weights/captioner/blip"}}
    assert [line.split(":")[0] for line in problems(settings, training=True)] == ["models.captioner"]


def test_a_mistake_is_found_where_it_stands(folder: Path) -> None:
    (folder / "my.yaml").write_text("pages:\n  format: folders\n  path: [data/photo]\n")
    settings = pages("data/photo")
    with pytest.raises(ConfigError, match=r"my\.yaml, line 3: pages\.path: 'data/photo': no such file"):
        check_plan(validate_config(settings), settings, ["my.yaml"])


def test_the_check_loads_nothing_heavy() -> None:
    code = "import sys, suti.config.plan; sys.exit(bool({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
