"""The page: layout, and which action each control calls."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr

from suti.app import actions, style
from suti.app.actions import MAX_DRAWN, MAX_GUIDANCE, MAX_PICTURES, MAX_STEPS, MAX_TEXT, Problem, Subject
from suti.app.examples import Example
from suti.diffusion.settings import Sampling
from suti.generation.studio import Studio
from suti.io.images import SUFFIXES

MAX_SEED = 2**31 - 1
# one drawing or captioning at a time, whoever asks: they share the models and the processor
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": "models", "concurrency_limit": 1, "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Defaults:
    """What the controls show at first, and limits; from the configuration.

    Attributes:
        model: name of the apprentice, for the heading.
        sampling, seed: of ``evaluation`` and the root.
        max_pixels: largest upload that is decoded, width x height.
    """

    model: str
    sampling: Sampling
    seed: int
    max_pixels: int


class Page:
    """``blocks`` is the page, ready for ``launch``. ``folder`` receives the drawn files."""

    def __init__(self, studio: Studio, defaults: Defaults, examples: Sequence[Example], folder: Path) -> None:
        self.studio, self.defaults, self.examples, self.folder = studio, defaults, examples, folder
        self.stops: dict[str, Event] = {}  # of the visitors who wait for pictures, by session
        self.blocks = gr.Blocks(title=style.TITLE, analytics_enabled=False, delete_cache=(3600, 24 * 3600))
        with self.blocks:
            self._lay_out()
            self._connect()

    def _lay_out(self) -> None:
        base = getattr(self.studio.pipeline, "base", None)
        self.subject = gr.State(Subject())
        has_stage = self.studio.super_resolution is not None
        gr.HTML(style.header(self.defaults.model, getattr(base, "image_size", None), has_stage), elem_id="head")
        with gr.Row(equal_height=False, elem_id="columns"):
            with gr.Column(scale=5, min_width=320):
                self._subject_controls()
                self._prompt_controls()
            with gr.Column(scale=5, min_width=320, elem_id="results"):
                gr.HTML(style.step(3, "Pictures drawn"))
                self.result = gr.Gallery(
                    label="Pictures drawn", show_label=False, columns=2, height="auto", object_fit="contain",
                    format="png", interactive=False, buttons=["download", "fullscreen"], elem_id="result",
                )  # fmt: skip
                self.status = gr.HTML(style.hint("They appear here. Click one to enlarge or download it."))

    def _subject_controls(self) -> None:
        gr.HTML(style.step(1, "Pictures of one subject", "The centre square of each is used. Captions can be edited."))
        self.files = gr.File(
            label="Pictures of one subject", show_label=False, file_count="multiple", file_types=sorted(SUFFIXES),
            height=76, elem_id="files",
        )  # fmt: skip
        self.upload_alert = gr.HTML(visible=False, elem_id="upload-alert")
        self.cards, self.thumbs, self.captions, self.removes = [], [], [], []
        for number in range(1, MAX_PICTURES + 1):
            with gr.Row(visible=False, elem_classes="card") as card:
                self.thumbs.append(
                    gr.Image(
                        format="png", interactive=False, show_label=False, container=False, height=64, width=64,
                        buttons=[], elem_classes="thumb", alt_text=f"picture {number}", scale=0, min_width=64,
                    )
                )  # fmt: skip
                self.captions.append(
                    gr.Textbox(
                        label=f"Caption {number}", show_label=False, container=False, max_lines=4,
                        max_length=MAX_TEXT, min_width=120, scale=8, placeholder="what the picture shows",
                    )
                )  # fmt: skip
                self.removes.append(gr.Button("✕", size="sm", scale=0, min_width=36, elem_classes="remove"))
            self.cards.append(card)
        self.clear = gr.Button("Remove all", size="sm", visible=False, elem_id="clear")
        with gr.Column(visible=bool(self.examples)) as self.example_box:
            gr.HTML(style.hint("No pictures at hand? Take one of these:"))
            self.example_gallery = gr.Gallery(
                [(example.thumbnail(), example.name) for example in self.examples], show_label=False, columns=4,
                height="auto", allow_preview=False, interactive=False, buttons=[], format="png", elem_id="examples",
            )  # fmt: skip

    def _prompt_controls(self) -> None:
        gr.HTML(style.step(2, "What to draw"))
        self.prompt = gr.Textbox(
            label="Prompt", placeholder="a backpack in the snow", lines=1, max_lines=3, max_length=MAX_TEXT,
            elem_id="prompt",
        )  # fmt: skip
        with gr.Row(elem_classes="ideas"):
            self.ideas = [gr.Button(visible=False, size="sm") for _ in actions.SCENES]
        with gr.Row(elem_classes="numbers"):
            self.count = gr.Slider(
                1, MAX_DRAWN, value=4, step=1, precision=0, label="Pictures", buttons=[], scale=4, min_width=180
            )
            self.seed = gr.Number(
                self.defaults.seed, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="seed",
                scale=2, min_width=110,
            )  # fmt: skip
            self.dice = gr.Button("New seed", size="md", scale=1, min_width=100)
        gr.HTML(style.hint("Equal seeds draw equal pictures."))
        with gr.Accordion("More settings", open=False):
            self.guidance = gr.Slider(
                0, MAX_GUIDANCE, value=self.defaults.sampling.guidance_scale, step=0.5, label="Guidance by the prompt",
                info="How closely to follow the text; 1 is none, too much gives harsh colours",
            )  # fmt: skip
            own = self.defaults.sampling.demonstration_guidance_scale
            self.demonstration_guidance = gr.Slider(
                0, MAX_GUIDANCE, value=self.defaults.sampling.guidance_scale if own is None else own, step=0.5,
                label="Guidance by the pictures", info="How closely to follow the subject in your pictures",
            )  # fmt: skip
            self.steps = gr.Slider(
                1, MAX_STEPS, value=self.defaults.sampling.num_inference_steps, step=1, precision=0, label="Steps",
                info="More take longer and draw finer",
            )  # fmt: skip
            has_stage = self.studio.super_resolution is not None
            self.upscale = gr.Checkbox(has_stage, label="Enlarge with super-resolution", visible=has_stage)
        self.draw_alert = gr.HTML(visible=False, elem_id="draw-alert")
        with gr.Row():
            self.button = gr.Button("Draw", variant="primary", elem_id="draw", scale=3)
            self.stop = gr.Button("Stop", variant="stop", elem_id="stop", scale=1, min_width=90, visible=False)

    def _connect(self) -> None:
        given = [self.subject, *self.captions]
        shown = [
            self.subject, *self.cards, *self.thumbs, *self.captions, self.clear, *self.ideas, self.prompt,
            self.upload_alert, self.draw_alert,
        ]  # fmt: skip
        self.files.upload(
            self._add, [self.files, self.prompt, *given], [self.files, *shown],
            show_progress_on=[self.files], **ONE_AT_A_TIME,
        )  # fmt: skip
        self.example_gallery.select(self._take_example, None, shown, **AT_ONCE)
        for index, button in enumerate(self.removes):
            button.click(partial(self._remove, index), [self.prompt, *given], shown, **AT_ONCE)
        self.clear.click(lambda: self._show(Subject(), ""), None, shown, **AT_ONCE)
        for button in self.ideas:
            button.click(lambda text: text, button, self.prompt, **AT_ONCE)
        self.dice.click(lambda: random.randrange(MAX_SEED), None, self.seed, **AT_ONCE)
        started = gr.on(
            [self.button.click, self.prompt.submit], self._start, None, self.stop, js=style.SHOW_RESULTS, **AT_ONCE
        )
        self.stop.click(self._stop, None, self.stop, queue=False, **AT_ONCE)
        drawn = started.then(
            self._draw,
            [
                self.prompt,
                self.count,
                self.seed,
                self.guidance,
                self.demonstration_guidance,
                self.steps,
                self.upscale,
                *given,
            ],
            [self.result, self.status, self.draw_alert],
            show_progress_on=[self.result],
            **ONE_AT_A_TIME,
        )
        drawn.then(lambda: gr.Button(visible=False), None, self.stop, **AT_ONCE)

    def _start(self, request: gr.Request) -> Any:
        self.stops[str(request.session_hash)] = Event()
        return gr.Button(value="Stop", interactive=True, visible=True)

    def _stop(self, request: gr.Request) -> Any:
        if (event := self.stops.get(str(request.session_hash))) is not None:
            event.set()
        return gr.Button(value="Stopping", interactive=False)

    def _add(self, paths: list[str] | None, prompt: str, subject: Subject, *captions: str) -> list[Any]:
        edited = subject.with_captions(captions)
        more, problems = actions.add_pictures(edited, paths or [], self.studio, max_pixels=self.defaults.max_pixels)
        return [None, *self._show(more, prompt, problems)]  # None empties the drop zone for the next files

    def _take_example(self, event: gr.SelectData) -> list[Any]:
        taken = self.examples[int(event.index)]
        # another example is another thing: its own prompt
        return self._show(actions.example(taken.pictures, taken.captions, self.studio), "")

    def _remove(self, index: int, prompt: str, subject: Subject, *captions: str) -> list[Any]:
        return self._show(subject.with_captions(captions).without(index), prompt)

    def _show(self, subject: Subject, prompt: str, problems: Sequence[str] = ()) -> list[Any]:
        """Values of ``shown``: cards of the subject, prompts to start from, and what went wrong."""
        count, padding = len(subject.pictures), MAX_PICTURES - len(subject.pictures)
        ideas = actions.ideas(subject.captions)
        return [
            subject,
            *[gr.Row(visible=number < count) for number in range(MAX_PICTURES)],
            *subject.pictures, *[None] * padding,
            *subject.captions, *[""] * padding,
            gr.Button(visible=count > 0),
            *[gr.Button(value=idea, visible=True) for idea in ideas],
            *[gr.Button(visible=False)] * (len(actions.SCENES) - len(ideas)),
            prompt or (ideas[0] if ideas else ""),
            gr.HTML(value=style.alert(problems), visible=bool(problems)),
            gr.HTML(visible=False),
        ]  # fmt: skip

    def _draw(
        self, prompt: str, count: float, seed: float, guidance: float, demonstration_guidance: float, steps: float,
        upscale: bool, subject: Subject, request: gr.Request, *captions: str, progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio's own protocol)
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        def report(done: int, total: int, doing: str) -> None:
            progress((done, total), desc=doing, unit="steps")

        try:
            wish = actions.wish_of(
                prompt, guidance, demonstration_guidance, steps, seed, upscale=upscale,
                otherwise=self.defaults.sampling,
            )  # fmt: skip
            stop = self.stops.get(str(request.session_hash))
            drawn = actions.draw(self.studio, subject.with_captions(captions), wish, count, self.folder, report, stop)
        except Problem as problem:
            return gr.skip(), gr.skip(), gr.HTML(value=style.alert([str(problem)]), visible=True)
        finally:
            self.stops.pop(str(request.session_hash), None)
        if not drawn:
            return gr.skip(), style.hint("Stopped before the first picture was finished."), gr.HTML(visible=False)
        several = f"{len(drawn)} pictures" if len(drawn) > 1 else "One picture"
        several += f" (stopped; {int(count)} were asked for)" if len(drawn) < count else ""
        status = style.hint(f"{several} of “{wish.prompt}”, seed {wish.seed}. Click one to enlarge or download it.")
        return [(str(d.path), d.prompt) for d in drawn], status, gr.HTML(visible=False)


def serve(page: Page, host: str, port: int, *, open_browser: bool) -> None:
    """Serve the page until interrupted. Nothing is shared, counted or fetched from elsewhere.

    Raises:
        OSError: the port is taken.
    """
    plain = "*body_text_color"
    theme = gr.themes.Soft(
        primary_hue="indigo", neutral_hue="slate", spacing_size="sm", font=style.FONTS, font_mono=style.MONO
    ).set(
        block_title_background_fill="none", block_title_background_fill_dark="none", block_title_padding="0",
        block_title_text_color=plain, block_title_text_color_dark=plain, body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400", block_padding="4px 0", block_background_fill="transparent",
        block_background_fill_dark="transparent", block_shadow="none", block_border_width="0",
        input_border_width="1px", input_border_color="*neutral_300",
    )  # fmt: skip
    page.blocks.queue(default_concurrency_limit=4).launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        footer_links=[],
        ssr_mode=False,
        enable_monitoring=False,
        max_file_size="100mb",
        show_error=True,
        theme=theme,
        css=style.CSS,
    )
    print(f"suti app: http://{_address(host)}:{port}  (Ctrl-C stops it)", flush=True)
    page.blocks.block_thread()


def _address(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
