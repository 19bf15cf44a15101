"""A lesson on paper: what Ctrl+P and `page.pdf()` give is a hand-out, on A4 and on Letter, from either theme."""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from playwright.sync_api import Page, expect
from pypdf import PageObject, PdfReader

from core.course import concept
from ui.nav import lessons

SLUGS = [topic.slug for topic in lessons()]
SIZES = {"A4": (595, 842), "Letter": (612, 792)}  # points
MARGIN = 15 / 25.4 * 72
NOT_ON_PAPER = (
    "Take it with you",
    "Save the program",
    "Say it aloud first",
    "Start the clock",
    "Present",
    "Choose one to run it",
)


def opened(visit: Callable[..., Page], address: str, **how: object) -> Page:
    """A page with all of its parts, and every figure drawn."""
    page = visit(address, **how)
    page.get_by_text("This page in exactly this state:").wait_for(state="attached")
    page.wait_for_function("[...document.querySelectorAll('.tt')].every((figure) => figure.dataset.drawn)")
    page.wait_for_function("[...document.querySelectorAll('[data-testid=stCode]')].every((code) => code.textContent)")
    page.wait_for_timeout(300)
    return page


def for_paper(page: Page) -> None:
    """Every figure has been drawn anew."""
    page.wait_for_function("[...document.querySelectorAll('.tt')].every((figure) => figure.dataset.paper === 'true')")
    page.wait_for_timeout(300)


def printed(page: Page, size: str) -> PdfReader:
    return PdfReader(BytesIO(page.pdf(format=size)))


Box = tuple[str, float, float, float, float]


def words(page: PageObject) -> list[Box]:
    """The level pieces of text with a box that each surely fills: its letters may be wider, but not narrower."""
    found: list[Box] = []

    def visit(text: str, cm: list[float], tm: list[float], _: object, size: float) -> None:
        across, up = tm[0] * cm[0] + tm[1] * cm[2], tm[0] * cm[1] + tm[1] * cm[3]
        x, y = (tm[4] * cm[i] + tm[5] * cm[i + 2] + cm[i + 4] for i in (0, 1))
        if text.strip() and abs(up) < 0.1:
            high, letters = size * across, len(text.strip().replace("′", ""))  # a prime is narrower than any letter
            found.append((text.strip(), x, y - 0.2 * high, x + 0.35 * high * letters, y + 0.7 * high))

    page.extract_text(visitor_text=visit)
    return found


def overlapping(boxes: list[Box]) -> Iterator[tuple[str, str]]:
    for (a, left, low, right, high), (b, left2, low2, right2, high2) in itertools.combinations(boxes, 2):
        # Pieces of one line touch each other, and may.
        if abs(low - low2) > 1 and left < right2 and left2 < right and low < high2 and low2 < high:
            yield a, b


