"""What stands after many moves is what a fresh page draws at that value; and what is painted on the way is right too."""

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

Visit = Callable[..., Page]
SWEEPS = [
    ("/scaling", "d_k", "512"),
    ("/parameters", "layer_of", "Llama 3 8B"),
    ("/masking", "row", "1"),
    ("/positions", "scheme", "RoPE"),
]

MOVE = """([selector, index]) => {
  const input = document.querySelector(selector);
  input.value = index;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}"""
# Between two moves, whoever rests for so long is drawn by Plotly: here, nobody rests until told.
BUSY = (
    "window.__later = setTimeout; window.setTimeout = (f, ms, ...more) => (ms === 200 ? 0 : __later(f, ms, ...more));"
)
# The marks of a figure without the names that Plotly makes up anew for each.
DRAWN = """(root) => [...root.querySelectorAll(".tt-plot .main-svg")].map((svg) => svg.outerHTML
  .replace(/[a-z0-9]{6}(?=x\\d*y|xy|"|\\)|-)/g, "").replace(/(id|class|clip-path|style)="[^"]*"/g, "")).join("\\n")"""


def root(page: Page, key: str) -> str:
    selector = f".tt:has(#tt-{key})"
    page.locator(selector).scroll_into_view_if_needed()
    page.wait_for_selector(f"{selector}[data-drawn]")
    return selector


def move(page: Page, key: str, index: int) -> None:
    page.evaluate(MOVE, [f"#tt-{key}", index])
    page.wait_for_selector(f".tt:has(#tt-{key})[data-drawn='{index}']")


def rests(page: Page, key: str) -> None:
    page.wait_for_function(
        "(s) => { const r = document.querySelector(s); return r.dataset.rests === 'true'; }", arg=f".tt:has(#tt-{key})"
    )


def marks(page: Page, selector: str) -> list[str]:
    """Every path of the figures, and every word."""
    drawn = page.eval_on_selector(selector, DRAWN)
    return re.findall(r'\bd="[^"]*"|\btransform="[^"]*"|>[^<>]+<', drawn)


@pytest.mark.parametrize(("path", "key", "asked"), SWEEPS, ids=lambda x: str(x).strip("/"))
def test_after_many_moves_it_is_what_a_fresh_page_draws(
    server: str, visit: Visit, path: str, key: str, asked: str
) -> None:
    fresh, page = visit(f"{server}{path}?{key}={asked}"), visit(f"{server}{path}")
    for one in (fresh, page):
        one.emulate_media(reduced_motion="reduce")  # what slides is compared where it ends
    there, here = root(fresh, key), root(page, key)
    target, last = (
        int(fresh.locator(f"#tt-{key}").input_value()),
        int(page.locator(f"#tt-{key}").get_attribute("max") or 0),
    )
    for index in [*range(0, last + 1, max(1, last // 5)), 0, last, target]:
        move(page, key, index)
    rests(page, key)
    rests(fresh, key)
    assert marks(page, here) == marks(fresh, there)
    assert page.locator(f"{here} .tt-reading").inner_text() == fresh.locator(f"{there} .tt-reading").inner_text()


def picture(page: Page, selector: str) -> np.ndarray:
    shot = page.locator(f"{selector} .tt-panels").screenshot(animations="disabled")
    return np.asarray(Image.open(io.BytesIO(shot)).convert("L"), np.float32)


@pytest.mark.parametrize(("path", "key", "asked"), [SWEEPS[0]], ids=lambda x: str(x).strip("/"))
def test_what_is_painted_on_the_way_is_what_plotly_draws(
    server: str, visit: Visit, path: str, key: str, asked: str
) -> None:
    page = visit(f"{server}{path}?{key}={asked}")
    page.set_viewport_size({"width": 1440, "height": 1400})
    page.emulate_media(reduced_motion="reduce")
    here = root(page, key)
    page.wait_for_timeout(1000)
    rests(page, key)
    page.evaluate(BUSY)
    start, last = (
        int(page.locator(f"#tt-{key}").input_value()),
        int(page.locator(f"#tt-{key}").get_attribute("max") or 0),
    )
    # Where an axis or the side of a name changes, Plotly draws at once: then the next value.
    step = 1 if start + 3 <= last else -1
    for k in (1, 2, 3):
        move(page, key, start + k * step)
        if page.locator(here).get_attribute("data-rests") == "false":
            break
    else:
        raise AssertionError("nothing was painted: Plotly drew everything at once")
    under_way = picture(page, here)
    page.evaluate("window.setTimeout = window.__later")
    page.evaluate(MOVE, [f"#tt-{key}", page.locator(f"#tt-{key}").input_value()])
    rests(page, key)
    settled = picture(page, here)
    assert under_way.shape == settled.shape
    # Plotly leaves out points that lie within a third of a pixel of a line: edges may differ by a shade.
    different = np.abs(under_way - settled) > 64
    assert different.mean() < 0.002, f"{different.mean():.2%} of the pixels differ"


def test_a_panel_out_of_view_waits_until_it_is_seen(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling?look=softer")
    lower = page.locator(".tt").last
    assert lower.locator(".main-svg").count() == 0
    lower.scroll_into_view_if_needed()
    lower.locator(".main-svg").first.wait_for()


def test_each_panel_has_its_own_words_and_the_reading_is_said_once(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    selector = root(page, "d_k")
    reading = page.locator(f"{selector} .tt-reading").inner_text()
    words = [e.get_attribute("aria-label") or "" for e in page.locator(f"{selector} .tt-plot").all()]
    assert len(set(words)) == len(words) and all(words)
    assert not any(reading in said for said in words)


def test_plotly_comes_over_the_line_once(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    sizes: list[int] = []
    page.on(
        "requestfinished", lambda r: sizes.append(r.sizes()["responseBodySize"]) if "plotly.min.js" in r.url else None
    )
    page.reload()
    page.wait_for_selector(".tt[data-drawn]")
    assert all(size <= 0 for size in sizes), sizes
