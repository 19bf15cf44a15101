"""Training while you watch: slices, Stop, the same result again, and a limit that says so."""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from ui import training


class Clock:
    """Time that passes only when somebody computes."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


clock = Clock()


@pytest.fixture(autouse=True)
def nobody_trains(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(training, "CLOCK", clock)
    training._running.clear()
    yield
    training._running.clear()


def page() -> None:
    import streamlit as st

    from tests.test_live import clock
    from ui import figures
    from ui.figures import Frame, Series
    from ui.training import live

    def train(steps: int):
        for i in range(1, steps + 1):
            clock.now += 1 / 32  # each step takes as long, on every machine
            if steps == 13 and i == 9:
                raise ArithmeticError("by design")
            yield i

    def draw(i: int) -> Frame:
        line = figures.lines([Series("a", [0, i])], x=[0, 1], title="t", x_title="x", y_title="y")
        return Frame((line,), f"at {i}")

    steps = int(st.query_params.get("steps", "1000"))
    live("k", "Train", train, draw, steps, share=lambda i: i / steps, shipped=7)


def opened(**query: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def reading(app: AppTest) -> str:
    (figure,) = app.get("bidi_component")
    text = figure.proto.bytes.decode("utf-8", "ignore")
    return text[text.index('"readings":["') :].split('"')[3]


def words(app: AppTest) -> str:
    """What the bar over the figure says."""
    return " ".join(bar.proto.text for bar in app.get("progress"))


def test_before_and_after() -> None:
    app = opened(steps="3")
    assert reading(app) == "at 7" and "Trained beforehand" in app.caption[0].value
    app.button(key="k:start").click().run()
    assert reading(app) == "at 3", "a short training ends within one slice"
    assert not app.button(key="k:start").disabled and not app.get("progress")
    assert not training._running, "its place is free again"


def test_a_slice_at_a_time_and_stop() -> None:
    app = opened()
    app.button(key="k:start").click().run()
    assert reading(app) == "at 1", "the beginning of this training, and not the end of the shipped one"
    assert words(app) == "Training: 0%"
    app.run()
    first = int(reading(app).split()[1])
    assert first == 8, "one run of the page computes for a fifth of a second"
    app.run()
    assert int(reading(app).split()[1]) > first
    app.button(key="k:stop").click().run()
    stood = reading(app)
    assert int(stood.split()[1]) > first, "what was computed stays"
    app.run()
    assert reading(app) == stood and not training._running


def test_a_training_that_fails_says_so_and_keeps_what_it_had() -> None:
    app = opened(steps="13")
    app.button(key="k:start").click().run()
    app.run()
    assert "The training stopped with an error: ArithmeticError." in app.warning[0].value
    assert reading(app) == "at 8" and not app.get("progress") and not training._running
    assert not app.exception and not app.button(key="k:start").disabled


def test_a_full_server_says_so_and_a_place_is_free_when_a_visitor_has_gone() -> None:
    for other in range(training.AT_ONCE):
        assert training._admitted(f"other {other}")
    app = opened()
    app.button(key="k:start").click().run()
    assert "already training for 2 other visitors" in app.warning[0].value
    assert reading(app) == "at 7" and not app.get("progress")
    # A visitor who closed the browser does not call any more.
    training._running["other 0"] -= training._PATIENCE + 1
    app.button(key="k:start").click().run()
    assert not app.warning and "Training" in words(app)


def test_who_comes_back_to_a_full_server_waits() -> None:
    app = opened()
    app.button(key="k:start").click().run()
    training._running.clear()
    for other in range(training.AT_ONCE):
        training._admitted(f"other {other}")
    app.run()
    stood = reading(app)
    assert "Waiting for a free place" in words(app)
    app.run()
    assert reading(app) == stood
    training._running.clear()
    app.run()  # shows what there is, and computes again
    app.run()
    assert reading(app) != stood and "Training" in words(app)


def test_other_arguments_begin_anew() -> None:
    app = opened()
    app.button(key="k:start").click().run()
    app.query_params["steps"] = "500"
    app.run()
    assert reading(app) == "at 7" and not app.get("progress")
