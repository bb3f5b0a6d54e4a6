"""Checkpoints of the apprentice's training: one file each (suti/io/state.py), the newest few kept."""

from __future__ import annotations

from pathlib import Path

PATTERN = "step-*.safetensors"


def checkpoint_path(folder: Path, step: int) -> Path:
    """File of a step's checkpoint."""
    return folder / f"step-{step:08d}.safetensors"


def newest_first(folder: Path) -> list[Path]:
    """Checkpoints of a folder; none if it is absent."""
    return sorted(folder.glob(PATTERN), reverse=True)


def rotate(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints."""
    for path in newest_first(folder)[keep:]:
        path.unlink(missing_ok=True)
