"""Reading the configuration: YAML files merged in order, then checked as a whole, with all mistakes at once.

Mappings are merged key by key and all else (lists included) is replaced, as Snakemake merges the files of
``--configfile``: ``load_config(["config.yaml", "configs/X.yaml"])`` and the workflow see the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from suti.config.renamed import REMOVED, RENAMED, written
from suti.config.schema import Config

Place = dict[str, str]
"""Where a dotted key was last set: ``{"experts.steps": "configs/mini.yaml, line 12"}``."""


class ConfigError(ValueError):
    """The configuration is wrong. ``problems``: a sentence each, with file, key, value and remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        count = f"{len(self.problems)} mistakes" if len(self.problems) > 1 else "mistake"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(f"  - {p}" for p in self.problems))


def load_config(files: Iterable[str | Path] = ()) -> Config:
    """The configuration of YAML files merged in order over the defaults; no files give the defaults.

    Raises:
        ConfigError: a file is missing or not YAML, or keys or values are wrong; names all of them.
    """
    settings, places = _merged(files)
    return _validated(settings, places)


def validate_config(settings: Mapping[str, Any], files: Iterable[str | Path] = ()) -> Config:
    """The configuration of an already merged mapping, such as Snakemake's ``config``.

    Args:
        settings: nested mapping of settings; what it leaves out keeps its default.
        files: the files that it came from (``workflow.configfiles``), read to say where a mistake stands.

    Raises:
        ConfigError: keys or values are wrong; names all of them.
    """
    return _validated(settings, places_of(settings, files))


def places_of(settings: Mapping[str, Any], files: Iterable[str | Path]) -> Place:
    """Where each key of an already merged mapping was set, by the files that it came from."""
    places: Place = {}
    for file in files:
        if Path(file).is_file():
            overlay, where = _read(Path(file))
            # Snakemake lists its files in another order than it merges them: a place counts if its value won
            places.update({key: place for key, place in where.items() if _at(overlay, key) == _at(settings, key)})
    return places


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``overlay`` on top: mappings are merged at every depth, all else is replaced."""
    result = dict(base)
    for key, value in overlay.items():
        old = result.get(key)
        if isinstance(value, Mapping):
            value = merge(old if isinstance(old, Mapping) else {}, value)
        result[key] = value
    return result


def lookup(config: Config, key: str) -> Any:
    """Value of a dotted key, e.g. ``experts.steps``; a section gives its mapping.

    Raises:
        ConfigError: no such key; names the nearest one.
    """
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise ConfigError([_unknown(key)])
        value = value[part]
    return value


def known_keys() -> list[str]:
    """Every dotted key of the configuration, sections and the members of fixed mappings included."""
    return list(_keys(Config, ""))


def _merged(files: Iterable[str | Path]) -> tuple[dict[str, Any], Place]:
    settings: dict[str, Any] = {}
    places: Place = {}
    problems: list[str] = []
    for file in files:
        try:
            overlay, where = _read(Path(file))
        except ConfigError as error:
            problems += error.problems
            continue
        settings = merge(settings, overlay)
        places.update(where)
    if problems:
        raise ConfigError(problems)
    return settings, places


def _read(path: Path) -> tuple[dict[str, Any], Place]:
    """Mapping of one YAML file, and the line of each dotted key in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], 1, 0.5)
        hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
        raise ConfigError([f"{path}: no such file{hint}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read as UTF-8 text ({error})"]) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        settings = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: not valid YAML ({' '.join(str(error).split())})"]) from None
    if settings is None:
        return {}, {}
    if not isinstance(settings, dict):
        raise ConfigError(
            [f"{path}: a {type(settings).__name__} ({_short(settings)}); expected settings as `key: value`"]
        )
    places: Place = {}
    problems: list[str] = []
    for key, line in _lines(node, ""):
        where = f"{path}, line {line}"
        if key in places:  # YAML would silently take the last of the two
            problems.append(f"{where}: {key}: set twice in this file (also at {places[key]}); keep one")
        places[key] = where
    if problems:
        raise ConfigError(problems)
    return settings, places


