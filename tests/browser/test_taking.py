"""What leaves the browser: the reader's files, and nothing else."""

import base64
import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ui.nav import ICON


def test_the_tab_has_the_courses_icon(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/scaling")
    page.wait_for_function("document.querySelector('link[rel*=icon]')?.href.includes('/media/')")
    icon = page.locator("link[rel*=icon]").first.get_attribute("href")
    assert icon
    served = page.request.get(icon if icon.startswith("http") else server + icon).body()
    assert hashlib.sha256(served).digest() == hashlib.sha256(ICON.read_bytes()).digest()


def test_the_icon_is_small_and_what_its_drawing_is(browser: Browser) -> None:
    """`icon.png` is `icon.svg`, drawn by Chromium."""
    page = browser.new_page(viewport={"width": 64, "height": 64})
    page.set_content(f"<style>* {{ margin: 0 }} svg {{ display: block }}</style>{ICON.with_suffix('.svg').read_text()}")
    shown = page.screenshot(omit_background=True)
    page.set_content(
        f"<style>* {{ margin: 0 }}</style><img src='data:image/png;base64,{base64.b64encode(ICON.read_bytes()).decode()}'>"
    )
    kept = page.screenshot(omit_background=True)
    page.close()
    assert shown == kept and ICON.stat().st_size < 2000


def taken(page: Page, button: str, figure: int = 0) -> Path:
    box = page.locator(".tt-take").nth(figure)
    if not box.evaluate("box => box.open"):
        box.locator("summary").click()
    with page.expect_download() as download:
        box.get_by_role("button", name=button).click()
    return Path(download.value.path())


def ready(visit: Callable[..., Page], address: str, **how: object) -> Page:
    page = visit(address, **how)
    page.get_by_text("This page in exactly this state:").wait_for(state="attached")
    page.wait_for_function("[...document.querySelectorAll('.tt')].every((figure) => figure.dataset.drawn)")
    page.wait_for_timeout(500)
    return page


def test_figure_and_data_can_be_taken_along(server: str, visit: Callable[..., Page]) -> None:
    page = ready(visit, f"{server}/scaling")
    page.locator(".tt-take summary").first.click()
    for kind, start in (("CSV", b'\xef\xbb\xbfseries,"logit, from"'), ("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save figure 1 as {kind}").first.click()
        assert Path(download.value.path()).read_bytes().startswith(start)
        assert download.value.suggested_filename == f"d_k-64-1.{kind.lower()}"


@pytest.mark.parametrize("dark", [False, True])
def test_a_matrix_is_taken_along_with_its_zeros_and_words(server: str, visit: Callable[..., Page], dark: bool) -> None:
    page = ready(visit, f"{server}/masking?sentence=%3D1%2B1+%237A3E9D+%3Cb%3E+%3Bend", dark=dark)
    with taken(page, "Save figure 1 as CSV").open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file, strict=True)
    assert head[:4] == ["query: who asks", "query: who asks (index)", "key: who is asked", "key: who is asked (index)"]
    assert len(rows) == 16, "a row for each cell, none for a cross"
    assert [row[0].split(" ", 1)[1] for row in rows[::4]] == ["=1+1", "#7A3E9D", "<b>", ";end"]
    weights = {(int(r), int(c)): value for _, r, _, c, value in rows}
    assert all((value == "0") is (c > r) for (r, c), value in weights.items())
    assert all(abs(sum(float(weights[r, c]) for c in range(4)) - 1) < 1e-6 for r in range(4))


CELLS = """() => [...document.querySelectorAll(".tt-plot")].flatMap((plot, i) => {
  const boxes = [...plot.querySelectorAll(".heatmap-label text")].map((e) => e.getBoundingClientRect());
  return boxes.flatMap((a, j) => boxes.slice(j + 1).filter((b) =>
    Math.abs(a.top - b.top) < 2 && a.left < b.right + 1 && b.left < a.right + 1).map(() => [i, a.left, a.width]));
})"""
ANGLES = """() => [...document.querySelectorAll(".tt-panels")].map((panels) => [...new Set([...panels.querySelectorAll(".tt-plot")]
  .filter((plot) => [...plot.querySelectorAll(".xtick text")].some((e) => /[^\\d.−kM]/.test(e.textContent)))
  .map((plot) => /rotate\\((-?[\\d.]+)/.exec(plot.querySelector(".xtick text").getAttribute("transform"))?.[1] ?? "0"))].length)"""


@pytest.mark.parametrize("width", [1440, 1100, 900, 390])
@pytest.mark.parametrize("words", ["the cat sat on the mat", "the cat sat on the unbelievably large"])
def test_numbers_in_cells_do_not_touch_and_words_turn_alike(
    server: str, visit: Callable[..., Page], words: str, width: int
) -> None:
    page = ready(visit, f"{server}/masking?sentence={words.replace(' ', '+')}", width=width)
    if width == 1440:  # where cells are too small for numbers that can be read, there are none
        assert page.evaluate("document.querySelectorAll('.heatmap-label text').length") > 20
    assert page.evaluate(CELLS) == []
    assert max(page.evaluate(ANGLES)) == 1
    page.locator("#tt-row").press("End")
    expect(page.locator(".tt", has=page.locator("#tt-row"))).to_have_attribute(
        "data-drawn", str(len(words.split()) - 1)
    )
    assert page.evaluate(CELLS) == [] and max(page.evaluate(ANGLES)) == 1
