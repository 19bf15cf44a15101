"""Question 7 in the browser: one visitor trains, others notice nothing, and nothing goes on that nobody watches."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.conftest import PATIENCE, RESTS, ends, program, rests, seconds, serve, until, works

WAIT = 1000 * PATIENCE  # milliseconds
SLOWEST = "/pre_post_norm?look=cells&train_order=Pre-Norm"  # twelve layers


@pytest.fixture
def own_server():
    """A server whose computing time is its visitors' alone."""
    process, url = serve()
    yield process.pid, url
    ends(process)


def train(page: Page) -> None:
    page.wait_for_function(RESTS)
    start, runs = page.get_by_role("button", name="Train this cell"), page.get_by_text("Training: ")

    def starts() -> bool:
        """A press while the page is still being made can get lost; and the place of a training that was left is free a few
        seconds later, until when one is told."""
        if start.is_enabled():
            start.click()
        told = page.get_by_text("already training for 2 other visitors")
        try:
            runs.or_(told).first.wait_for(timeout=10_000)
        except TimeoutError:
            return False
        return runs.count() > 0

    until(starts, "the training has begun")
    page.get_by_text("the shipped curve").wait_for(timeout=WAIT)  # the first slice has been computed


def step(page: Page) -> int:
    """How far the training has come, by its own reading."""
    said = page.get_by_text("the shipped curve").inner_text()
    return int(said.split("after step ")[1].split()[0])


def test_one_trains_and_the_other_moves_a_control(own_server: tuple[int, str], visit: Callable[..., Page]) -> None:
    _, url = own_server
    trainer, other = visit(url + SLOWEST), visit(f"{url}/scaling")
    train(trainer)
    expect(trainer.get_by_role("button", name="Stop")).to_be_enabled()
    # The curve grows while it is trained, not only the bar.
    seen = {step(trainer)}
    while trainer.get_by_text("Training: ").count() and len(seen & set(range(1, 300))) < 3:
        seen.add(step(trainer))
        trainer.wait_for_timeout(100)
    assert len(seen & set(range(1, 300))) >= 3, seen
    # A control that asks the server, and one that does not, while the training goes on.
    other.get_by_role("slider", name="Keys N").press("Home")
    program(other, 64, 2)
    assert trainer.get_by_text("Training: ").count() == 1, "the other one did not wait for the end"
    other.locator("#tt-d_k").press("Home")
    expect(other.locator("#tt-d_k")).to_have_attribute("aria-valuetext", "1")
    # Two may train; a third is told.
    second, third = visit(url + SLOWEST), visit(url + SLOWEST)
    train(second)
    if trainer.get_by_text("Training: ").count():
        third.get_by_role("button", name="Train this cell").click()
        # Or it is let in, when one of the two has just come to its end.
        told, admitted = third.get_by_text("already training for 2 other visitors"), third.get_by_text("Training: ")
        expect(told.or_(admitted).first).to_be_visible(timeout=WAIT)
    # And the training was not lost over it.
    expect(trainer.get_by_text("after step 300 ")).to_be_visible(timeout=WAIT)
    said = trainer.get_by_text("the shipped curve").inner_text()
    assert "Pre-Norm, 12 layers, learning rate 0.003, no warm-up, seed 0" in said


@pytest.mark.parametrize("how", ["another page", "closed"])
def test_nothing_goes_on_when_the_trainer_has_left(
    own_server: tuple[int, str], visit: Callable[..., Page], how: str
) -> None:
    pid, url = own_server
    page = visit(url + SLOWEST)
    train(page)
    works(pid)
    left = seconds(pid)
    if how == "closed":
        page.close()
    else:
        page.get_by_role("link", name="The map").first.click()
        expect(page.get_by_text("Twenty").first).to_be_visible()
    rests(pid)
    # Of computing time, which a busy machine does not change: the whole training takes 12 s.
    assert seconds(pid) - left < 6, "it went on to its end"
    # The place is free at once for two others.
    for other in (visit(url + SLOWEST), visit(url + SLOWEST)):
        train(other)


def test_stop_stops_and_the_same_seed_gives_the_same_curve(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/pre_post_norm?look=cells&train_depth=8&train_order=Pre-Norm&train_seed=2")
    train(page)
    page.get_by_role("button", name="Stop").click()
    start = page.get_by_role("button", name="Train this cell")
    expect(start).to_be_enabled(timeout=WAIT)
    expect(page.get_by_text("Training: ")).to_have_count(0, timeout=WAIT)

    def stands() -> bool:  # the button comes back before the figure of the last slice has been drawn
        seen = step(page)
        page.wait_for_timeout(1500)
        return step(page) == seen < 300

    until(stands, "the curve grows no more, short of its end")
    start.click()
    expect(page.get_by_text("after step 300 ")).to_be_visible(timeout=WAIT)
    said = page.get_by_text("the shipped curve").inner_text()
    assert "seed 2" in said
    expect(page.get_by_text("Training: ")).to_have_count(0, timeout=WAIT)
