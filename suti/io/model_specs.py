"""How a configuration names a model: a local folder, or a hub id ``owner/name``; for an encoder, with its library.

- a base, a captioner, an apprentice and the like: ``FOLDER`` or ``owner/name``
- an encoder: ``open_clip:MODEL/PRETRAINED`` (``open_clip:ViT-L-14/openai``), ``open_clip:local-dir:FOLDER``,
  ``open_clip:hf-hub:ID``, or ``transformers:ID_OR_FOLDER``

Nothing heavy is imported here, so the plan of the workflow checks these names before a job starts.
"""

from __future__ import annotations

import re
from pathlib import Path

OPEN_CLIP, TRANSFORMERS = "open_clip:", "transformers:"
LOCAL_DIR, HF_HUB = "local-dir:", "hf-hub:"
SPEC_FORMS = "open_clip:MODEL/PRETRAINED, open_clip:local-dir:FOLDER, open_clip:hf-hub:ID or transformers:ID_OR_FOLDER"
REMEDY = "give a folder made by save_pretrained, a hub id (owner/name), or train the small models with `make models`"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def model_folder(spec: str | None) -> Path | None:
    """The local folder that a spec names, there or not; None for no model, a hub id, or a name of open_clip's.

    A hub id has the form ``owner/name``. Anything that starts with '.', '/', '~', 'results/' or 'resources/', or has
    another number of '/', is a path, and so is every folder that exists.
    """
    if not spec:
        return None
    if spec.startswith(OPEN_CLIP):
        name = spec.removeprefix(OPEN_CLIP)
        return Path(name.removeprefix(LOCAL_DIR)) if name.startswith(LOCAL_DIR) else None
    name = spec.removeprefix(TRANSFORMERS)
    path = Path(name).expanduser()
    is_path = name.startswith((".", "/", "~", "results/", "resources/")) or name.count("/") != 1
    return path if is_path or path.is_dir() else None


def is_hub_id(name: str) -> bool:
    """Whether a name has the form ``owner/name``."""
    return _HUB_ID.fullmatch(name) is not None


def check_model_spec(spec: str, field: str) -> None:
    """Raise if ``spec`` looks like a local path and no folder is there (see ``model_folder``).

    Raises:
        FileNotFoundError: names the setting, the folder and the remedy.
    """
    folder = model_folder(spec)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"{field}: model folder {spec!r} does not exist; {REMEDY}")
