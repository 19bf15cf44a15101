"""The form of a lesson, as a browser shows it: one screen, looks one at a time, the clock, the presentation."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from core.course import concept
from tests.browser.conftest import faultless, program
from ui.lesson import PARTS
from ui.nav import NAME, lessons

Visit = Callable[..., Page]
SLUGS = [topic.slug for topic in lessons()]
every_lesson = pytest.mark.parametrize("slug", SLUGS)
HERO = ".st-key-hero .tt"


def rests(page: Page) -> None:
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
        f" && document.querySelector('{HERO}')?.dataset.drawn"
    )
    page.wait_for_timeout(300)


def bottom(page: Page, selector: str) -> float:
    return page.locator(selector).last.evaluate("e => e.getBoundingClientRect().bottom")


def top(page: Page, selector: str) -> float:
    return page.locator(selector).first.evaluate("e => e.getBoundingClientRect().top")


@every_lesson
def test_on_a_laptop(server: str, visit: Visit, slug: str) -> None:
    """Everything from the question to the reading is one screen."""
    page = visit(f"{server}/{slug}", dark=slug == "masking")
    rests(page)
    assert bottom(page, f"{HERO} .tt-reading") <= 900
    assert page.title().endswith(NAME) and concept(slug).topic.title in page.title()
    short = concept(slug).short
    assert short is not None
    expect(page.locator("meta[name=description]")).to_have_attribute("content", short.text)
    faultless(page)


@every_lesson
def test_on_a_phone(server: str, visit: Visit, slug: str) -> None:
    """Control, picture and reading are one screen."""
    page = visit(f"{server}/{slug}", width=390, dark=slug != "masking")
    rests(page)
    page.wait_for_timeout(700)
    shown = bottom(page, f"{HERO} .tt-reading") - top(page, HERO)
    assert shown <= 844, f"from the control to the end of the reading are {shown:.0f} pixels"
    faultless(page)


@every_lesson
def test_a_slide_for_a_room(server: str, visit: Visit, slug: str) -> None:
    page = visit(f"{server}/{slug}?present=true", width=1920)
    page.set_viewport_size({"width": 1920, "height": 1080})
    rests(page)
    page.wait_for_timeout(700)
    assert bottom(page, f"{HERO} .tt-reading") <= 1080
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    page.get_by_text("The answer", exact=True).click()
    expect(page.locator(".st-key-short_answer")).to_be_visible()
    rests(page)
    page.wait_for_timeout(700)
    assert bottom(page, ".st-key-short_answer") <= 1080, "the room sees the answer beside the picture"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_one_look_is_open_at_a_time_and_in_the_address(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    rests(page)
    looks = page.locator(".st-key-looks [data-testid=stButtonGroup] button")
    claims = [look.claim.text.rstrip(".") for look in concept("scaling").looks]
    assert [text.strip() for text in looks.all_inner_texts()] == claims
    for i, control in ((1, "#tt-jacobian_keys"), (0, "#tt-rows_d_k")):
        looks.nth(i).click()
        page.wait_for_selector(control)
        expect(page).to_have_url(re.compile(f"look={concept('scaling').looks[i].name}$"))
        expect(page.locator("h3").filter(has_text=claims[i])).to_be_visible()
    assert page.locator("#tt-jacobian_keys").count() == 0
    looks.nth(0).click()
    expect(page.locator("#tt-rows_d_k")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/scaling$"))
    assert page.evaluate("history.length") == 2


def test_the_clock_runs_in_the_browser(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    rests(page)
    clock = page.locator(".tt-clock")
    expect(clock).to_have_text("Start the clock: 30 s")
    clock.click()
    expect(clock).to_have_text(re.compile(r"^2\d s left"))
    page.locator("#tt-d_k").press("End")  # a run of the page does not stop it
    program(page, 1024)
    expect(clock).to_have_text(re.compile(r"^\d+ s left"))
    clock.click()
    expect(clock).to_have_text("Start the clock: 30 s")


def test_a_verdict_and_a_sentence_open_their_proof(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    rests(page)
    judged = concept("scaling").judgements[2]
    page.locator("[class*='st-key-verdict_'] button").nth(2).click()
    body = page.get_by_test_id("stPopoverBody")
    expect(body.get_by_text("promised").first).to_be_visible()
    expect(body.get_by_text(judged.proof.__name__)).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_text("Say it aloud first, then open").click()
    answer = page.get_by_test_id("stExpander").filter(has_text="Say it aloud first")
    expect(answer.get_by_text(concept("scaling").sentences[0].text)).to_be_visible()
    answer.get_by_text("✓ measured 2", exact=True).click()
    expect(answer.get_by_text("scaling_restores_unit_variance")).to_be_visible()


def test_presenting(server: str, visit: Visit) -> None:
    """Arrows move the hero wherever the focus is; n and p turn the pages; Esc leaves; phones get the lesson itself."""
    page = visit(f"{server}/scaling")
    rests(page)
    page.get_by_role("button", name="Present").click()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"present=true"))
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tt-d_k")).to_have_attribute("aria-valuetext", "128")
    expect(page).to_have_url(re.compile(r"d_k=128"))
    page.get_by_text("Open on your phone").click()
    said = page.get_by_test_id("stPopoverBody").locator("pre")
    expect(said).to_have_text(re.compile(r"/scaling\?d_k=128$"))
    assert page.get_by_test_id("stPopoverBody").locator("img, svg").count() >= 1
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("n")
    here, after = lessons()[SLUGS.index("scaling") :][:2]
    expect(page.locator("h1")).to_have_text(after.question)
    expect(page).to_have_url(re.compile(r"present=true"))
    page.wait_for_selector(".tt[data-drawn]")
    page.keyboard.press("p")
    expect(page.locator("h1")).to_have_text(here.question)
    page.wait_for_selector(".tt[data-drawn]")
    rests(page)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    expect(page).not_to_have_url(re.compile(r"present"))


def test_a_question_that_is_named_opens_beside_the_one_that_is_read(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling?look=trained")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="question 17", exact=True).click()
    assert opened.value.url == f"{server}/warmup"
    expect(opened.value.locator("h1")).to_have_text(concept("warmup").topic.question)
    assert "/scaling" in page.url


def test_the_sidebar_is_the_course(server: str, visit: Visit) -> None:
    page = visit(f"{server}/scaling")
    rests(page)
    course = page.get_by_test_id("stSidebar")
    links = [text.strip() for text in course.get_by_test_id("stPageLink").all_inner_texts()]
    assert [re.split(r"\s", text, maxsplit=1)[0] for text in links[1:]] == [str(t.number) for t in lessons()]
    for anchor, name in PARTS.items():
        expect(course.get_by_role("link", name=name, exact=True)).to_have_attribute("href", f"#{anchor}")
    course.get_by_role("link", name=PARTS["push-back"], exact=True).click()
    page.wait_for_function("Math.abs(document.getElementById('push-back').getBoundingClientRect().top) < 500")
