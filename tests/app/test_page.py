"""The page in a real browser: ``suti app`` as a process, driven in headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from suti.app.examples import world_examples
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.pipeline import SuTIPipeline
from tests.tiny import tiny_base

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 120
"""Seconds after which something is taken as stuck; a busy machine needs many."""
MARKUP = "<img src=x onerror=\"document.title='run'\"> ${document.title='run'}"

pytest.importorskip("gradio", reason="the page needs gradio")
pytest.importorskip("playwright", reason="the browser is driven by playwright")
if CHROMIUM is None:
    pytest.skip("no chromium on the path", allow_module_level=True)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a served page with an untrained apprentice and the shipped captioner."""
    folder = tmp_path_factory.mktemp("app")
    base = tiny_base()
    SuTIPipeline(
        ApprenticeUNet.from_base(base.unet, "random"), base.text_encoder, base.tokenizer, base.scheduler
    ).save_pretrained(folder / "apprentice")
    (folder / "small.yaml").write_text(
        "models: {super_resolution: null}\nevaluation: {num_inference_steps: 3}\npages: {max_pixels: 100000}\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "suti.cli.main", "app", "--no-browser", "--port", str(port),
        "--model", str(folder / "apprentice"), "--configfile", str(folder / "small.yaml"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in process.stdout:  # ends with the process
            lines.append(line)
            if "http://" in line:
                break
        assert f"http://127.0.0.1:{port}" in lines[-1]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert [p.name for p in folder.glob("suti-app-*")] == [], "uploads are removed at the end"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(app: str, browser: Any) -> Iterator[SimpleNamespace]:
    """The opened page, and the hosts that it asked for anything."""
    page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE * 1000)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(app)
    page.locator("#draw").wait_for()
    yield SimpleNamespace(page=page, hosts=hosts)
    page.close()


def upload(page: Page, *files: Path) -> None:
    page.locator("#files input[type=file]").set_input_files([str(f) for f in files])


def captions(page: Page) -> Any:
    return page.locator(".card:visible textarea, .card:visible input[type=text]")


def test_upload_caption_draw_and_gallery(app: str, visit: SimpleNamespace, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit.page
    files = [tmp_path / f"{n}.png" for n in range(2)]
    for file, picture in zip(files, world_examples(["backpack"])[0].pictures, strict=False):
        Image.fromarray(picture).save(file)
    upload(page, *files)
    expect(captions(page)).to_have_count(2, timeout=PATIENCE * 1000)
    expect(captions(page).first).to_have_value(re.compile("backpack"), timeout=PATIENCE * 1000)
    expect(page.locator("#prompt textarea, #prompt input")).to_have_value("a backpack in the snow")

    captions(page).first.fill(MARKUP)
    page.locator("#prompt textarea, #prompt input").fill(f"a teapot {MARKUP}")
    page.locator("#draw").click()
    expect(page.locator("#result img")).to_have_count(4, timeout=PATIENCE * 1000)
    assert all(
        image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 16
        for image in page.locator("#result img").all()
    )
    with urllib.request.urlopen(page.locator("#result img").first.get_attribute("src")) as answer:
        assert b"suti" in answer.read(), "the file keeps how it was drawn"
    assert page.title() != "run", "captions and prompts are text"
    assert page.locator("img[src=x]").count() == 0
    assert visit.hosts <= {urlsplit(app).netloc, ""}, "nothing is fetched from elsewhere ('': data and blob)"


def test_broken_uploads_are_named_and_drawing_needs_pictures(visit: SimpleNamespace, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit.page
    page.locator("#prompt textarea, #prompt input").fill("a teapot")
    page.locator("#draw").click()
    expect(page.locator("#draw-alert")).to_contain_text("Add 1 to 5 pictures", timeout=PATIENCE * 1000)
    broken, large = tmp_path / "broken <b>.png", tmp_path / "large.png"
    broken.write_bytes(b"I am text")
    Image.new("1", (1000, 1000)).save(large)
    upload(page, broken, large)
    message = page.locator("#upload-alert")
    expect(message).to_contain_text("cannot be read as a picture", timeout=PATIENCE * 1000)
    expect(message).to_contain_text("large.png: too large (1000 x 1000 pixels")
    assert captions(page).count() == 0


def test_an_example_can_be_taken_and_removed(visit: SimpleNamespace) -> None:
    from playwright.sync_api import expect

    page = visit.page
    page.locator("#examples button").first.click()
    expect(captions(page)).to_have_count(4, timeout=PATIENCE * 1000)
    kept = captions(page).nth(1).input_value()
    page.locator(".card:visible .remove").first.click()
    expect(captions(page)).to_have_count(3, timeout=PATIENCE * 1000)
    expect(captions(page).first).to_have_value(kept)
    page.locator("#clear").click()
    expect(captions(page)).to_have_count(0, timeout=PATIENCE * 1000)


def test_stop_ends_a_drawing_and_the_next_one_works(visit: SimpleNamespace) -> None:
    from playwright.sync_api import expect

    page = visit.page
    page.locator("#examples button").first.click()
    expect(captions(page)).to_have_count(4, timeout=PATIENCE * 1000)
    expect(page.locator("#stop")).to_be_hidden()
    page.get_by_text("More settings").click()
    steps = page.get_by_label("number input for Steps")
    steps.fill("250")
    steps.blur()
    # The slider shows when the page has taken the number: a click before would draw by the few steps of before.
    expect(page.get_by_label("range slider for Steps")).to_have_value("250", timeout=PATIENCE * 1000)
    page.locator("#draw").click()
    page.locator("#stop").click()
    expect(page.locator("#results")).to_contain_text("topped", timeout=PATIENCE * 1000)  # "Stopped" or "(stopped; ..."
    expect(page.locator("#stop")).to_be_hidden(timeout=PATIENCE * 1000)
    finished = page.locator("#result img").count()
    assert finished < 4
    steps.fill("2")
    steps.blur()
    page.locator("#draw").click()
    expect(page.locator("#result img")).to_have_count(4, timeout=PATIENCE * 1000)
    expect(page.locator("#results")).not_to_contain_text("topped")
