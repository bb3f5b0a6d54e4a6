"""The page in headless Chromium, on a desktop and on a phone, with a server that is killed under it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from suti.ratings import sources
from suti.ratings.prepare import prepare
from suti.ratings.schemes import BINARY, PAIRWISE
from suti.ratings.store import Store
from suti.ratings.study import DATABASE, load
from tests.ratings.conftest import HOSTILE
from tests.ratings.serving import PATIENCE, Process

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
pytest.importorskip("playwright", reason="the browser is driven by playwright")
if CHROMIUM is None:
    pytest.skip("no chromium on the path", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


class Visit:
    """A page in a profile of its own, with what it asked for and complained of."""

    def __init__(self, browser: Any, process: Process, viewport: dict[str, int], **more: Any) -> None:
        self.context = browser.new_context(viewport=viewport, **more)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.goto(f"http://127.0.0.1:{process.port}/")

    def enter(self, name: str) -> None:
        self.page.locator("#rater").fill(name)
        self.page.locator("#enter button").click()
        self.settle()

    def settle(self, status: str | None = None) -> None:
        """Wait until the page takes answers again: it ignores them for a moment after each."""
        from playwright.sync_api import expect

        if status is not None:
            expect(self.page.locator("#status")).to_have_text(re.compile(status))
        expect(self.page.locator("#choices button:enabled, #end:visible").first).to_be_visible()
        self.page.wait_for_timeout(300)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.settle("^saved$")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()


@pytest.fixture
def process(material: sources.Material, tmp_path: Path) -> Iterator[Process]:
    prepare(material, BINARY, tmp_path / "study", checks=0, seed=5)
    running = Process(tmp_path / "study")
    running.start()
    yield running
    running.kill()


def stored(process: Process) -> list[tuple[str, str, str]]:
    store = Store(process.folder / DATABASE, load(process.folder).id)
    try:
        return [(a.rater, a.question, a.value) for a in store.all()]
    finally:
        store.close()


def test_a_study_on_a_desktop_by_keyboard_with_undo_resume_and_a_killed_server(browser: Any, process: Process) -> None:
    from playwright.sync_api import expect

    visit = Visit(browser, process, DESKTOP)
    page = visit.page
    visit.enter("Ann <b>")
    assert visit.text("#who") == "Ann <b>" and visit.text("#count") == "0 of 6"
    visit.press("y")
    visit.press("n")
    assert "1. subject: Yes" in visit.text("#steps") and "2. text: No" in visit.text("#steps")
    visit.press("u")
    assert "2. text" in visit.text("#steps") and "text: No" not in visit.text("#steps")
    assert stored(process) == [("Ann <b>", "subject", "1")]
    visit.press("1")
    visit.press("2")
    assert visit.text("#count") == "1 of 6"
    assert [row[1:] for row in stored(process)] == [("subject", "1"), ("text", "1"), ("realism", "0")]

    page.reload()  # the same tab goes on
    visit.settle("welcome back")
    assert visit.text("#count") == "1 of 6"
    assert visit.complaints == []

    process.kill()
    page.keyboard.press("y")
    expect(page.locator("#status")).to_contain_text("not saved", timeout=PATIENCE * 1000)
    expect(page.locator("#choices button").first).to_be_disabled()
    process.start()
    visit.settle("^saved$")
    assert len(stored(process)) == 4

    prompts = set()
    while page.locator("#desk").is_visible():
        prompts.add(visit.text("#prompt"))
        for image in page.locator("#references img, #candidates img").all():
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 24
        visit.press("y")
    assert HOSTILE in prompts, "shown as text"
    assert page.title() != "run" and page.locator("#desk b, img[src=x]").count() == 0
    assert "6 of 6 rated and saved, Ann <b>" in visit.text("#farewell")
    assert len(stored(process)) == 18
    assert visit.hosts == {f"127.0.0.1:{process.port}"}, "nothing is fetched from elsewhere"
    visit.context.close()


def test_a_double_click_answers_once_and_a_second_rater_is_another(browser: Any, process: Process) -> None:
    first, second = Visit(browser, process, DESKTOP), Visit(browser, process, PHONE, has_touch=True, is_mobile=True)
    first.enter("ann")
    second.enter("bob")
    first.page.locator("#choices button").first.dblclick()
    second.page.locator("#choices button").nth(1).tap()
    first.settle("^saved$")
    second.settle("^saved$")
    assert sorted(stored(process)) == [("ann", "subject", "1"), ("bob", "subject", "0")]
    first.page.locator("#leave").click()
    first.page.locator("#rater").fill("=1+1")
    first.page.locator("#enter button").click()
    first.page.locator("#refusal:has-text('letter or a digit')").wait_for()
    first.enter("bob")
    assert "1. subject: No" in first.text("#steps"), "a name goes on where it stopped, in any browser"
    first.context.close()
    second.context.close()


@pytest.mark.parametrize("scheme", [BINARY, PAIRWISE], ids=lambda scheme: scheme.name)
def test_answers_are_in_sight_and_large_enough_on_desktop_and_phones(
    browser: Any, material: sources.Material, tmp_path: Path, scheme: Any
) -> None:
    process = Process(prepare(material, scheme, tmp_path / "study", checks=0, seed=5).study.folder)
    process.start()
    try:
        visit = Visit(browser, process, DESKTOP)
        visit.enter("ann")
        for viewport in (DESKTOP, PHONE, {"width": 320, "height": 568}):
            visit.page.set_viewport_size(viewport)
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            for button in visit.page.locator("#choices button").all():
                box = button.bounding_box()
                assert box is not None and box["height"] >= 48 and box["width"] >= 48
                assert box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"]
                assert box["y"] + box["height"] <= viewport["height"], "answers are in sight"
            for image in visit.page.locator("#candidates img").all():
                box = image.bounding_box()
                assert box is not None and box["width"] >= 120
                assert box["width"] == pytest.approx(box["height"], abs=1)
        visit.context.close()
    finally:
        process.kill()
