"""``suti app``: a page in the browser that draws a subject of a few pictures."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
from pathlib import Path

from suti.cli.config import read
from suti.diffusion.settings import Sampling
from suti.generation import studio
from suti.io.addresses import is_loopback

DESCRIPTION = """
Open a page on which one drops 1 to 5 pictures of a subject, edits their suggested captions, and draws it in new
scenes. Subjects of the rendered world are on the page to try at once. Nothing is fine-tuned, nothing leaves this
machine: the page loads nothing from elsewhere, and uploads are deleted when the command ends.
"""

EPILOG = """
examples:
  suti app                                          the apprentice of `make run`, on http://127.0.0.1:7860
  suti app --model results/apprentice/none          another apprentice of the lambda ablation
  suti app --configfile configs/sd15.yaml --port 8000 --no-browser

  on a machine without a screen (then open http://127.0.0.1:7860 at home):
    ssh -L 7860:127.0.0.1:7860 MACHINE "cd suti && .venv/bin/suti app --no-browser"

  for all who can reach this machine, with no password:
    suti app --host 0.0.0.0

Guidance, steps, thresholding and seed start as the configuration sets them. A drawn PNG keeps how it was drawn
(key "suti"). `suti generate` does the same without a browser.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "app",
        help="a page in the browser: drop pictures, draw their subject",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", type=Path, help="apprentice folder (default: results/apprentice/LAMBDA of the configuration)")
    add("--configfile", nargs="+", default=[], metavar="FILE", help="YAML files, merged in order over config.yaml")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    add("--port", type=_port, default=7860, help="port to listen on (default: 7860)")
    add(
        "--browser",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="open the page in the browser (default: yes)",
    )
    add(
        "--examples",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="offer subjects of the rendered world to try (default: yes)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand until it is interrupted; returns the exit status."""
    config = read(options.configfile)
    folder = studio.model_folder(options.model, config)
    if importlib.util.find_spec("gradio") is None:
        raise ValueError("suti app needs gradio; install it with `make setup`, or pip install 'gradio>=6'")
    if not is_loopback(options.host):
        print(
            f"suti app: warning: --host {options.host}: everyone who can reach this machine can open the page, "
            "upload pictures and use its processor; there is no password",
            file=sys.stderr,
        )
    with tempfile.TemporaryDirectory(prefix="suti-app-") as place:
        # read by gradio when it is imported: uploads below our own folder, no reports to anybody
        os.environ.update(GRADIO_TEMP_DIR=f"{place}/gradio", GRADIO_ANALYTICS_ENABLED="False")
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        from suti.app.examples import world_examples
        from suti.app.page import Defaults, Page, serve

        print(f"suti app: loading {folder}", flush=True)
        pipeline = studio.load_pipeline(folder, config.compute)
        models = studio.Studio(
            pipeline,
            studio.load_upscaler(config.models.super_resolution, config.compute, pipeline),
            studio.load_captioner(config.models.captioner, config.compute),
            config.captions.max_new_tokens,
        )
        defaults = Defaults(
            model=str(folder),
            sampling=Sampling.of(config.evaluation),
            seed=config.seed,
            max_pixels=config.pages.max_pixels,
        )
        drawn = Path(place) / "drawn"
        drawn.mkdir()
        page = Page(models, defaults, world_examples() if options.examples else [], drawn)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # uploads are removed then, too
        serve(page, options.host, options.port, open_browser=options.browser)
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a port from 1 to 65535")
    return int(text)
