"""What a result was made from: the code behind a script, and the files behind a model spec.

A rule records both, so that Snakemake reruns it when they change in substance. A comment, a docstring, the words of a
message, the formatting or the time stamp of a file is no change. Neither is an edit in a module that cannot change a
result: ``INERT`` lists them. docs/code.md says for each script what is left.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from suti.io.model_specs import model_folder

PACKAGE = "suti"
RECORDS = ("provenance.json", "loss.csv", "README.md")

# Modules and folders that cannot change a result, each with the reason. A digest passes them by, with all that they
# alone import.
INERT = {
    "suti/__init__.py": "names the version, and the pipeline for who imports it from here",
    "suti/baselines/settings/": "settings count by value, as those of the schema",
    "suti/cli/arguments.py": "parses a command line; what it says is in the rule's shell command and params",
    "suti/config/document.py": "writes config.yaml and its reference page",
    "suti/config/fields.py": "what the sections of settings are made of",
    "suti/config/load.py": "reads configuration files; the settings count by value",
    "suti/config/plan.py": "checks that what the configuration names is there",
    "suti/config/renamed.py": "names of settings before",
    "suti/config/schema.py": "settings count by value: a rule passes every one that its script reads",
    "suti/config/settings.py": "hands these settings on, and refuses to fill in one that was not passed",
    "suti/devices.py": "chooses the processor or GPU; what the choice rounds is the setting compute.precision",
    "suti/digests.py": "names what a result was made from; a changed name reruns by itself",
    "suti/experts/batched/memory.py": "chooses how many experts share a pass; each one is the same whatever it chooses",
    "suti/experts/progress.py": "draws a progress bar",
    "suti/figures/training.py": "watches the training of an apprentice; changes no weight, as a test shows",
    "suti/io/provenance.py": "records how a result was made, in files that no rule reads",
    "suti/io/slots.py": "shares GPUs among processes",
    "suti/models/card.py": "writes the model card",
}
# Folders that define settings and read none.
SETTINGS = ("suti/config/", "suti/baselines/settings/")
# Modules that import others by name. A rule passes the digest of the one that its job runs.
BY_NAME = ("suti/baselines/method.py",)
# Modules that hold one thing for each of many names, in a dictionary: of it a script counts the names that it says.
KEYED = {"suti/io/tables.py": "TABLES"}
# Arguments of calls whose words are for people: (keywords, whether those by position too), by the name called.
MESSAGES = {
    "print": ((), True),
    "add_argument": (("help", "metavar"), False),
    "tqdm": (("desc", "unit"), False),
    "GroupBar": (("desc",), True),
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(script: str | Path, root: str | Path = ".") -> str:
    """Hash (16 hex digits) of a script and of the modules of the package behind it that can change its result.

    Args:
        script: path of the script, relative to ``root`` or whole.
        root: the checkout, which holds the package's folder.

    Raises:
        FileNotFoundError: there is no such script.
        SyntaxError: the script or a module does not parse (the message names the file).
        ValueError: one of them imports modules by name, which no digest can follow, and is not in ``BY_NAME``.
    """
    root = Path(root).resolve()
    parsed = {path.relative_to(root).as_posix(): _parse(path, root) for path in sources(script, root)}
    for name, module in parsed.items():
        if module.by_name and name not in BY_NAME:
            raise ValueError(
                f"{root / name}, line {module.by_name}: imports by name, which no digest can follow; write an import "
                "statement, and see INERT in suti/digests.py"
            )
    words = frozenset().union(*(module.words for name, module in parsed.items() if name not in KEYED))
    lines = []
    for name, module in parsed.items():
        entries = (f" {key}={module.entries[key]}" for key in sorted(words.intersection(module.entries)))
        lines.append(f"{name} {module.digest}{''.join(entries)}")
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def sources(script: str | Path, root: str | Path = ".") -> list[Path]:
    """The script and the modules of the package that can change its result, sorted by path (see ``code_digest``).

    These are its imports at any depth. Imports inside functions count, and so does the ``__init__`` of each package on
    the way, as Python runs it. What does not count: imports under ``if TYPE_CHECKING``, modules outside the package,
    those of ``INERT``, and files without a statement.
    """
    root = Path(root).resolve()
    return sorted(path for path in _reached(script, root, INERT) if not _parse(path, root).empty)


def names(script: str | Path, root: str | Path = ".") -> frozenset[str]:
    """Every name by which a script, or a module of the package behind it, could read a setting.

    These are attributes, parameters, fields and texts, in modules of ``INERT`` too. So a setting whose name is not
    among them is read by none of them, and a rule need not pass it.
    """
    root = Path(root).resolve()
    paths = _reached(script, root, SETTINGS)
    return frozenset().union(*(_parse(path, root).names for path in paths))


def _reached(script: str | Path, root: Path, passed_by: Iterable[str]) -> set[Path]:
    """The script and its imports at any depth, less files that are passed by and what only they import."""
    start = (root / script).resolve()
    if not start.is_file():
        raise FileNotFoundError(f"{start}: no such script; name an existing file under scripts/")
    seen: set[Path] = set()
    queue = [start]
    while queue:
        path = queue.pop()
        name = path.relative_to(root).as_posix()
        if path not in seen and not any(
            name == other or (other.endswith("/") and name.startswith(other)) for other in passed_by
        ):
            seen.add(path)
            for module in _parse(path, root).imports:
                queue.extend(_files(module, path, root))
    return seen


class _Parsed:
    """What a digest needs of a file.

    Attributes:
        digest: hash of its syntax tree in normal form.
        empty: whether it has no statement.
        imports: as ``(level, dotted name)``.
        by_name: a line on which it imports by name, or 0.
        words: its string constants.
        names: these, and the names of its attributes, parameters and fields.
        entries: hash of each entry of the dictionary that ``KEYED`` names, which ``digest`` leaves out.
    """

    def __init__(self, path: Path, name: str) -> None:
        tree = ast.parse(path.read_bytes(), filename=str(path))
        imports: set[tuple[int, str]] = set()
        _collect(tree, imports)
        self.imports = sorted(imports)
        self.by_name = 0
        words: set[str] = set()
        others: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            elif isinstance(node, ast.Call):
                for part in _messages(node):
                    _silence(part)
                if _called(node) in ("import_module", "__import__"):
                    self.by_name = node.lineno
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
            elif isinstance(node, ast.Attribute):
                others.add(node.attr)
            elif isinstance(node, ast.arg):
                others.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                others.add(node.target.id)
        self.words, self.names = frozenset(words), frozenset(words | others)
        self.entries: dict[str, str] = {}
        for entries in _dictionaries(tree, KEYED.get(name)):
            for key, value in zip(entries.keys, entries.values, strict=True):
                if key is not None:
                    self.entries[ast.literal_eval(key)] = _hash(value)
            entries.keys, entries.values = [], []
        self.empty = all(isinstance(node, ast.Pass) for node in tree.body)
        self.digest = _hash(tree)


@cache
def _parse(path: Path, root: Path) -> _Parsed:
    return _Parsed(path, path.relative_to(root).as_posix())


def _hash(node: ast.AST) -> str:
    return hashlib.blake2b(_normal(node).encode(), digest_size=16).hexdigest()


def _dictionaries(tree: ast.Module, name: str | None) -> Iterator[ast.Dict]:
    """The literals that a module assigns to ``name``."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield node.value


