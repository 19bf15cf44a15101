"""The facts that only a browser can tell."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import faultless, forked, program
from ui.nav import NAME

Visit = Callable[..., Page]
SWEEP = "#tt-d_k"


def settled(page: Page) -> None:
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    page.wait_for_timeout(300)


def framed(page: Page) -> bool:
    """Whether the page stands in the app's own frame: the tab has its title, and the course is in the sidebar."""
    settled(page)
    return NAME in page.title() and page.get_by_test_id("stSidebar").get_by_text("The map").count() > 0


def test_a_cold_deep_link_shows_the_full_frame(fresh: Callable[..., str], visit: Visit) -> None:
    url = fresh()
    for _ in range(2):  # the first visitor, and one who comes after
        page = visit(f"{url}/scaling?d_k=16&keys=128")
        assert framed(page)
        expect(page.get_by_test_id("stSidebar").get_by_text("Attention", exact=True)).to_be_visible()
        expect(page).to_have_title("The factor √dₖ · Transformer Twenty")
        expect(page.locator("h1")).to_have_text("Why are the attention logits divided by √dₖ?")
        expect(page.locator(SWEEP)).to_have_attribute("aria-valuetext", "16")
        program(page, 16, 128, "sqrt", 0)


def test_the_first_move_on_a_cold_server_counts(fresh: Callable[..., str], visit: Visit) -> None:
    """The first visitor's first run skipped app.py; what she moves right away must survive the second."""
    page = visit(f"{fresh()}/scaling")
    page.locator(SWEEP).press("Home")
    program(page, 1, 64, "sqrt", 0)
    settled(page)
    expect(page.locator(SWEEP)).to_have_attribute("aria-valuetext", "1")
    expect(page).to_have_url(re.compile(r"\?d_k=1$"))


def test_without_ensure_the_frame_is_missing(fresh: Callable[..., str], visit: Visit, tmp_path: Path) -> None:
    """The trap is real, and it is `ensure()` that avoids it."""
    broken = forked(tmp_path)
    nav = broken / "ui" / "nav.py"
    source = nav.read_text()
    nav.write_text(source.replace('if st.session_state.get("routed"):', "if True:"))
    assert nav.read_text() != source
    page = visit(f"{fresh(broken)}/scaling", drawn=False)
    page.wait_for_selector("h1")
    assert not framed(page)


def test_the_sweep_follows_the_keyboard_at_once(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    settled(page)
    slider, root = page.locator(SWEEP), page.locator(".tt", has=page.locator(SWEEP))
    history = page.evaluate("history.length")
    before = root.locator(".tt-reading").inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "128")
    expect(root).to_have_attribute("data-drawn", "7")
    reading = root.locator(".tt-reading").inner_text()
    assert reading != before and "At width 128 " in reading
    for key, value in (("End", "1024"), ("Home", "1"), ("ArrowRight", "2")):
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuetext", value)
    # On release Python learns it: the program and the address follow, and going back still leaves the page.
    program(page, 2, 64, "sqrt", 0)
    expect(page).to_have_url(re.compile(r"\?d_k=2$"))
    assert page.evaluate("history.length") == history


def test_the_address_opens_the_same_state(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    settled(page)
    page.get_by_role("slider", name="Keys N").press("Home")
    settled(page)
    page.get_by_text("1 (none)", exact=True).click()
    settled(page)
    page.locator(SWEEP).press("End")
    program(page, 1024, 2, "none")
    settled(page)
    again = visit(page.url)
    program(again, 1024, 2, "none")
    expect(again.locator(SWEEP)).to_have_attribute("aria-valuetext", "1024")


def test_a_hostile_address(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling?d_k=1e99&keys=abc&divisor=<script>alert(1)</script>&seed=-5&nonsense=1")
    settled(page)
    assert page.get_by_test_id("stException").count() == 0
    expect(page.get_by_text("The link asked for Width dₖ = 1e99; showing 1024.")).to_be_visible()
    expect(page.get_by_text("The link asked for Keys N = abc; showing 64.")).to_be_visible()


def test_the_dark_theme_recolours_the_figures(server: str, visit: Visit) -> None:
    colours = []
    for dark in (False, True):
        page = visit(f"{server}/scaling", dark=dark)
        colours.append(page.locator(".tt-plot .scatterlayer .js-line").nth(1).evaluate("e => e.style.stroke"))
    assert colours == ["rgb(122, 62, 157)", "rgb(199, 155, 227)"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_map_is_faultless(server: str, visit: Visit, width: int, dark: bool) -> None:
    page = visit(server, width=width, dark=dark)
    settled(page)
    faultless(page)
