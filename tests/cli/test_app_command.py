"""``suti app``: options and clear messages; nothing is served here (``tests/app/test_page.py`` does that)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from suti.cli import app
from suti.cli.main import main
from suti.generation import studio


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A trained run as current folder, models and page as stand-ins; what was served, with how."""
    folder = tmp_path / "results" / "apprentice" / "q0.4"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (tmp_path / "config.yaml").write_text("models: {super_resolution: null}\nevaluation: {guidance_scale: 7}\n")
    monkeypatch.chdir(tmp_path)
    for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # so that it is restored
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(studio, "load_pipeline", lambda folder, compute: SimpleNamespace())
    monkeypatch.setattr(studio, "load_captioner", lambda spec, compute: spec)
    result: list[Any] = []
    page = ModuleType("suti.app.page")
    page.Defaults = lambda **values: values  # type: ignore[attr-defined]
    page.Page = lambda models, defaults, examples, folder: (models, defaults, examples, folder)  # type: ignore[attr-defined]
    page.serve = lambda page, host, port, open_browser: result.append((page, host, port, open_browser))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "suti.app.page", page)
    return result


def test_this_machine_alone_unless_asked(served: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "--no-browser"]) == 0
    (models, defaults, examples, folder), host, port, open_browser = served[0]
    assert (host, port, open_browser) == ("127.0.0.1", 7860, False)
    assert (defaults["model"], defaults["sampling"].guidance_scale) == ("results/apprentice/q0.4", 7)
    assert models.super_resolution is None
    assert len(examples) == 4
    assert not folder.exists(), "removed at the end"
    assert "warning" not in capsys.readouterr().err


def test_other_hosts_are_warned_of(served: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "--host", "0.0.0.0", "--port", "8000", "--no-examples"]) == 0
    (_, _, examples, _), host, port, open_browser = served[0]
    assert (examples, host, port, open_browser) == ([], "0.0.0.0", 8000, True)
    assert "warning: --host 0.0.0.0: everyone who can reach this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.4", False), ("my-machine", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert app.is_loopback(host) is loopback


def test_remedies_are_named(
    served: list[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["app", "--model", "nowhere"]) == 2
    assert "--model: nowhere: no such folder; expected an apprentice" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["app"]) == 2
    assert "suti app needs gradio; install it with `make setup`" in capsys.readouterr().err
    assert served == []


@pytest.mark.parametrize("port", ["0", "70000", "x", "-1"])
def test_bad_ports_are_refused(served: list[Any], port: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["app", "--port", port])
    assert stop.value.code == 2
