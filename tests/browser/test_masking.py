"""Question 4 in the browser: a click and the keyboard change the mask and the address, and a training can be stopped."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.conftest import until

WAIT = 90_000  # milliseconds, on a busy machine
CAUSAL = "100000/110000/111000/111100/111110/111111"


def click(page: Page, row: int, column: int, n: int = 6) -> None:
    """Click beside the middle of a cell, where no cross helps."""
    plot = page.locator(".tt-click")
    plot.scroll_into_view_if_needed()
    area = plot.locator(".nsewdrag").bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + area["width"] * (column + 0.8) / n, area["y"] + area["height"] * (row + 0.25) / n)
    page.wait_for_timeout(200)  # Plotly looks what is under the pointer before it hears a click
    page.mouse.down()
    page.mouse.up()


def test_a_click_makes_the_mask_ones_own(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/masking?look=who")
    reading = page.locator(".tt-reading").nth(1)
    expect(reading).to_contain_text(
        "the mask allows 21 and hides 15. With −∞ before the softmax exactly these have influence", timeout=WAIT
    )
    box = page.get_by_role("textbox", name="Your mask, row by row")
    for cell, rows, found in (
        ((0, 3), "100100" + CAUSAL[6:], "the mask allows 22 and"),  # a hidden cell is allowed
        ((0, 3), CAUSAL, "the mask allows 21 and"),  # and hidden again
        ((5, 0), CAUSAL[:-6] + "011111", "the mask allows 20 and"),  # and an allowed one
    ):
        click(page, *cell)
        expect(box).to_have_value(rows, timeout=WAIT)
        expect(reading).to_contain_text(found, timeout=WAIT)
    page.wait_for_function("location.search.includes('011111')")
    assert parse_qs(urlsplit(page.url).query) == {"look": ["who"], "mask": ["my own"], "own_mask": [rows]}
    again = visit(page.url)
    expect(again.get_by_role("textbox", name="Your mask, row by row")).to_have_value(rows, timeout=WAIT)
    expect(again.locator(".tt-reading").nth(1)).to_contain_text("the mask allows 20 and", timeout=WAIT)


def test_the_keyboard_makes_the_mask_ones_own(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/masking?look=who&row=1")
    reading = page.locator(".tt-reading").nth(1)
    expect(reading).to_contain_text("the mask allows 21 and", timeout=WAIT)
    box, later, first = (
        page.get_by_role("textbox", name="Your mask, row by row"),
        page.get_by_role("button", name="4 the"),
        page.get_by_role("button", name="0 the"),
    )
    for cell, row, found in ((later, "110010", 22), (first, "010010", 21), (later, "010000", 20)):
        cell.focus()
        page.keyboard.press("Enter")
        expect(box).to_have_value(CAUSAL.replace("110000", row), timeout=WAIT)
        expect(reading).to_contain_text(f"the mask allows {found} and", timeout=WAIT)
        expect(cell).to_be_focused()


def test_the_detector_trains_and_stops(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/masking?look=leak&leak_v=4&leak_n=4")
    start, stop = (page.get_by_role("button", name=name) for name in ("Train all four", "Stop"))
    said = page.get_by_text("the honest runs lose")
    start.click()
    said.wait_for()
    stop.click()
    expect(start).to_be_enabled(timeout=WAIT)

    def stands() -> bool:
        """The figure of the last slice is drawn a moment after the button."""
        before = said.inner_text()
        page.wait_for_timeout(1500)
        return said.inner_text() == before

    until(stands, "the curve stands")
    assert stands() and " of 400 steps" not in said.inner_text()
