"""The address, the Back button, leaving and coming back, and a server that goes away: what only a browser can tell."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, RESTS, ROOT, free_port, program, serve, until

Visit = Callable[..., Page]
WAIT = 1000 * PATIENCE
SWEEP = "#tt-d_k"
NOTE = "[data-testid=stText]"
MAP = ".front[data-drawn]"


def link(page: Page) -> str:
    """What the page says is its address."""
    return page.locator("pre").filter(has_text=re.compile("^http")).last.inner_text()


def says(page: Page, **asked: str) -> None:
    """The address bar and the link of the page say this, and nothing else."""
    expected = {key: [text] for key, text in asked.items()}

    def said() -> bool:
        both = (page.url, link(page))
        return page.evaluate(RESTS) and all(parse_qs(urlsplit(one).query) == expected for one in both)

    try:
        until(said, "address and link say so")
    except AssertionError:
        assert (page.url, link(page)) == expected  # shows what they say instead
        raise


def stands(page: Page, value: str) -> None:
    """The slider and what is drawn."""
    expect(page.locator(SWEEP)).to_have_attribute("aria-valuetext", value, timeout=WAIT)
    drawn = page.locator(SWEEP).input_value()
    expect(page.locator(".tt", has=page.locator(SWEEP))).to_have_attribute("data-drawn", drawn, timeout=WAIT)


# ------------------------------------------------------------------------------------------------ links


def test_a_note_costs_no_press_of_the_back_button(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling?keys=300&seed=12345&d_k=60&divisor=%3Cb%3E&look=softer&jacobian_keys=nan")
    expect(page.locator(NOTE)).to_have_count(5)
    assert page.locator(NOTE).all_inner_texts() == [
        "The link asked for Divide by = <b>; showing √dₖ.",
        "The link asked for Keys N = 300; showing 256.",
        "The link asked for seed = 12345; showing 9999.",
        "The link asked for Width dₖ = 60; showing 64.",
        "The link asked for Number of keys = nan; showing 64.",
    ]
    program(page, 64, 256, seed=9999)
    says(page, keys="256", seed="9999", look="softer")
    assert page.evaluate("history.length") == 2, "the empty page and this one"
    page.go_back()
    assert page.url == "about:blank"
    page.go_forward()
    page.wait_for_selector(".tt[data-drawn]")
    program(page, 64, 256, seed=9999)
    assert not page.locator(NOTE).count(), "the address has become one that exists"


def test_no_move_costs_a_press_of_the_back_button(server: str, visit: Visit) -> None:
    """Nor with words in the address that Python and the browser write in different ways."""
    page = visit(f"{server}/masking?sentence={quote('~a *b (c) d! e+f')}")
    reading = page.locator(".tt-reading").first
    before = reading.inner_text()
    page.locator("#tt-row").press("Home")
    expect(reading).not_to_have_text(before)
    says(page, sentence="~a *b (c) d! e+f", row="0")
    page.get_by_role("spinbutton", name="Seed").fill("3")
    page.get_by_role("spinbutton", name="Seed").press("Enter")
    says(page, sentence="~a *b (c) d! e+f", row="0", mask_seed="3")
    assert page.evaluate("history.length") == 2
    again = visit(link(page))
    assert not again.locator(NOTE).count()
    says(again, sentence="~a *b (c) d! e+f", row="0", mask_seed="3")


@pytest.mark.parametrize("text", ["👩\u200d👩\u200d👧 می\u200cخواهم <b>x</b>", "| **a** $x$ | `b` [c](d)"])
def test_the_apps_own_link_opens_what_it_says(server: str, visit: Visit, text: str) -> None:
    page = visit(f"{server}/masking")
    box = page.get_by_role("textbox", name="Your sentence")
    box.fill(f"\u202e {text}\u200b\ufeff")
    box.press("Enter")
    says(page, sentence=text)
    for address in (link(page), page.url):
        again = visit(address)
        expect(again.get_by_role("textbox", name="Your sentence")).to_have_value(text)
        says(again, sentence=text)
        assert not again.locator(NOTE).count()


def test_a_frame_around_the_app_is_told_the_address(server: str, visit: Visit) -> None:
    """Community Cloud shows the app in a frame, and its own address bar follows what it is told."""
    page = visit("about:blank", drawn=False)
    around = "<script>told = []; onmessage = (e) => told.push(e.data)</script>"
    around += "<iframe width=1400 height=800 src='/scaling'></iframe>"
    page.route("**/around", lambda route: route.fulfill(body=around, content_type="text/html"))
    page.goto(f"{server}/around")
    frame = page.frame_locator("iframe")
    frame.locator(".tt[data-drawn]").first.wait_for()
    frame.get_by_role("slider", name="Keys N").press("Home")
    page.wait_for_function("told.some((m) => m.type === 'SET_QUERY_PARAM' && m.queryParams === '?keys=2')")
    frame.locator(SWEEP).press("Home")
    page.wait_for_function("told.some((m) => m.type === 'SET_QUERY_PARAM' && m.queryParams === '?keys=2&d_k=1')")


# ------------------------------------------------------------------------------------------------ coming back


def test_coming_back_finds_everything_and_costs_nothing(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling?divisor=1+(none)&seed=7")
    page.locator(SWEEP).press("Home")
    program(page, 1, divisor="none", seed=7)
    page.locator(".st-key-predict").get_by_test_id("stButtonGroup").get_by_text("78 %").click()
    verdict = page.get_by_test_id("stAlert").first
    expect(verdict).to_be_visible()
    verdict = verdict.inner_text()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Masked self-attention").click()
    page.wait_for_selector("#tt-row")
    page.wait_for_function(RESTS)
    says(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name="The factor").click()
    stands(page, "1")
    program(page, 1, divisor="none", seed=7)
    says(page, divisor="1 (none)", seed="7", d_k="1")
    assert page.get_by_test_id("stAlert").first.inner_text() == verdict
    assert page.evaluate("history.length") == 4, "the empty page and three of the app’s"
    # The Back button goes through the pages, one press for each, and each stands as it was left.
    page.go_back()
    page.wait_for_selector("#tt-row")
    page.go_back()
    stands(page, "1")
    says(page, divisor="1 (none)", seed="7", d_k="1")
    page.go_back()
    assert page.url == "about:blank"


def test_an_entry_of_the_history_says_how_it_was_then(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling?d_k=16&keys=128")
    program(page, 16, 128)
    page.get_by_role("link", name="The map").first.click()
    page.wait_for_selector(MAP)
    page.get_by_test_id("stSidebar").get_by_role("link", name="The factor").click()
    stands(page, "16")
    page.locator(SWEEP).press("End")
    program(page, 1024, 128)
    page.go_back()
    page.wait_for_selector(MAP)
    page.go_back()
    stands(page, "16")
    program(page, 16, 128)
    says(page, d_k="16", keys="128")


# ------------------------------------------------------------------------------------------------ a server that goes away


def agrees(page: Page, d_k: str, **others: str) -> None:
    """Figure, program, address and link say one value, and keep saying it."""
    for _ in range(2):
        program(page, int(d_k), int(others.get("keys", 64)))
        stands(page, d_k)
        says(page, **others, d_k=d_k)
        page.wait_for_timeout(1500)


def test_a_move_while_the_server_is_dead(visit: Visit) -> None:
    port = free_port()
    process, url = serve(port=port)
    try:
        page = visit(f"{url}/scaling?keys=16")
        page.get_by_role("slider", name="Keys N").press("Home")
        page.locator(SWEEP).press("End")
        agrees(page, "1024", keys="2")
        process.kill()  # as kill -9 does
        process.wait(60)
        page.wait_for_function(
            "document.querySelector('[data-testid=stApp]').dataset.testConnectionState !== 'CONNECTED'"
        )
        page.locator(SWEEP).press("Home")
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        stands(page, "16")
        process, _ = serve(port=port)
        # The new server knows nothing of this reader; her browser tells it, the ordinary controls too.
        agrees(page, "16", keys="2")
        assert not page.locator(NOTE).count()
    finally:
        process.kill()
        process.wait(60)


def test_a_move_while_the_server_hangs(visit: Visit) -> None:
    process, url = serve()
    try:
        page = visit(f"{url}/scaling")
        program(page, 64)
        os.kill(process.pid, signal.SIGSTOP)
        page.locator(SWEEP).press("Home")
        page.wait_for_timeout(8000)  # long enough to ask again
        stands(page, "1")
        os.kill(process.pid, signal.SIGCONT)
        agrees(page, "1")
    finally:
        process.kill()
        process.wait(60)


# Every message of the browser after `deaf` gets lost, though the connection looks well; and all are counted.
LOSES = """
window.sent = 0; window.deaf = false;
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) { window.sent += 1; if (!window.deaf) send.call(this, data); };
"""


def test_a_report_that_gets_lost_is_sent_again_and_then_no_more(server: str, visit: Visit) -> None:
    page = visit("about:blank", drawn=False)
    page.add_init_script(LOSES)
    page.goto(f"{server}/scaling")
    program(page, 64)
    page.evaluate("deaf = true")
    page.locator(SWEEP).press("Home")
    stands(page, "1")
    page.wait_for_function("sent > 1")
    page.wait_for_timeout(1000)
    program(page, 64)
    page.evaluate("deaf = false")
    agrees(page, "1")
    page.wait_for_function(RESTS)
    before = page.evaluate("sent")
    page.wait_for_timeout(8000)
    assert page.evaluate("sent") == before, "who agrees is silent"


def test_the_browser_follows_when_python_knows_better(server: str, visit: Visit) -> None:
    """A sentence of fewer words has fewer rows; with the old one, both say the old row again."""
    page = visit(f"{server}/masking?row=5")
    slider, box = page.locator("#tt-row"), page.get_by_role("textbox", name="Your sentence")
    whole = box.input_value()
    slider.press("Home")
    slider.press("End")
    page.wait_for_function(RESTS)
    for text in ("two words", whole, "three words now"):
        box.fill(text)
        box.press("Enter")
        rows = len(text.split())
        expect(slider).to_have_attribute("max", str(rows - 1), timeout=WAIT)
        page.wait_for_function(RESTS)
        page.wait_for_timeout(1500)
        shown = slider.input_value()
        asked = parse_qs(urlsplit(link(page)).query).get("row", [str(min(2, rows - 1))])
        assert [shown] == asked
        assert parse_qs(urlsplit(page.url).query).get("row", asked) == asked


def test_a_move_sends_the_frames_only_once(server: str, visit: Visit) -> None:
    page = visit("about:blank", drawn=False)
    received: list[int] = []
    page.on("websocket", lambda line: line.on("framereceived", lambda data: received.append(len(data))))
    page.goto(f"{server}/scaling")
    program(page, 64)
    page.wait_for_function(RESTS)
    page.locator(SWEEP).press("Home")
    program(page, 1)
    page.wait_for_function(RESTS)
    assert sum(size > 20_000 for size in received) >= 1, "the figure"
    received.clear()
    page.locator(SWEEP).press("End")
    program(page, 1024)
    page.wait_for_function(RESTS)
    assert max(received) < 10_000, sorted(received)[-5:]


# ------------------------------------------------------------------------------------------------ a part that fails


def test_a_figure_that_fails_leaves_the_page_and_links_to_the_defaults(
    fresh: Callable[..., str], visit: Visit, tmp_path: Path
) -> None:
    broken = tmp_path / "app"
    shutil.copytree(ROOT, broken, ignore=shutil.ignore_patterns(".*venv*", ".git", "tests", "*cache*", "screenshots"))
    drawing = broken / "ui" / "drawings" / "scaling.py"
    source = drawing.read_text("utf-8")
    begin = "def width_frames("
    body = source.index('    """', source.index(begin))
    drawing.write_text(
        source[:body] + "    if seed == 13:\n        raise ArithmeticError(seed)\n" + source[body:], "utf-8"
    )
    page = visit(f"{fresh(broken)}/scaling?seed=13&keys=128", drawn=False)
    sorry = page.get_by_test_id("stAlert").filter(has_text="This figure could not be computed for these values.")
    expect(sorry).to_be_visible(timeout=WAIT)
    program(page, 64, 128, seed=13)
    assert page.locator(SWEEP).count() == 0
    says(page, seed="13", keys="128")
    with page.context.expect_page() as opened:
        sorry.get_by_role("link", name="Open the lesson with its defaults").click()
    program(opened.value, 64)
    stands(opened.value, "64")
    # And here, another seed heals it.
    page.get_by_role("spinbutton", name="Seed").fill("14")
    page.get_by_role("spinbutton", name="Seed").press("Enter")
    stands(page, "64")
    expect(sorry).to_have_count(0)
