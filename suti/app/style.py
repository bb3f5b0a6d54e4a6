"""Looks of the page. Fonts are the visitor's own: nothing is fetched from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

TITLE = "SuTI: draw a subject from a few pictures"
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")

# Gradio's galleries and drop zones have fixed heights and columns, which phones and few pictures do not need.
CSS = """
.gradio-container {max-width: 1180px !important; margin: 0 auto !important; padding: 0 !important}
.gradio-container .main {padding: 8px 14px 40px !important}
#head h1 {font-size: 1.7rem; font-weight: 700; margin: 10px 0 4px; letter-spacing: -.01em}
#head p {margin: 0 0 2px; max-width: 75ch}
.step {display: flex; align-items: center; gap: 10px; font-size: 1.08rem; font-weight: 650; margin: 6px 0 2px}
.step b {display: inline-grid; place-items: center; width: 1.65em; height: 1.65em; border-radius: 50%;
  background: var(--primary-600); color: white; font-size: .9rem}
.hint {color: var(--body-text-color-subdued); font-size: .88rem; margin: 0}
.alert {border-left: 4px solid #d97706; background: color-mix(in srgb, #f59e0b 14%, transparent); border-radius: 6px;
  padding: 8px 12px; font-size: .92rem; overflow-wrap: anywhere}
.alert p {margin: 2px 0}
.card {align-items: center !important; gap: 10px !important; flex-wrap: nowrap !important}
.card .thumb {flex: 0 0 64px !important; min-width: 64px !important; border: 0; background: none; padding: 0}
.card .thumb .image-container, .card .thumb button {width: 64px !important; min-width: 0 !important}
.card .thumb .icon-button-wrapper {display: none}
.card textarea {border: 1px solid var(--input-border-color) !important; border-radius: 6px; padding: 6px 8px !important}
.card .thumb img {border-radius: 8px; width: 64px; height: 64px; object-fit: cover}
.card .remove {flex: 0 0 36px !important; min-width: 36px !important; padding: 0 !important; height: 36px}
.ideas {gap: 6px !important; flex-wrap: wrap !important}
.ideas button {flex: 0 1 auto !important; width: auto !important; min-width: 0 !important; border-radius: 999px;
  font-weight: 400; padding: 4px 12px; white-space: normal; text-align: left}
.numbers {align-items: flex-end !important}
.html-container, .html-container .prose {padding: 0 !important; margin: 0 !important}
.form {background: none !important; border: 0 !important; box-shadow: none !important; gap: 12px !important}
.gradio-container, .gradio-container .main, .gradio-container .wrap, .contain, #columns {overflow: visible !important}
#files {border: 1.5px dashed var(--input-border-color) !important}
#files .upload-container {height: 76px !important}
#files .upload-container .wrap {min-height: 0 !important; flex-direction: row; gap: 8px; font-size: 1rem}
#examples, #examples .grid-wrap {background: none; border: 0}
#examples .grid-wrap, #result .grid-wrap {padding: 0 !important; min-height: 0 !important;
  max-height: none !important; overflow: visible}
#examples .grid-container {grid-template-columns: repeat(4, minmax(0, 1fr)) !important; gap: 8px}
#examples .caption-label {left: 4px; right: auto; bottom: 4px; padding: 1px 7px; font-size: .78rem}
#examples button {cursor: pointer}
#result {min-height: 300px}
#result .grid-container .caption-label {display: none}
@media (max-width: 500px) {#examples .caption-label {font-size: .66rem; padding: 0 4px; max-width: 94%}}
@media (min-width: 800px) {#results {position: sticky; top: 14px; align-self: flex-start}}
footer {display: none !important}
"""
SHOW_RESULTS = """
(...values) => {
  const results = document.querySelector('#results');
  const top = results.getBoundingClientRect().top;
  if (top < 0 || top > 0.7 * innerHeight) results.scrollIntoView({behavior: 'smooth'});
  return values;
}
"""
"""Run before drawing: results may be out of sight, on a phone below the button."""


def header(model: str, pixels: int | None, enlarged: bool) -> str:
    """Title, what the page does, and which model draws."""
    size = f" draws {pixels} x {pixels} pixels" if pixels else ""
    more = ", enlarged afterwards" if enlarged and pixels else ""
    return (
        "<h1>Draw a subject from a few pictures</h1>"
        "<p>Show 1 to 5 pictures of one thing, say what you want to see, and the apprentice draws it. "
        "Nothing is trained.</p>"
        f'<p class="hint">Model {html.escape(model)}{size}{more}.</p>'
    )


def step(number: int, text: str, hint: str = "") -> str:
    """Heading of one step."""
    tail = f'<p class="hint">{html.escape(hint)}</p>' if hint else ""
    return f'<h2 class="step"><b>{number}</b>{html.escape(text)}</h2>{tail}'


def alert(sentences: Sequence[str]) -> str:
    """A warning of several sentences; they may quote file names, so all is escaped."""
    if not sentences:
        return ""
    return '<div class="alert" role="alert">' + "".join(f"<p>{html.escape(s)}</p>" for s in sentences) + "</div>"


def hint(text: str) -> str:
    """A small grey line."""
    return f'<p class="hint" role="status">{html.escape(text)}</p>'
