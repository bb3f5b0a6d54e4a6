"""A checkout in which the whole workflow ran once on a very small configuration, and copies of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from suti.config.load import load_config, merge

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WARM = Path(__file__).parent / "warm"
SETTINGS = {
    "PYTHONHASHSEED": "0",
    "DVC_NO_ANALYTICS": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",  # a process that has seen CUDA cannot fork
    "PYTHONPATH": str(WARM),
}
MODELS = ("base", "captioner", "clip", "dino", "probe")


@dataclass
class Checkout:
    """A copy of the checkout at ``path``, whose config.yaml is the small configuration."""

    path: Path

    def call(self, *command: str, check: bool = True) -> str:
        """Run a program of the environment in the checkout; its output, standard error included."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    def snakemake(self, *arguments: str, cores: int = 2, check: bool = True) -> str:
        """Run the workflow."""
        profile = ("--workflow-profile", "profiles/default", "--cores", str(cores))
        return self.call("snakemake", *profile, *arguments, check=check)

    def refused(self, *arguments: str) -> str:
        """Output of a dry run that must end with an error in plain words."""
        profile = ("--workflow-profile", "profiles/default", "--cores", "2")
        command = ("snakemake", *profile, "--dry-run", *arguments)
        done = subprocess.run(
            command, cwd=self.path, env=environment(), capture_output=True, text=True, check=False
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == 1 and "Traceback" not in output, output[-6000:]
        return output

    def edit(self, file: str, old: str, new: str) -> None:
        """Change the first ``old`` of a file."""
        text = (self.path / file).read_text()
        assert old in text, f"{file} holds no {old!r}"
        (self.path / file).write_text(text.replace(old, new, 1))

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run lists (the target rule left out)."""
        return jobs(self.snakemake("--dry-run", *arguments))

    def configure(self, overlay: dict) -> None:
        """Change settings in config.yaml."""
        file = self.path / "config.yaml"
        file.write_text(yaml.safe_dump(merge(yaml.safe_load(file.read_text()), overlay), sort_keys=False))

    def tables(self) -> dict[str, bytes]:
        """Bytes of the tables that equal seeds must give again: all CSV but those that hold seconds."""
        results = self.path / "results"
        files = [
            *results.glob("tables/*.csv"),
            *results.glob("figures/*.csv"),
            *results.glob("metrics/*.parquet"),
        ]
        return {
            str(f.relative_to(results)): f.read_bytes() for f in files if f.name not in ("table2.csv", "claims.csv")
        }

    def kill_at(self, target: str, sign: str, timeout: float = 300) -> bool:
        """Make a target, and kill -9 all of it once a file like ``sign`` is written below the results.

        False if the run ended before that.
        """
        started = time.time_ns()
        run = subprocess.Popen(
            ["snakemake", "--workflow-profile", "profiles/default", "--cores", "1", "--", target],
            cwd=self.path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        seen = False
        while not seen and run.poll() is None and time.time_ns() < started + timeout * 1e9:
            with suppress(FileNotFoundError):  # written, listed, and gone again
                seen = any(f.stat().st_mtime_ns > started for f in (self.path / "results").glob(sign))
            time.sleep(0.02)
        running = run.poll() is None
        if running:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        return seen and running


def environment() -> dict[str, str]:
    """The environment of a user who activated the project's, without what pytest or git added."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTEST_", "COV_"))}
    return kept | SETTINGS | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def jobs(output: str) -> dict[str, int]:
    """Jobs of each rule in Snakemake's table of job statistics; empty when there was nothing to do."""
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", output, re.MULTILINE | re.DOTALL)
    if table is None:
        assert "Nothing to be done" in output, output[-6000:]
        return {}
    rows = (line.split() for line in table[1].splitlines())
    return {name: int(count) for name, count in rows if name != "all"}


def copy_checkout(target: Path) -> Checkout:
    """The checkout's files, ignored ones left out, with the small configuration as config.yaml."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    config = load_config([ROOT / "config.yaml", ROOT / "configs" / "test.yaml"]).model_dump(mode="json")
    (target / "config.yaml").write_text(yaml.safe_dump(config | {"results": "results"}, sort_keys=False))
    return Checkout(target)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The server that spares every script its imports; scripts that do not find it run by themselves."""
    if "SUTI_WARM" in os.environ or not hasattr(os, "pidfd_open"):
        yield  # one runs already, or cannot
        return
    address = tmp_path_factory.mktemp("warm") / "socket"
    command = [sys.executable, str(WARM / "server.py"), str(address), str(ROOT)]
    with subprocess.Popen(command, env=environment(), start_new_session=True) as server:
        while server.poll() is None and not address.exists():
            time.sleep(0.05)
        SETTINGS["SUTI_WARM"] = str(address)
        yield
        del SETTINGS["SUTI_WARM"]
        os.killpg(server.pid, signal.SIGKILL)  # with all that it forked


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkout]:
    """Makes copies of the checkout in which nothing ran yet."""
    for name in MODELS:
        if not (ROOT / "resources" / "models" / name).is_dir():
            pytest.skip(f"resources/models/{name} is missing: `make models` trains it")
    return lambda name: copy_checkout(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def finished(fresh: Callable[[str], Checkout], warm: None) -> Checkout:
    """The workflow, run once; not to be changed."""
    checkout = fresh("finished")
    checkout.snakemake()
    return checkout


@pytest.fixture
def workflow(finished: Checkout, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of the finished run with its records, free to be changed."""
    target = tmp_path / "checkout"
    shutil.copytree(finished.path, target, symlinks=True)
    yield Checkout(target)
    shutil.rmtree(target)
