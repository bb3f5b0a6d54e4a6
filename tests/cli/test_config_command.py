"""``suti config``: show, write, check."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from suti.cli.main import main
from suti.config import document
from suti.config.load import load_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with config.yaml and an overlay, as current folder."""
    (tmp_path / "config.yaml").write_text("seed: 7\nexperts: {steps: 3}\n")
    (tmp_path / "over.yaml").write_text("experts: {steps: 5}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["config", "--show", *arguments]) == 0
    return capsys.readouterr().out


def test_show_prints_what_can_be_read_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "merged.yaml").write_text(shown(capsys, "--configfile", "over.yaml"))
    assert load_config(["merged.yaml"]) == load_config(["config.yaml", "over.yaml"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("experts.steps", "--configfile", "over.yaml"),
        ("experts.steps", "--configfile", "config.yaml", "over.yaml"),
        ("--configfile", "over.yaml", "experts.steps"),
        ("--configfile", "config.yaml", "over.yaml", "experts.steps"),
    ],
)
def test_show_one_value(project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert shown(capsys, *arguments) == "5\n"


def test_show_a_section_and_a_list(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yaml.safe_load(shown(capsys, "compute")) == {
        "threads": 1,
        "device": "auto",
        "precision": "auto",
        "compile": False,
    }
    assert shown(capsys, "filtering.grid") == "[none, q0.4]\n"
    assert shown(capsys, "seed") == "7\n", "config.yaml of the current folder is read"


def test_mistakes_go_to_stderr_and_leave_stdout_empty(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "bad.yaml").write_text("experts: {guidence_scale: 1}\n")
    assert main(["config", "--show", "--configfile", "bad.yaml"]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert "bad.yaml, line 1: experts.guidence_scale: unknown; did you mean experts.guidance_scale?" in error


def test_check_passes_on_this_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--check", "--root", str(ROOT)]) == 0


def test_check_names_what_drifted_and_write_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    root = ["--root", str(tmp_path)]
    assert main(["config", "--write", *root]) == 0
    assert main(["config", "--check", *root]) == 0
    (tmp_path / document.REFERENCE).write_text("edited by hand\n")
    capsys.readouterr()
    assert main(["config", "--check", *root]) == 1
    assert capsys.readouterr().err.startswith("docs/configuration.md: differs")
    assert main(["config", "--write", *root]) == 0
    assert main(["config", "--check", *root]) == 0


def test_write_refuses_a_folder_that_is_no_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--write", "--root", str(tmp_path)]) == 2
    assert "no pyproject.toml" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [[], ["config"], ["generate"]])
def test_help_has_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"suti {command[0] if command else 'generate'} --" in text
    assert max(map(len, text.splitlines())) <= 120