def _called(call: ast.Call) -> str:
    """Last name of what is called: ``f`` of ``f()`` and of ``module.f()``; '' of anything else."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _messages(call: ast.Call) -> Iterable[ast.expr]:
    """Arguments of a call whose words are for people (see ``MESSAGES``)."""
    if _called(call) not in MESSAGES or any(keyword.arg == "file" for keyword in call.keywords):
        return []
    keywords, by_position = MESSAGES[_called(call)]
    found = [keyword.value for keyword in call.keywords if keyword.arg in keywords]
    return [*found, *call.args] if by_position else found


def _silence(message: ast.expr) -> None:
    """Empty the words of a message: a string, or the constant parts of a formatted one. What is computed stays."""
    if isinstance(message, ast.Constant) and isinstance(message.value, str):
        message.value = ""
    elif isinstance(message, ast.JoinedStr):
        message.values = [part for part in message.values if not isinstance(part, ast.Constant)]
    elif isinstance(message, ast.BinOp):
        _silence(message.left)
        _silence(message.right)


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


def model_digest(spec: str | None) -> str:
    """Hash of a local model folder's files, or of the spec itself for a hub id (whose revision is its own affair)."""
    digest = hashlib.blake2b(str(spec).encode() if not model_files(spec) else b"", digest_size=16)
    for name in model_files(spec):
        if Path(name).suffix in (".safetensors", ".json", ".txt"):
            digest.update(Path(name).name.encode() + hashlib.sha256(Path(name).read_bytes()).digest())
    return digest.hexdigest()
