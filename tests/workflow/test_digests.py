"""What counts as a change of code, and which files stand behind a model spec."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from suti import digests

SCRIPT = '''"""Doc."""
from typing import TYPE_CHECKING
from suti.stage import work
if TYPE_CHECKING:
    from suti.typed import Only
def main():
    from suti.models import lazy
    return work(lazy)
'''
STAGE_WITH_DOCSTRINGS = '''"""A docstring."""
from .plain import one
def work(x):
    "Doc."
    return one
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "scripts/x.py": SCRIPT,
        "suti/__init__.py": "",
        "suti/stage.py": "from .plain import one\ndef work(x): return one\n",
        "suti/plain.py": "one = 1\n",
        "suti/typed.py": "class Only: ...\n",
        "suti/unused.py": "two = 2\n",
        "suti/models/__init__.py": "",
        "suti/models/lazy.py": "import suti.models.deep\n",
        "suti/models/deep.py": "deep = 3\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(tree: Path) -> str:
    digests._parse.cache_clear()
    return digests.code_digest("scripts/x.py", tree)


def test_a_digest_is_the_same_in_every_version_of_python() -> None:
    tree = ast.parse("def f(x=None):\n    return [x, None, '']")
    assert digests._normal(tree) == (
        "Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='x')],defaults=[Constant(None)]),"
        "body=[Return(value=List(elts=[Name(id='x',ctx=Load()),Constant(None),Constant(value='')],ctx=Load()))])])"
    )


def test_sources_are_the_imports_at_any_depth(tree: Path) -> None:
    names = [str(p.relative_to(tree)) for p in digests.sources("scripts/x.py", tree)]
    assert names == [
        "scripts/x.py",
        "suti/__init__.py",
        "suti/models/__init__.py",
        "suti/models/deep.py",
        "suti/models/lazy.py",
        "suti/plain.py",
        "suti/stage.py",
    ]


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("suti/plain.py", "# a comment\none = (1)  # and another\n", False),
        ("suti/stage.py", STAGE_WITH_DOCSTRINGS, False),
        ("suti/plain.py", "one = 2\n", True),
        ("suti/models/deep.py", "deep = 4\n", True),
        ("suti/models/__init__.py", "import os\n", True),
        ("suti/typed.py", "class Other: ...\n", False),
        ("suti/unused.py", "two = 3\n", False),
        ("scripts/x.py", SCRIPT + "main()\n", True),
    ],
)  # fmt: skip
def test_digest_changes_with_the_code_alone(tree: Path, name: str, text: str, changes: bool) -> None:
    before = digest(tree)
    (tree / name).write_text(text)
    assert (digest(tree) != before) is changes


def test_digest_names_a_missing_script(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py: no such script"):
        digests.code_digest("scripts/nowhere.py", tree)


def test_model_files_of_a_folder_and_of_the_hub(tmp_path: Path) -> None:
    for name in ("config.json", "unet/model.safetensors", ".hidden", "model.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    wanted = [str(tmp_path / "config.json"), str(tmp_path / "unet" / "model.safetensors")]
    for prefix in ("", "transformers:", "open_clip:local-dir:"):
        assert digests.model_files(f"{prefix}{tmp_path}") == wanted
    for spec in (None, "owner/model", "open_clip:ViT-L-14/openai", "transformers:owner/model"):
        assert digests.model_files(spec) == []
