"""The map in Chromium: what a pointer, a finger, a keyboard and a lost reader meet."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from core.course import topics
from core.search import one_sentence
from tests.browser.conftest import forked
from ui.nav import lessons

FINISHED = lessons()
FIRST = FINISHED[0]
Visit = Callable[..., Page]


@pytest.fixture
def front(browser: Browser, server: str) -> Iterator[Visit]:
    """Open an address that shows the map."""
    contexts = []

    def go(path: str = "/", width: int = 1440, height: int = 900, base: str = server, **how: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **how)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.problems = []  # type: ignore[attr-defined]
        page.on("pageerror", lambda e: page.problems.append(str(e)))  # type: ignore[attr-defined]
        page.goto(base + path)
        page.wait_for_selector(".front[data-drawn]")
        return page

    yield go
    for context in contexts:
        context.close()


def pin(page: Page, slug: str):
    return page.locator(f".pin[data-slug={slug}]")


def test_hover_shows_the_question_and_a_click_enters_without_reloading(front: Visit) -> None:
    page = front()
    about = page.locator(".about")
    expect(about).to_be_hidden()
    pin(page, FIRST.slug).hover()
    expect(about).to_contain_text(FIRST.question)
    expect(about).to_contain_text(one_sentence(FIRST.slug) or FIRST.title)
    page.mouse.move(5, 5)
    expect(about).to_be_hidden()
    page.evaluate("window.same = true")
    pin(page, FIRST.slug).click()
    expect(page.locator("h1")).to_have_text(FIRST.question)
    expect(page).to_have_url(re.compile(f"/{FIRST.slug}$"))
    assert page.evaluate("window.same") is True, "the app was loaded again"
    page.go_back()
    page.wait_for_selector(".front[data-drawn]")
    expect(page.locator(".lost")).to_be_hidden()


def test_every_finished_lesson_is_a_real_link_and_the_others_say_that_they_wait(front: Visit, server: str) -> None:
    page = front()
    for topic in topics():
        link = pin(page, topic.slug)
        if topic in FINISHED:
            assert link.evaluate("a => a.href") == f"{server}/{topic.slug}"
            assert link.get_attribute("aria-label") == f"{topic.number}. {topic.question}"
        else:
            assert link.get_attribute("href") is None and link.get_attribute("aria-disabled") == "true"
            assert (link.get_attribute("aria-label") or "").endswith("no lesson yet")
    with page.context.expect_page() as other:
        pin(page, FIRST.slug).click(modifiers=["Control"])
    other.value.wait_for_load_state()
    assert other.value.url == f"{server}/{FIRST.slug}"
    expect(page.locator(".front")).to_be_visible()


def test_the_keyboard_goes_through_the_pins_in_the_order_of_the_course(front: Visit) -> None:
    page = front()
    order = [topic.slug for topic in topics()]
    pin(page, order[0]).focus()
    seen = []
    for _ in order:
        focused = page.evaluate("document.activeElement.shadowRoot?.activeElement?.dataset.slug")
        seen.append(focused)
        expect(page.locator(".about")).to_be_visible()
        assert page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement.shadowRoot.activeElement);"
            " return s.outlineStyle === 'solid' && parseFloat(s.outlineWidth) >= 3; })()"
        ), f"the focus of {focused} is not seen"
        page.keyboard.press("Tab")
    assert seen == order
    pin(page, FIRST.slug).focus()
    page.keyboard.press("Escape")
    expect(page.locator(".about")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(FIRST.question)


def test_a_screen_reader_has_it_as_a_list(front: Visit) -> None:
    page = front()
    map_ = page.get_by_role("navigation", name="Map of the Transformer")
    expect(map_.get_by_role("listitem")).to_have_count(len(topics()))
    expect(map_.get_by_role("link")).to_have_count(len(topics()))
    assert page.locator(".place svg:not([aria-hidden=true])").count() == 0
    link = map_.get_by_role("link", name=re.compile(rf"^{FIRST.number}\. "))
    if answer := one_sentence(FIRST.slug):
        expect(link).to_have_accessible_description(answer)


def test_a_finger_sees_the_question_first_and_then_enters(front: Visit) -> None:
    page = front(width=390, height=844, has_touch=True, is_mobile=True)
    pin(page, FIRST.slug).tap()
    about = page.locator(".about.sheet")
    expect(about).to_contain_text(FIRST.question)
    box = about.bounding_box()
    assert box and box["y"] + box["height"] <= 844 and box["x"] >= 0 and box["x"] + box["width"] <= 390
    about.get_by_role("button", name="Close").tap()
    expect(page.locator(".about")).to_be_hidden()
    waits = next((t for t in topics() if t not in FINISHED), None)
    if waits:
        pin(page, waits.slug).tap(force=True)  # what leads nowhere is disabled, and still says its question
        expect(about).to_contain_text("No lesson yet")
        about.get_by_role("button", name="Close").tap()  # the sheet may lie on the next pin
    pin(page, FIRST.slug).tap()
    about.get_by_role("link", name=f"Enter question {FIRST.number}").tap()
    expect(page.locator("h1")).to_have_text(FIRST.question)


MEASURE = """() => {
  const root = [...document.querySelectorAll('*')].map((e) => e.shadowRoot?.querySelector('.front')).find(Boolean);
  const svg = [...root.querySelectorAll('svg')].find((s) => getComputedStyle(s).display !== 'none'), faults = [];
  const square = (e) => e.getBoundingClientRect();
  const meet = (a, b, by = 0) => a.left < b.right - by && b.left < a.right - by && a.top < b.bottom - by && b.top < a.bottom - by;
  const texts = [...svg.querySelectorAll('text')].map((e) => {
    const r = square(e), trim = r.height * 0.2; // a line of text is higher than its letters
    return { say: e.textContent, left: r.left, right: r.right, top: r.top + trim, bottom: r.bottom - trim };
  });
  const frame = square(svg);
  texts.forEach((a, i) => {
    if (a.left < frame.left || a.right > frame.right) faults.push(`${a.say} is cut off`);
    texts.slice(i + 1).forEach((b) => { if (meet(a, b)) faults.push(`${a.say} meets ${b.say}`); });
  });
  const pins = [...root.querySelectorAll('.pin')].map((e) => ({ slug: e.dataset.slug, r: square(e) }));
  pins.forEach((p, i) => {
    const { left, right, top, bottom } = p.r, x = (left + right) / 2, y = (top + bottom) / 2, radius = (right - left) / 2;
    for (const t of texts) {
      const dx = Math.max(t.left - x, 0, x - t.right), dy = Math.max(t.top - y, 0, y - t.bottom);
      if (Math.hypot(dx, dy) < radius) faults.push(`pin ${p.slug} covers ${t.say}`);
    }
    pins.slice(i + 1).forEach((q) => {
      const d = Math.hypot((q.r.left + q.r.right) / 2 - x, (q.r.top + q.r.bottom) / 2 - y);
      if (d < 40) faults.push(`pins ${p.slug} and ${q.slug} are ${d.toFixed()} px apart`);
    });
  });
  for (const path of svg.querySelectorAll('path.wire, path.zoom, path.curve, rect.frame')) {
    const matrix = path.getScreenCTM(), length = path.getTotalLength();
    for (let at = 0; at <= length; at += 2) {
      const { x, y } = path.getPointAtLength(at).matrixTransform(matrix);
      const hit = texts.find((t) => x > t.left && x < t.right && y > t.top && y < t.bottom);
      if (hit) { faults.push(`a line crosses ${hit.say}`); break; }
    }
  }
  const size = Math.min(...pins.map(({ r }) => r.width)) ;
  const target = Math.min(...[...root.querySelectorAll('.pin')].map((e) => e.offsetWidth - 2 * parseFloat(getComputedStyle(e, '::after').top)));
  return { faults, pins: pins.length, size, target };
}"""


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1920, 1080), (1024, 768), (768, 1024), (390, 844)])
def test_nothing_on_the_map_covers_a_word(front: Visit, width: int, height: int) -> None:
    page = front(width=width, height=height)
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(400)
    measured = page.evaluate(MEASURE)
    assert not measured["faults"]
    assert measured["pins"] == len(topics()) and measured["size"] >= 26 and measured["target"] >= 40
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("m => m.scrollWidth <= m.clientWidth")
    if width >= 1440:
        map_ = page.locator(".map").bounding_box()
        assert map_ and map_["y"] + map_["height"] <= height, "the whole map is seen without scrolling"


@pytest.mark.parametrize("path", ["/nonsense", "/home", "/%3Cscript%3E"])
def test_an_unknown_address_says_so_and_shows_the_map(front: Visit, path: str) -> None:
    page = front(path)
    expect(page.locator(".lost")).to_have_text("There is no page at this address. Here is the map.")
    expect(page.get_by_role("dialog")).to_have_count(0)
    pin(page, FIRST.slug).click()
    expect(page.locator("h1")).to_have_text(FIRST.question)
    expect(page).to_have_url(re.compile(rf"//[^/]+/{FIRST.slug}$"))


def test_a_question_without_a_lesson_has_an_address_too(
    front: Visit, fresh: Callable[..., str], tmp_path: Path
) -> None:
    """All twenty have one: a fork that takes one out."""
    fork, waits = forked(tmp_path), FINISHED[-1]
    (lesson,) = (fork / "pages").glob(f"*_{waits.slug}.py")
    lesson.unlink()
    page = front(f"/{waits.slug}", base=fresh(fork))
    expect(page.locator(".lost")).to_have_text(f"Question {waits.number} has no lesson yet. Here is the map.")


def test_a_cold_server_shows_the_map_at_home_and_at_nonsense(fresh: Callable[..., str], front: Visit) -> None:
    page = front("/home", base=fresh())
    expect(page.locator(".lost")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("[data-testid=stSidebar] a").first.click()
    expect(page.locator(".lost")).to_be_hidden()


def test_the_search_finds_words_of_answers_in_view(front: Visit) -> None:
    page = front()
    box = page.get_by_label("Search")
    box.fill("variance")
    box.press("Enter")
    found = page.locator(".found")
    expect(found.locator("li").first).to_contain_text("variance")
    expect(found.locator("mark").first).to_have_text(re.compile("variance", re.I))
    seen = found.bounding_box()
    assert seen and seen["y"] < 450, "the results stand directly under the box"
    box.fill("<img src=x onerror=alert(1)>zeppelin")
    box.press("Enter")
    expect(found).to_contain_text("Nothing has “<img src=x onerror=alert(1)>zeppelin”. Try")
    assert page.locator(".front img[src='x']").count() == 0
    box.fill("√")
    box.press("Enter")
    factor = next(topic for topic in FINISHED if topic.slug == "scaling")
    found.get_by_role("link", name=re.compile(factor.title)).click()
    expect(page.locator("h1")).to_have_text(factor.question)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("state dict", "A tied matrix is in it under two names"),  # closed until somebody opens it
        ("405B", "in Llama 3.1 405B sixteen times"),  # in a push-back
        ("even if nothing matches", "even if nothing matches"),
        ("FlashAttention", "FlashAttention is an approximation"),
    ],
)
def test_what_was_found_is_opened_and_in_view(front: Visit, asked: str, words: str) -> None:
    page = front(f"/?find={asked}")
    page.locator(".found a").first.click()
    seen = page.get_by_test_id("stMain").get_by_text(words).locator("visible=true")  # not the copy for paper
    expect(seen.first).to_be_in_viewport()


def test_a_word_that_is_offered_is_looked_for(front: Visit) -> None:
    page = front("/?find=varience")
    page.get_by_role("button", name="variance", exact=True).click()
    expect(page.get_by_label("Search")).to_have_value("variance")
    expect(page.locator(".found mark").first).to_have_text(re.compile("variance", re.I))
    expect(page).to_have_url(re.compile(r"/\?find=variance$"))


def test_what_was_asked_stands_in_the_address_and_survives_leaving(front: Visit) -> None:
    page = front("/?find=RoPE")
    expect(page.get_by_label("Search")).to_have_value("RoPE")
    expect(page.locator(".found mark").first).to_have_text("RoPE")
    pin(page, FIRST.slug).click()
    expect(page.locator("h1")).to_have_text(FIRST.question)
    page.locator("[data-testid=stSidebar] a").first.click()
    expect(page.get_by_label("Search")).to_have_value("RoPE")
    expect(page.locator(".found mark").first).to_have_text("RoPE")
    expect(page).to_have_url(re.compile(r"/\?find=RoPE$"))


@pytest.mark.parametrize("asked", ["variance", "RoPE", "KV cache", "gradient"])
def test_what_is_found_is_seen_without_scrolling(front: Visit, asked: str) -> None:
    page = front(f"/?find={asked}")
    last = page.locator(".found li").last
    box = last.bounding_box()
    assert box and box["y"] + box["height"] <= 900


def test_paper_is_light_in_the_dark_theme(front: Visit) -> None:
    page = front("/?find=RoPE", color_scheme="dark")
    page.wait_for_load_state("networkidle")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    for picture in page.locator(".card img").all():
        assert picture.evaluate("e => e.complete && e.src.includes('-light.png')")
    assert page.locator("svg.wide .title").first.evaluate("e => getComputedStyle(e).fill") == "rgb(29, 32, 38)"
    expect(page.locator(".found")).to_be_hidden()
    expect(page.get_by_label("Search")).to_be_hidden()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert "-dark.png" in (page.locator(".card img").first.get_attribute("src") or "")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_it_is_accessible_and_quiet(front: Visit, width: int, scheme: str) -> None:
    page = front(width=width, color_scheme=scheme)
    page.wait_for_timeout(800)
    assert not page.problems  # type: ignore[attr-defined]
    violations = Axe().run(page, context="[data-testid=stMain]").response["violations"]
    assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in violations]
    assert page.locator(".front").get_attribute("data-theme") == scheme
    for picture in page.locator(".card img").all():
        picture.scroll_into_view_if_needed()
        assert f"-{scheme}.png" in (picture.get_attribute("src") or "")
        page.wait_for_function("e => e.complete && e.naturalWidth > 0", arg=picture.element_handle())


def test_forced_colours_keep_the_pins(front: Visit) -> None:
    page = front(forced_colors="active")
    solid = pin(page, FIRST.slug).evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]")
    assert solid[0] != solid[1]
    for topic in topics():
        style = pin(page, topic.slug).evaluate("e => getComputedStyle(e).borderStyle")
        assert style == "solid"
