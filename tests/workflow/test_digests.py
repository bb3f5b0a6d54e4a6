"""What counts as a change of code, and which files stand behind a model spec."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from suti import digests
from suti.baselines.systems import SYSTEMS
from suti.config import schema
from suti.io import tables

ROOT = Path(__file__).parents[2]

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


def programs() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "scripts").glob("*.py"))


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


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ('print("trained")', 'print("finished")', False),
        ('print("trained")', 'print(f"finished {work}")', True),
        ('help="a file"', 'help="the file to read"', False),
        ('desc="pictures"', 'desc="images"', False),
        ('desc="pictures"', 'desc="pictures", total=3', True),
        ('"--out"', '"--output"', True),
        ('print("a", file=out)', 'print("b", file=out)', True),
    ],
)
def test_words_for_people_do_not_count_and_what_is_done_does(tree: Path, old: str, new: str, changes: bool) -> None:
    script = (
        'def main():\n    parser.add_argument("--out", help="a file")\n    print("a", file=out)\n'
        '    for x in tqdm(work, desc="pictures"):\n        print("trained")\n'
    )
    (tree / "scripts" / "x.py").write_text(script)
    before = digest(tree)
    assert old in script
    (tree / "scripts" / "x.py").write_text(script.replace(old, new))
    assert (digest(tree) != before) is changes


def test_what_cannot_change_a_result_is_passed_by(tree: Path) -> None:
    (tree / "suti" / "devices.py").write_text("from suti.unused import two\n")
    (tree / "suti" / "plain.py").write_text("from suti.devices import two as one\n")
    before = digest(tree)
    for name in ("devices", "unused"):
        (tree / "suti" / f"{name}.py").write_text("two = 99\n")
    assert digest(tree) == before
    assert "suti/unused.py" not in {p.relative_to(tree).as_posix() for p in digests.sources("scripts/x.py", tree)}


@pytest.mark.parametrize(("table", "changes"), [("read", True), ("other", False), ("new", False)])
def test_a_column_counts_for_who_names_its_table(tree: Path, table: str, changes: bool) -> None:
    layout = {"read": ["a"], "other": ["b"]}
    module = tree / "suti" / "io" / "tables.py"
    module.parent.mkdir()
    module.write_text(f"TABLES: dict = {layout}\n")
    (tree / "suti" / "plain.py").write_text('from suti.io import tables\none = tables.read("x", "read")\n')
    before = digest(tree)
    module.write_text(f"TABLES: dict = {layout | {table: ['c']}}\n")
    assert (digest(tree) != before) is changes
    module.write_text(f"TABLES: dict = {layout}\nelse_ = 1\n")
    assert digest(tree) != before


def test_an_import_by_name_is_refused(tree: Path) -> None:
    (tree / "suti" / "plain.py").write_text('import importlib\none = importlib.import_module("suti.unused")\n')
    with pytest.raises(ValueError, match=r"plain\.py, line 2: imports by name"):
        digest(tree)


def test_every_exception_is_of_a_module_that_is_there() -> None:
    named = [*digests.INERT, *digests.SETTINGS, *digests.BY_NAME, *digests.KEYED]
    assert [name for name in named if not (ROOT / name).exists() or name.endswith("/") != (ROOT / name).is_dir()] == []
    assert "suti/config/values.py" not in named


def test_of_the_schema_programs_take_sections_alone() -> None:
    """Sections carry values. All else that a program takes from there would change results without being counted."""
    taken = set()
    for path in {path for script in programs() for path in digests.sources(script, ROOT)}:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module == "suti.config.schema":
                taken |= {name.name for name in node.names}
    sections = {name for name in taken if isinstance(getattr(schema, name), type)}
    assert "Compute" in sections and taken - sections == {"APPRENTICE_COMPUTING"}


def test_tables_are_named_by_texts() -> None:
    """Else a program would not count the columns of a table that it reads."""
    named, calls = set(), 0
    for path in {path for script in programs() for path in digests.sources(script, ROOT)}:
        for node in ast.walk(ast.parse(path.read_bytes())):
            function = node.func if isinstance(node, ast.Call) else None
            if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "tables":
                calls += 1
                named |= {a.value for a in node.args if isinstance(a, ast.Constant) and a.value in tables.TABLES}
                assert named & {a.value for a in node.args if isinstance(a, ast.Constant)}, ast.unparse(node)
    assert calls > 40 and set(tables.TABLES) == named


@pytest.mark.parametrize(
    "code", ["s.found", "s['found']", "def f(found): ...", "class C:\n    found: int", "f'{s.found}'"]
)
def test_a_name_is_read_in_every_way_that_python_has(tree: Path, code: str) -> None:
    for module, named in (("suti/plain.py", True), ("suti/devices.py", True), ("suti/config/schema.py", False)):
        (tree / module).parent.mkdir(exist_ok=True)
        (tree / "scripts" / "x.py").write_text(f"import {module.removesuffix('.py').replace('/', '.')}\n")
        (tree / module).write_text(code + "\n")
        digests._parse.cache_clear()
        assert ("found" in digests.names("scripts/x.py", tree)) is named


def test_names_hold_what_a_program_could_read_and_no_more() -> None:
    names = digests.names("scripts/train_experts.py", ROOT)
    assert {"lora_rank", "experts_at_once", "device", "precision"} <= names
    assert not {"clip_steps", "drop_both", "a_new_setting"} & names


def test_systems_do_not_count_for_each_other() -> None:
    for system in SYSTEMS.values():
        own = {path.stem for path in digests.sources(system.source, ROOT) if path.parent.name == "baselines"}
        assert system.section in own and not own & {other.section for other in SYSTEMS.values()} - {system.section}
    shared = {path.stem for path in digests.sources("scripts/personalize.py", ROOT)}
    assert not shared & {"systems", *(system.section for system in SYSTEMS.values())}
    whole = digests.code_digest(ROOT / "scripts" / "personalize.py", ROOT)  # as the script itself asks
    assert whole == digests.code_digest("scripts/personalize.py", ROOT)


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
