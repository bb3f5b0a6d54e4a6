"""The package: no circle of imports, imports run one way, and its own names cost nothing until they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From plain parts, over models, to the chapters of the paper and to what people touch. A module may import modules of
# its own row and of the rows above it. A longer name counts before a shorter one.
ROWS = [
    ["suti"],
    ["suti.seeds", "suti.runs", "suti.io"],
    ["suti.config.fields"],
    ["suti.baselines.settings", "suti.baselines.systems"],
    ["suti.config", "suti.digests"],
    ["suti.devices", "suti.compute"],
    ["suti.diffusion", "suti.optim"],
    ["suti.models"],
    ["suti.world"],
    ["suti.small_models"],
    ["suti.mining", "suti.language", "suti.benchmark"],
    ["suti.filtering", "suti.controls"],
    ["suti.experts", "suti.apprentice"],
    ["suti.generation"],
    ["suti.baselines"],
    ["suti.evaluation"],
    ["suti.figures", "suti.ratings"],
    ["suti.app"],
    ["suti.cli"],
]


def modules(root: Path) -> dict[str, Path]:
    """Files of the package by dotted name."""
    found = {}
    for path in (root / "suti").rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements at any depth, less those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (found for other in child.orelse for found in statements(ast.Module([other], [])))
        else:
            yield from statements(child)


def imports(root: Path) -> dict[str, set[str]]:
    """What each module of the package imports of the package."""
    known = modules(root)
    result: dict[str, set[str]] = {}
    for name, path in known.items():
        found = set()
        for statement in statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                found.update(alias.name for alias in statement.names)
                continue
            assert not statement.level, f"{path}: a relative import; name the module in full"
            for alias in statement.names:
                whole = f"{statement.module}.{alias.name}"
                found.add(whole if whole in known else str(statement.module))
        result[name] = found & known.keys() - {name}
    return result


def row(name: str) -> int:
    """Number of the row that a module stands in."""
    places = {prefix: number for number, prefixes in enumerate(ROWS) for prefix in prefixes}
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        if (prefix := ".".join(parts[:length])) in places:
            return places[prefix]
    assert name == "suti", f"{name}: stands in no row; add its folder to ROWS"
    return 0


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The names on a circle of imports, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others():
    assert circle(imports(ROOT)) == []


def test_imports_run_one_way():
    wrong = [
        f"{name} (row {row(name)}) imports {other} (row {row(other)})"
        for name, others in sorted(imports(ROOT).items())
        for other in sorted(others)
        if row(other) > row(name)
    ]
    assert wrong == []


def test_the_check_sees_a_circle_inside_a_function(tmp_path: Path):
    for name, text in {
        "__init__": "",
        "a": "def f():\n    from suti.b import g\n",
        "b": "import suti.a\n",
        "c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from suti.d import x\n",
        "d": "from suti import c\n",
    }.items():
        (tmp_path / "suti").mkdir(exist_ok=True)
        (tmp_path / "suti" / f"{name}.py").write_text(text)
    graph = imports(tmp_path)
    assert graph["suti.c"] == set() and graph["suti.d"] == {"suti.c"}
    assert set(circle(graph)) == {"suti.a", "suti.b"}


def python(code: str) -> str:
    """Output of a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


@pytest.mark.parametrize("module", ["suti", "suti.config.load", "suti.config.document", "suti.baselines.systems"])
def test_the_configuration_and_the_plan_need_no_torch(module: str):
    assert python(f"import sys, {module}; print('torch' in sys.modules)") == "False"


def test_the_pipeline_is_a_name_of_the_package():
    code = "import suti; from suti import SuTIPipeline; print(SuTIPipeline.__module__, 'SuTIPipeline' in dir(suti))"
    assert python(code) == "suti.models.pipeline True"
    with pytest.raises(ImportError, match="cannot import name 'SuTIPipe'"):
        exec("from suti import SuTIPipe")