def squeezed(text: str) -> str:
    """Without spaces, which a line break may have taken, and with ligatures undone."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def phrases(text: str) -> list[str]:
    """What of a sentence is words alone: formulas and marks are set in another way."""
    return [squeezed(run) for run in re.findall(r"[A-Za-z]+(?: [A-Za-z]+){2,}", text)]


def drawn(pdf: PdfReader) -> tuple[set[bytes], set[str]]:
    """The colours of the pages, and their pictures."""
    colours, pictures = set(), set()
    for page in pdf.pages:
        contents = page.get_contents()
        assert contents is not None
        colours |= set(re.findall(rb"([\d.]+ [\d.]+ [\d.]+) (?:rg|RG)\b", contents.get_data()))
        for item in page["/Resources"].get("/XObject", {}).values():
            if (item := item.get_object())["/Subtype"] == "/Image":
                pictures.add(hashlib.sha256(item.get_data()).hexdigest())
    return colours, pictures


GEOMETRY = """() => {
  const main = document.querySelector("[data-testid=stMain]");
  const shown = [...main.querySelectorAll("*")].filter((e) => e.checkVisibility({ visibilityProperty: true }));
  const box = (e) => e.getBoundingClientRect(), name = (e) => `${e.dataset.testid ?? e.className} ${e.textContent.slice(0, 50)}`;
  const wide = shown.filter((e) => !e.closest("svg svg, svg g, defs, .katex") && box(e).width && box(e).height
    && (box(e).right > innerWidth + 1 || box(e).left < -1) && getComputedStyle(e).clipPath === "none");
  const blocks = [...main.querySelectorAll("[data-testid=stElementContainer], .tt-panels figure, .tt-reading, .tt-control")]
    .filter((e) => e.checkVisibility() && box(e).height > 0 && !e.querySelector(".tt"));
  const touching = [];
  blocks.forEach((a, i) => blocks.slice(i + 1).forEach((b) => {
    const [p, q] = [box(a), box(b)];
    if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 1)
      touching.push([name(a), name(b)]);
  }));
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => { const [r, g, b] = parts(colour); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const pale = shown.filter((e) => own(e) && !e.closest(".katex, svg") && light(getComputedStyle(e).color) > 110);
  const grounds = shown.filter((e) => !e.closest("svg") && (parts(getComputedStyle(e).backgroundColor)[3] ?? 1) > 0
    && light(getComputedStyle(e).backgroundColor) < 200 && box(e).width > 20);
  const figures = [...main.querySelectorAll(".tt-plot")].filter((plot) => {
    const svg = box(plot.querySelector("svg.main-svg")), around = box(plot.closest("figure"));
    return Math.abs(svg.width - around.width) > 1 || svg.bottom > around.bottom + 1;
  });
  const faint = [...main.querySelectorAll(".tt-plot .xtick text, .tt-plot .ytick text, .tt-plot .legendtext")]
    .filter((e) => light(getComputedStyle(e).fill) > 110);
  return Object.fromEntries(Object.entries({ wide, touching, pale, grounds, figures, faint })
    .filter(([_, found]) => found.length).map(([what, found]) => [what, found.slice(0, 4).map((e) => e.outerHTML ? name(e) : e)]));
}"""

FIRST = "scaling"  # what has the same cause in every lesson is looked at in one of them


@pytest.mark.parametrize("slug", SLUGS)
def test_a_lesson_is_a_hand_out(server: str, visit: Callable[..., Page], slug: str) -> None:
    asked = concept(slug)
    page = opened(visit, f"{server}/{slug}?look={asked.looks[0].name}", dark=True)
    assert asked.short is not None
    said = [asked.short.text, asked.looks[0].claim.text, *(s.text for s in asked.sentences)]
    said += [*(j.better for j in asked.judgements), *(p.answer for p in asked.push_backs)]
    pdfs = {size: printed(page, size) for size in (SIZES if slug == FIRST else ["A4"])}
    for size, pdf in pdfs.items():
        wide, high = SIZES[size]
        for sheet in pdf.pages:
            assert abs(float(sheet.mediabox.width) - wide) < 2 and abs(float(sheet.mediabox.height) - high) < 2
            boxes = words(sheet)
            assert not list(overlapping(boxes)), size
            outside = [
                t
                for t, left, low, right, top in boxes
                if min(left, low) < MARGIN - 3 or right > wide - MARGIN + 3 or top > high - MARGIN + 3
            ]
            assert not outside, size
        text = "".join(squeezed(sheet.extract_text()) for sheet in pdf.pages)
        assert squeezed(asked.topic.question) in text
        for judged in asked.judgements:
            assert squeezed(judged.verdict.removesuffix(" …")) in text, "a bullet without its verdict looks endorsed"
        missing = [phrase for sentence in said for phrase in phrases(sentence) if phrase not in text]
        assert not missing, size
        for chrome in NOT_ON_PAPER:
            assert squeezed(chrome) not in text, size
    page.emulate_media(media="print", color_scheme="dark")
    for across in (680, 703) if slug == FIRST else (680,):  # CSS pixels of A4 and of Letter
        page.set_viewport_size({"width": across, "height": 1000})
        for_paper(page)
        assert page.evaluate(GEOMETRY) == {}, across
    # Nothing to press: what is left of the buttons are the verdicts and what was chosen of several, as words in their shapes.
    expect(page.get_by_role("button").and_(page.locator(":not([aria-pressed=true])"))).to_have_count(
        len(asked.judgements)
    )
    if slug != FIRST:
        return
    # Out of the dark theme comes what comes out of the light one.
    light = printed(opened(visit, page.url), "A4")
    assert drawn(pdfs["A4"]) == drawn(light)
    assert len(pdfs["A4"].pages) == len(light.pages)


def test_the_answer_for_paper_is_not_on_the_screen(server: str, visit: Callable[..., Page]) -> None:
    """Nobody hears it twice, and nobody sees it before she has said it."""
    page = opened(visit, f"{server}/scaling")
    paper = page.locator("[class*='st-key-on_paper']")
    expect(paper).to_have_count(3)
    for i in range(3):
        expect(paper.nth(i)).to_be_hidden()
    sentence = phrases(concept("scaling").sentences[0].text)[0]
    heard = squeezed(page.get_by_test_id("stMain").aria_snapshot())
    assert sentence not in heard and squeezed("In 30 seconds") in heard
    page.emulate_media(media="print")
    for i in range(3):
        expect(paper.nth(i)).to_be_visible()


LOOK = """() => [...document.querySelectorAll(".tt-plot")].map((plot) => [plot.querySelector("svg").getAttribute("width"),
  ...[...plot.querySelectorAll(".xtick text, .js-line, .point path")].slice(0, 20).map((e) => e.getAttribute("style"))])"""


def test_printing_leaves_the_screen_as_it_was(server: str, visit: Callable[..., Page]) -> None:
    page = opened(visit, f"{server}/scaling", dark=True)
    before = page.evaluate(LOOK)
    page.pdf(format="A4")
    assert page.evaluate(LOOK) == before
    page.locator("#tt-d_k").press("End")
    expect(page.locator(".tt-reading").first).to_contain_text("At width 1024 ")
    assert [row[0] for row in page.evaluate(LOOK)] == [row[0] for row in before]
