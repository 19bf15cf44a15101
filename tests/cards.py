"""`make cards`: the small pictures of the front door, each lesson's hero as it is at its defaults, into assets/cards/.

A lesson says in `ui/drawings/<slug>.py` which frame that is, `card()`; its picture is what the browser draws for it, once on
light and once on dark. Beside the picture lie the frame's numbers, rounded, so that a test can say when it is old.
`python -m tests.cards scaling masking` makes those of two lessons; without names, README's picture is made anew as well.
"""

import importlib
import io
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops
from playwright.sync_api import Browser, sync_playwright

from core.syllabus import SYLLABUS, Topic
from tests.browser.conftest import ARGUMENTS, ROOT, chromium, serve
from ui.figures import Figure
from ui.map import PICTURES, SCHEMES, picture
from ui.nav import lessons

MOST = 25_000  # bytes of one picture
SIZE = (560, 260)  # pixels of one picture: a card shows it at half of that
GAP = 24
README = ROOT / "assets" / "screenshot.png"
SAMPLE = 48  # numbers kept of a longer array
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
PAPER = {scheme: THEME[scheme]["backgroundColor"] for scheme in SCHEMES}

# At half its size a figure's writing is too small to read: what explains is left out, what is drawn stays.
PLAIN = """
[data-testid=stHeader], [data-testid=stSidebar] { display: none !important; }
.tt-plot text, .tt-plot .legend, .tt-plot .colorbar, .tt-plot .gridlayer, .tt-plot .ticks { visibility: hidden !important; }
"""


# ------------------------------------------------------------------------------------------------ the frame itself


def pictured() -> list[Topic]:
    """The lessons that get a picture: all but a small question that somebody added and that draws in its page."""
    return [t for t in lessons() if t in SYLLABUS or (ROOT / "ui" / "drawings" / f"{t.slug}.py").exists()]


def card(slug: str) -> tuple[Figure, ...]:
    """The figures of a lesson's card; raises LookupError, with what to write, for a lesson that does not say."""
    make = getattr(importlib.import_module(f"ui.drawings.{slug}"), "card", None)
    if make is None:
        raise LookupError(
            f"write in ui/drawings/{slug}.py, for the small picture on the front door, which frame the lesson opens with: "
            "`def card() -> Frame: return <the hero’s frames at the defaults of its controls>[<its control’s default>]`"
        )
    return make().figures


def leaves(node: Any) -> Iterator[Any]:
    """The texts, numbers and arrays of a figure, in their order; numbers in texts are blanked, as processors differ."""
    if isinstance(node, dict):
        for name in sorted(node):
            yield name
            yield from leaves(node[name])
    elif isinstance(node, np.ndarray):
        yield rounded(node)
    elif isinstance(node, list | tuple) and node and all(isinstance(x, int | float) for x in node):
        yield rounded(np.array(node, float))
    elif isinstance(node, list | tuple):
        for child in node:
            yield from leaves(child)
    elif isinstance(node, str) and not node.startswith("#"):
        yield re.sub(r"[−-]?\d[\d.,·⁻⁰¹²³⁴⁵⁶⁷⁸⁹]*", "0", node)
    elif isinstance(node, int | float | np.number) and not isinstance(node, bool):
        yield rounded(np.array([node], float))
    else:
        yield node


def rounded(array: np.ndarray) -> list[Any]:
    """The shape of an array, its mean size, and some of its numbers with three digits; what is no number is None."""
    flat = array.astype(float).ravel()
    known = flat[np.isfinite(flat)]
    chosen = flat[np.linspace(0, len(flat) - 1, min(len(flat), SAMPLE)).astype(int)] if len(flat) else flat
    size = float(np.abs(known).mean()) if len(known) else 0.0
    return [list(array.shape), *(float(f"{x:.3g}") if np.isfinite(x) else None for x in (size, *chosen))]


def alike(a: Any, b: Any) -> bool:
    """Whether two leaves are the same up to what another processor may change."""
    if not (isinstance(a, list) and isinstance(b, list)):
        return bool(a == b)
    if a[0] != b[0] or [x is None for x in a] != [x is None for x in b]:
        return False
    x, y = (np.array([n for n in leaf[1:] if n is not None], float) for leaf in (a, b))
    return bool(np.all(np.abs(x - y) <= 0.03 * max(float(np.abs(x).max(initial=0)), float(np.abs(y).max(initial=0)))))


def kept(slug: str) -> Path:
    return PICTURES / f"{slug}.json"


