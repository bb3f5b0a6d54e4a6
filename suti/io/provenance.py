"""Where a number or a model comes from: command, settings, code version, software, hardware, seconds."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch", "numpy")


def code_version() -> str:
    """What SUTI_CODE_VERSION says, else the git commit of the code, with '+' if files differ from it.

    The variable is for code that was copied without its history, perhaps into another project's checkout, whose commit
    says nothing about it. Without either: 'unknown'.
    """
    if told := os.environ.get("SUTI_CODE_VERSION"):
        return told
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=here, capture_output=True, text=True)
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return (commit.stdout.strip() or "unknown") + ("+" if changed.stdout.strip() else "")


def hardware() -> str:
    """CPU model, number of cores, and the GPU if there is one that this process can have used."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line), cpu
        )
    torch = sys.modules.get("torch")  # loading it takes seconds, and who has not loaded it used no GPU
    gpu = f", {torch.cuda.get_device_name(0)}" if torch is not None and torch.cuda.is_available() else ""
    return f"{cpu}, {os.cpu_count()} cores{gpu}"


def settings_hash(settings: Any) -> str:
    """Twelve hex digits of the settings, as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:12]


def provenance(settings: dict[str, Any], seconds: float, **figures: Any) -> dict[str, Any]:
    """Record for a provenance.json: how a result was made, and the figures that go with it."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "command": " ".join(Path(a).name if i == 0 else a for i, a in enumerate(sys.argv)),
        "settings": settings,
        "settings_hash": settings_hash(settings),
        "code_version": code_version(),
        "python": platform.python_version(),
        "versions": versions,
        "hardware": hardware(),
        "seconds": round(seconds, 1),
        **figures,
    }