def _lines(node: Any, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _lines(value, f"{name}.")


def _validated(settings: Mapping[str, Any], places: Place) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        problems = [_sentence(dict(item), places) for item in error.errors()]
        raise ConfigError(list(dict.fromkeys(problems))) from None


def _sentence(error: dict[str, Any], places: Place) -> str:
    """One Pydantic error as a sentence: place, key, value seen, value wanted."""
    location = [part for part in error["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in location)
    message = str(error["msg"])
    if error["type"] == "extra_forbidden" or "[key]" in error["loc"]:
        return located(key, places) + _unknown(key)
    if error["type"] == "value_error":
        text = message.removeprefix("Value error, ")
        own = [
            f"{name}.{text}" for name in (key, key.rpartition(".")[0]) if f"{name}.{text.split(':')[0]}" in known_keys()
        ]
        if own:  # a check of a section, or of a field that names itself
            return located(own[0].split(":")[0], places) + own[0]
        return located(key or text.split(":")[0], places) + (f"{key}: {text}" if key else text)
    if error["type"] == "missing":
        return f"{located(key, places)}{key}: missing; add it"
    wanted = message.removeprefix("Input should be ").removeprefix("Value should be ")
    if error["type"] in {"model_type", "model_attributes_type"}:
        wanted = "settings below this key; remove the line to keep the defaults"
    return f"{located(key, places)}{key}: {_short(error['input'])}; expected {wanted}"


def _at(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, Mapping) else None
    return settings


def located(key: str, places: Place) -> str:
    """'configs/mini.yaml, line 12: ' for the key, or the nearest section around it, that was set; '' for none."""
    while key:
        if key in places:
            return f"{places[key]}: "
        key = key.rpartition(".")[0]
    return ""


def _unknown(key: str) -> str:
    if key in RENAMED:
        return f"{key}: now {RENAMED[key]}; write `{written(RENAMED[key])}`"
    if key in REMOVED:
        return f"{key}: removed, {REMOVED[key]}; delete the line"
    near = _nearest_of_item(key) or nearest_keys(key)
    return f"{key}: unknown" + (f"; did you mean {' or '.join(near)}?" if near else "; see docs/configuration.md")


def nearest_keys(key: str, count: int = 2) -> list[str]:
    """Known dotted keys most like ``key``: the same name elsewhere, else a sibling, else any alike."""
    known = known_keys()
    leaf = key.rpartition(".")[2]
    exact = [k for k in known if k.rpartition(".")[2] == leaf]
    if exact:  # right name, wrong section
        return sorted(exact, key=lambda k: -difflib.SequenceMatcher(None, key, k).ratio())[:count]
    parent = key.rpartition(".")[0]
    siblings = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == parent}
    match = difflib.get_close_matches(leaf, siblings, 1, 0.6)
    if match:
        return [siblings[match[0]]]
    whole = difflib.get_close_matches(key, known, 1, 0.7)
    if whole:
        return whole
    leaves = difflib.get_close_matches(leaf, {k.rpartition(".")[2] for k in known}, 1, 0.75)
    return [k for k in known if leaves and k.rpartition(".")[2] == leaves[0]][:count]


def _nearest_of_item(key: str) -> list[str]:
    """The key of a list's mapping that is most like ``SECTION.LIST.NUMBER.KEY``."""
    section, _, rest = key.partition(".")
    name, _, rest = rest.partition(".")
    number, _, leaf = rest.partition(".")
    fields = getattr(Config.model_fields.get(section), "annotation", None)
    field = getattr(fields, "model_fields", {}).get(name)
    kinds = get_args(field.annotation) if field is not None and number.isdigit() else ()
    names = [key for kind in kinds for key in getattr(kind, "model_fields", ())]
    return [f"{section}.{name}.{number}.{near}" for near in difflib.get_close_matches(leaf, names, 1, 0.5)]


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{prefix}{name}.")
        elif get_origin(kind) is dict:
            yield from (f"{prefix}{name}.{member}" for member in _members(get_args(kind)[0]))


def _members(kind: Any) -> tuple[Hashable, ...]:
    if get_origin(kind) in (Union, UnionType):
        return tuple(m for arg in get_args(kind) for m in _members(arg))
    return get_args(kind) if get_origin(kind) is Literal else ()


def _short(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