def changes(topic: Topic) -> str:
    """Why a lesson's pictures are old, or nothing."""
    missing = [p.name for p in (kept(topic.slug), *(picture(topic.slug, s) for s in SCHEMES)) if not p.exists()]
    if missing:
        return f"{topic.slug} has no {', '.join(missing)}"
    before, now = json.loads(kept(topic.slug).read_text("utf-8")), list(leaves(card(topic.slug)))
    for a, b in zip(before, now, strict=False):
        if not alike(a, b):
            return f"the hero of {topic.slug} has changed from {str(a)[:120]} to {str(b)[:120]}"
    return "" if len(before) == len(now) else f"the hero of {topic.slug} has other parts than its picture"


# ------------------------------------------------------------------------------------------------ its picture


def photograph(browser: Browser, url: str, slug: str, scheme: str) -> bytes:
    """The first panels of a lesson's card as the browser draws them, side by side in one small PNG."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page.goto(f"{url}/?of={slug}")
    page.wait_for_selector(".tt[data-drawn]", timeout=90_000)
    page.add_style_tag(content=PLAIN)
    page.wait_for_timeout(1500)
    plots = page.locator(".tt-plot")
    shots = [plots.nth(i).screenshot() for i in range(min(plots.count(), 3))]
    page.close()
    return small(
        composed([trimmed(Image.open(io.BytesIO(shot)).convert("RGB"), PAPER[scheme]) for shot in shots], PAPER[scheme])
    )


def trimmed(image: Image.Image, paper: str) -> Image.Image:
    """Without its empty edges."""
    difference = ImageChops.difference(image, Image.new("RGB", image.size, paper)).convert("L")
    box = difference.point(lambda value: 255 * (value > 12)).getbbox()
    return image.crop(box) if box else image


def composed(panels: list[Image.Image], paper: str) -> Image.Image:
    """As many of the panels as can be seen well: at one height, in the middle of a sheet of one size."""
    width, height = SIZE
    while True:
        room = width - GAP * (len(panels) - 1)
        high = min(height, room / sum(panel.width / panel.height for panel in panels))
        if len(panels) == 1 or high >= 0.6 * height:
            break
        panels = panels[:-1]
    sheet = Image.new("RGB", SIZE, paper)
    scaled = [
        p.resize((max(1, round(p.width * high / p.height)), max(1, round(high))), Image.Resampling.LANCZOS)
        for p in panels
    ]
    left = (width - sum(p.width for p in scaled) - GAP * (len(scaled) - 1)) // 2
    for panel in scaled:
        sheet.paste(panel, (left, (height - panel.height) // 2))
        left += panel.width + GAP
    return sheet


def small(image: Image.Image) -> bytes:
    """At most MOST bytes, in as many colours as that allows."""
    for colours in (128, 64, 32, 16, 8):
        out = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MOST:
            break
    return out.getvalue()


def main(slugs: list[str]) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    known = {topic.slug for topic in pictured()}
    for path in PICTURES.iterdir():
        if path.stem.rpartition("-")[0] not in known and path.stem not in known and path.suffix in (".png", ".json"):
            path.unlink()
    process, url = serve(script="tests/card_page.py")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            for topic in pictured():
                if slugs and topic.slug not in slugs:
                    continue
                for scheme in SCHEMES:
                    made = photograph(browser, url, topic.slug, scheme)
                    picture(topic.slug, scheme).write_bytes(made)
                    print(f"{picture(topic.slug, scheme).name}: {len(made):,} bytes")
                text = ",\n".join(json.dumps(leaf, ensure_ascii=False) for leaf in leaves(card(topic.slug)))
                kept(topic.slug).write_text(f"[\n{text}\n]\n", "utf-8")
            if not slugs:
                README.write_bytes(front_door(browser))
                print(f"{README.name}: {README.stat().st_size:,} bytes")
            browser.close()
    finally:
        process.terminate()


def front_door(browser: Browser) -> bytes:
    """README's picture: what a visitor sees first, with the cards as they are now."""
    process, url = serve()
    try:
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        page.goto(url)
        page.wait_for_selector(".front[data-drawn]", timeout=90_000)
        page.wait_for_load_state("networkidle")
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        out = io.BytesIO()
        shot.quantize(128, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        return out.getvalue()
    finally:
        process.terminate()


if __name__ == "__main__":
    if chromium() is None:
        raise SystemExit("no Chromium found: apt-get install chromium")
    main(sys.argv[1:])
