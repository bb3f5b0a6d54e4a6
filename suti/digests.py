"""What a result was made from: the code behind a script, and the files behind a model spec.

A rule records both, so that Snakemake reruns it when they change in substance: a comment, a docstring, the
formatting or the time stamp of a file is no change.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "suti"
RECORDS = ("provenance.json", "loss.csv", "README.md")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_LOCAL_PREFIXES = ("open_clip:local-dir:", "transformers:")


def code_digest(script: str | Path, root: str | Path = ".") -> str:
    """Hash (16 hex digits) of a script and of every module of the package that it imports, at any depth.

    Imports inside functions count; imports under ``if TYPE_CHECKING`` do not, nor do modules outside the
    package. The ``__init__`` of each package on the way counts, as Python runs it.

    Args:
        script: path of the script, relative to ``root``.
        root: the checkout, which holds the package's folder.

    Raises:
        FileNotFoundError: there is no such script.
        SyntaxError: the script or a module does not parse (the message names the file).
    """
    root = Path(root).resolve()
    return hashlib.blake2b(
        "\n".join(f"{path.relative_to(root)} {_parse(path)[0]}" for path in sources(script, root)).encode(),
        digest_size=8,
    ).hexdigest()


def sources(script: str | Path, root: str | Path = ".") -> list[Path]:
    """The script and the modules of the package behind it, sorted by path (see ``code_digest``)."""
    root = Path(root).resolve()
    start = (root / script).resolve()
    if not start.is_file():
        raise FileNotFoundError(f"{start}: no such script; name an existing file under scripts/")
    seen: set[Path] = set()
    queue = [start]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            for module in _parse(path)[1]:
                queue.extend(_files(module, path, root))
    return sorted(seen)


@cache
def _parse(path: Path) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Hash of the normalised syntax tree, and the imports as ``(level, dotted name)``."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    imports: set[tuple[int, str]] = set()
    _collect(tree, imports)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.blake2b(_normal(tree).encode(), digest_size=16).hexdigest(), tuple(sorted(imports))


def _normal(node: object) -> str:
    """Text of a syntax tree that is the same in every version of Python: fields that are empty are left out.

    New versions add fields (3.12: ``type_params``), and ``ast.dump`` shows them its own way in each.
    """
    if isinstance(node, list):
        return f"[{','.join(map(_normal, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, getattr(node, name, None)) for name in node._fields)
    shown = (f"{name}={_normal(value)}" for name, value in fields if value not in (None, []))
    kept = "None" if isinstance(node, ast.Constant) and node.value is None else ""
    return f"{type(node).__name__}({','.join(shown)}{kept})"


def _collect(node: ast.AST, imports: set[tuple[int, str]]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            imports.update((0, name.name) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = child.module or ""
            # `from package import name`: the name may be a module of its own.
            imports.update((child.level, f"{module}.{name.name}".strip(".")) for name in child.names)
        elif isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                _collect(ast.Module([other], []), imports)
        else:
            _collect(child, imports)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _files(module: tuple[int, str], importer: Path, root: Path) -> list[Path]:
    """Files of the package that an import runs: each ``__init__`` on the way, and the module."""
    level, name = module
    parts = name.split(".") if name else []
    if level:
        base = importer.parents[level - 1]
        if not base.is_relative_to(root):
            return []
        parts = [*base.relative_to(root).parts, *parts]
    if not parts or parts[0] != PACKAGE:
        return []
    found = []
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        found += [p for p in (place / "__init__.py", place.with_suffix(".py")) if p.is_file()]
    return found


def model_files(spec: str | None) -> list[str]:
    """Files of a local model folder, sorted; empty for a hub id or no model.

    The spec may carry the prefix of an encoder, ``open_clip:local-dir:FOLDER`` or ``transformers:FOLDER``.
    Hidden files, unfinished ``.part`` files, and the records of how the model was made are left out.
    """
    folder = model_folder(spec)
    if folder is None or not folder.is_dir():
        return []
    return sorted(
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".part" and path.name not in RECORDS
    )


def model_folder(spec: str | None) -> Path | None:
    """The folder that a spec may name, there or not; None for no model and for open_clip's own names."""
    if not spec:
        return None
    for prefix in _LOCAL_PREFIXES:
        if spec.startswith(prefix):
            return Path(spec.removeprefix(prefix))
    return None if spec.startswith("open_clip:") else Path(spec)


def model_digest(spec: str | None) -> str:
    """Hash of a local model folder's files, or of the spec itself for a hub id (whose revision is its own affair)."""
    digest = hashlib.blake2b(str(spec).encode() if not model_files(spec) else b"", digest_size=16)
    for name in model_files(spec):
        if Path(name).suffix in (".safetensors", ".json", ".txt"):
            digest.update(Path(name).name.encode() + hashlib.sha256(Path(name).read_bytes()).digest())
    return digest.hexdigest()
