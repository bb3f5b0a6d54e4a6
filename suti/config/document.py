"""What is written from the configuration's models: config.yaml, its JSON schema and docs/configuration.md.

``suti config --write`` writes the three files; ``suti config --check`` fails when one differs.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from suti.config.schema import Config
from suti.io.atomic import write_text

CONFIG, SCHEMA, REFERENCE = (
    Path("config.yaml"),
    Path("resources/config.schema.json"),
    Path("docs/configuration.md"),
)
WIDTH = 110
"""Columns of a comment in config.yaml."""
INTRODUCTION = """# Configuration

<!-- Written by `suti config --write` from suti/config/schema.py. Do not edit. -->

`config.yaml` holds every setting with its default, which is the embedded run, `tiny`. Files laid on top are
merged key by key; everything that is not a mapping (lists included) is replaced. An unknown key is an error
that names the nearest known one. A rule of the workflow is given only the settings that its program reads, so
a change reruns what depends on it and nothing else.

```bash
snakemake --configfile config.yaml configs/X.yaml                # run with an overlay
suti config --show --configfile config.yaml configs/X.yaml       # what the files amount to
suti config --show experts.steps --configfile configs/X.yaml     # one value of it
```"""


def modeline(file: str | Path) -> str:
    """First line of a configuration file: tells editors where the schema lies, relative to the file."""
    depth = len(Path(file).parts) - 1
    return f"# yaml-language-server: $schema={'../' * depth}{SCHEMA.as_posix()}"


def documents() -> dict[Path, str]:
    """Text of every file that is made of the models, by its path relative to the project's root."""
    return {CONFIG: config_yaml(), SCHEMA: json_schema(), REFERENCE: reference()}


def write(root: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Write generated files below ``root``; returns those that changed."""
    changed = drifted(root, texts)
    for path in changed:
        write_text(root / path, texts[path])
    return changed


def drifted(root: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Generated files below ``root`` that are missing or differ from their text."""
    files = {path: root / path for path in texts}
    return [p for p, file in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != texts[p]]


def config_yaml() -> str:
    """config.yaml: every key with its default, each preceded by its description as a comment."""
    lines = [
        modeline(CONFIG),
        *_comment(
            "The configuration of the whole workflow. As committed it is the embedded default, `tiny`: a "
            "small procedural world and the models shipped under resources/models, minutes on two CPU cores. "
            "Change values here, or lay a file of configs/ on top:",
            "",
        ),
        "#   snakemake --configfile config.yaml configs/X.yaml",
        "# The same as a table: docs/configuration.md. Both are written from suti/config/schema.py by",
        "#   suti config --write",
    ]
    for name, field in Config.model_fields.items():
        section = _section(field)
        if section is None:
            lines += ["", *_comment(str(field.description), ""), *_entry(name, field.get_default(), "")]
            continue
        lines += ["", *_section_lines(name, section, "")]
    return "\n".join(lines) + "\n"


def _section_lines(name: str, section: type[BaseModel], indent: str) -> list[str]:
    """A section with its keys, each below its description; the sections in it likewise, further in."""
    lines = [*_comment(_doc(section), indent), f"{indent}{name}:"]
    inner = indent + "  "
    for key, entry in section.model_fields.items():
        below = _section(entry)
        if below is not None:
            lines += _section_lines(key, below, inner)
            continue
        lines += _comment(str(entry.description), inner)
        lines += _entry(key, entry.get_default(call_default_factory=True), inner)
    return lines


def json_schema() -> str:
    """JSON schema of config.yaml and of overlays (no key is required), with descriptions and defaults."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    _drop_titles(schema)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """docs/configuration.md: a table a section with key, type, default and meaning."""
    lines = [
        *INTRODUCTION.splitlines(),
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    sections: list[str] = []
    for name, field in Config.model_fields.items():
        section = _section(field)
        if section is None:
            lines.append(_row(name, field))
            continue
        sections += _tables(name, section)
    return "\n".join(lines + sections) + "\n"


def _tables(name: str, section: type[BaseModel]) -> list[str]:
    """The table of a section, then those of the sections and of the lists of mappings in it."""
    lines = _table(name, section)
    for key, entry in section.model_fields.items():
        below, item = _section(entry), _item(entry)
        if below is not None:
            lines += _tables(f"{name}.{key}", below)
        if item is not None:
            lines += _table(f"{name}.{key}[]", item)
    return lines


def _table(name: str, section: type[BaseModel]) -> list[str]:
    """Heading, text and rows of a section, or of the mappings (``name[]``) in a list."""
    head = ["", f"{'#' * (name.count('.') + 2)} `{name}`", "", _doc(section), ""]
    head += ["| key | type | default | meaning |", "|---|---|---|---|"]
    fields = {key: entry for key, entry in section.model_fields.items() if _section(entry) is None}
    return head + [_row(f"{name}.{key}", entry) for key, entry in fields.items()]


def yaml_text(value: Any) -> str:
    """A setting or a section as YAML: a key a line in the models' order, lists on one line."""
    return "\n".join(_lines(value, "")) if isinstance(value, Mapping) else _inline(value)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _item(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a list's mappings, if the field is such a list."""
    kind = get_args(field.annotation)[0] if get_origin(field.annotation) is list else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _doc(section: type[BaseModel]) -> str:
    return " ".join(str(section.__doc__).split())


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _entry(key: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [f"{indent}{key}:", *_lines(value, indent + "  ")]
    return [f"{indent}{key}: {_inline(value)}"]


def _lines(value: Mapping[str, Any], indent: str) -> list[str]:
    return [line for key, item in value.items() for line in _entry(key, item, indent)]


def _inline(value: Any) -> str:
    value = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.strip().removesuffix("...").strip()


def _row(key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_inline(field.get_default(call_default_factory=True))}`"
    cells = (f"`{key}`", _type(field.annotation, field.metadata), default, str(field.description))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(kind: Any, metadata: list[Any] | tuple[Any, ...] = ()) -> str:
    """A field's type in words: ``integer >= 1``, ``full or lora``, ``list of text``."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type(arguments[0], [*arguments[1:], *metadata])
    if origin is Literal:
        return _or([f"`{a}`" for a in arguments])
    if origin in (Union, UnionType):
        return _or([_type(a, metadata) for a in arguments])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"mappings of {', '.join(f'`{key}`' for key in kind.model_fields)}"
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(_type(a) for a in arguments)}]"
    if origin is dict:
        return f"mapping from {_type(arguments[0])} to {_type(arguments[1])}"
    name = {str: "text", int: "integer", float: "number", bool: "true or false", NoneType: "null"}.get(kind)
    if name is None:
        raise TypeError(f"suti/config/schema.py: no words for type {kind!r}; add them to suti.config.document")
    bounds = _bounds(metadata)
    if {">=", "<="} <= bounds.keys():
        return f"{name} in [{bounds['>=']}, {bounds['<=']}]"
    return name + "".join(f" {sign} {number}" for sign, number in bounds.items())


def _bounds(metadata: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, FieldInfo):  # Field(ge=1) inside Annotated
            result |= _bounds(item.metadata)
        elif isinstance(item, Ge):
            result[">="] = item.ge
        elif isinstance(item, Gt):
            result[">"] = item.gt
        elif isinstance(item, Le):
            result["<="] = item.le
    return result


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _drop_titles(node: Any) -> None:
    """Remove the titles that Pydantic makes of field names: editors show the key already."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _drop_titles(value)
    elif isinstance(node, list):
        for value in node:
            _drop_titles(value)
