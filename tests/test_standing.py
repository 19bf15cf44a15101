"""One part at a time is broken on purpose: one sentence stands in its place, and everything else on the page is there."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import ui.lesson
import ui.sweep
from core.course import Concept, concept
from core.memory import MEMORY
from tests.test_pages import LESSONS, every_lesson, figures
from ui.nav import topic_of
from ui.standing import FAILED

SCALING = next(p for p in LESSONS if "scaling" in p.name)
APP = Path(__file__).parent.parent / "app.py"


class ByDesignError(Exception):
    pass


def fails(*_: Any, **__: Any) -> Any:
    raise ByDesignError("<img src=x> [what a reader typed](javascript:alert(1))")


@pytest.fixture
def nothing_remembered() -> Iterator[None]:
    """What is broken must not be answered from memory, nor stay in it."""
    unbroken(SCALING)
    MEMORY.clear()
    yield
    MEMORY.clear()


def opened(path: Path, *, answer: bool = True) -> AppTest:
    """A page with its answer open."""
    app = AppTest.from_file(str(path), default_timeout=60)
    if answer:
        app.session_state[f"{topic_of(path.name).slug}:answer"] = True
    return app.run()


def apologies(app: AppTest) -> list[str]:
    assert not app.exception, [e.value for e in app.exception]
    return [w.value.removesuffix("(/).") for w in app.warning if FAILED in w.value]


def said(app: AppTest) -> Counter[str]:
    """Every text and every figure on the page."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.code)
    texts = Counter(str(element.value) for kind in kinds for element in kind)
    return texts + Counter(f"figure {head['key']}" for head, _ in figures(app))


def sentence(part: str) -> str:
    return f"{part} {FAILED} [Open the lesson with its defaults]"


@pytest.fixture
def whole(path: Path) -> Counter[str]:
    """What the page says while nothing is broken."""
    return unbroken(path)


@cache
def unbroken(path: Path) -> Counter[str]:
    app = opened(path)
    assert not apologies(app)
    return said(app)


def claimed(of: Concept) -> list[str]:
    """The sentences of a lesson, which stand whether or not anything could be measured."""
    return [
        *(s.text for s in of.sentences),
        *(c.better for c in of.corrections),
        *(p.answer for p in of.push_backs),
        "Lab",
        "Code",
        "Sources",
    ]


# ------------------------------------------------------------------------------------------------ every lesson


@every_lesson
def test_a_figure(path: Path, whole: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    packed = ui.sweep._packed
    keys = [name.split()[1] for name in whole if name.startswith("figure ") and not name.endswith(":figure")]
    assert keys
    for broken in keys:

        def pack(draw: Callable, arguments: tuple, header: dict, *rest: Any, broken: str = broken) -> bytes:
            return fails() if header["key"] == broken else packed(draw, arguments, header, *rest)

        monkeypatch.setattr(ui.sweep, "_packed", pack)
        app = opened(path)
        assert apologies(app) == [sentence("This figure")]
        assert whole - said(app) == Counter([f"figure {broken}"])


@every_lesson
@pytest.mark.parametrize("kind", ["sentences", "corrections"])
def test_a_proof(path: Path, whole: Counter[str], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = concept(topic_of(path.name).slug)
    measured = ui.lesson._measured
    claims = getattr(found, kind)
    index = next(i for i, claim in enumerate(claims) if claim.proof)

    def measure(slug: str, of: str, i: int, *mistake: int) -> Any:
        return fails() if (of, i) == (kind, index) else measured(slug, of, i, *mistake)

    monkeypatch.setattr(ui.lesson, "_measured", measure)
    app = opened(path)
    assert apologies(app) == [sentence("This proof")]
    gone = whole - said(app)
    assert not [text for text in claimed(found) if text in gone]
    assert not [text for text in gone if text.startswith("figure")]
    proofs = len([text for text in gone if text.startswith("def ") or text.startswith("@concept")])
    assert proofs == 1, "the code of the other proofs is there"


@every_lesson
def test_the_experiment_of_the_prediction(path: Path, whole: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = concept(topic_of(path.name).slug)
    monkeypatch.setattr(ui.lesson, "_outcome", fails)
    app = opened(path)
    assert found.prediction is not None
    app.radio(key=f"{found.topic.slug}:prediction").set_value(found.prediction.options[0].text).run()
    assert apologies(app) == [sentence("The prediction")]
    assert set(whole - said(app)) <= {"Choose before you look at the numbers; nothing is locked."}


@every_lesson
def test_the_program(path: Path, whole: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = concept(topic_of(path.name).slug)
    assert found.snippet is not None
    monkeypatch.setattr(found, "snippet", replace(found.snippet, template="$nobody_gives_this"))
    app = opened(path)
    assert apologies(app) == [sentence("The program")]
    gone = whole - said(app)
    assert not [text for text in claimed(found) if text in gone] and not any(t.startswith("figure") for t in gone)


# ------------------------------------------------------------------------------------------------ the real things


BROKEN = pytest.mark.usefixtures("nothing_remembered")


@BROKEN
def test_an_experiment_of_question_2_is_broken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both the figure and whatever is proved with it say so; the rest stands, and the traceback goes to the log."""
    from core.experiments import scaling

    monkeypatch.setattr(scaling, "response", fails)
    with caplog.at_level(logging.ERROR):
        app = opened(SCALING)
    assert sentence("This figure") in apologies(app) and set(apologies(app)) <= {
        sentence("This figure"),
        sentence("This proof"),
    }
    gone = unbroken(SCALING) - said(app)
    assert not [text for text in claimed(concept("scaling")) if text in gone]
    assert [text for text in gone if text.startswith("figure")] == ["figure jacobian_keys"]
    assert "ByDesignError" in caplog.text and "Traceback" in caplog.text


@BROKEN
def test_a_drawing_of_question_2_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.drawings import scaling

    monkeypatch.setattr(scaling, "width_frames", fails)
    app = opened(SCALING)
    assert apologies(app) == [sentence("This figure")]
    assert unbroken(SCALING) - said(app) == Counter(["figure d_k"])
    # Neither what the drawing said nor what a reader typed reaches the page.
    assert not [text for text in said(app) if "javascript" in text or "<img" in text]


@BROKEN
@pytest.mark.parametrize("at", ["core.training.retrieval.trained", "ui.training.live", "ui.controls.whole"])
def test_the_pages_own_code_between_two_calls(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at, fails)
    app = opened(SCALING)
    assert sentence("What follows in the lab") in apologies(app)
    gone = unbroken(SCALING) - said(app)
    assert not [text for text in claimed(concept("scaling")) if text in gone]
    if "controls" not in at:
        assert not [text for text in gone if text in ("figure d_k", "figure jacobian_keys")]


@BROKEN
def test_a_drawing_of_a_training_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.drawings import scaling

    monkeypatch.setattr(scaling, "training_frame", fails)
    app = opened(SCALING)
    assert apologies(app) == [sentence("This figure")]
    assert unbroken(SCALING) - said(app) == Counter(["figure retrieval:figure"])


@BROKEN
def test_a_training_whose_progress_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(SCALING)
    app.button(key="retrieval:start").click().run()
    monkeypatch.setattr("ui.training.show", fails)
    app.run()
    assert apologies(app) == [sentence("This figure")]
    assert not [text for text in claimed(concept("scaling")) if text in unbroken(SCALING) - said(app)]
    app.button(key="retrieval:stop").click().run()


# ------------------------------------------------------------------------------------------------ around the lessons


@BROKEN
def test_the_search_of_the_front_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.map.find", fails)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.text_input(key="find").set_value("variance").run()
    assert apologies(app) == [sentence("The search")]
    assert [e for e in app.get("bidi_component") if "topics" in e.proto.json], "the map stands"


def test_a_page_that_fails_outside_of_its_parts() -> None:
    """AppTest goes past app.py to a page of its own; so here is what app.py runs, around such a page."""

    def app() -> None:
        import streamlit as st

        from ui import nav

        class Page:
            def run(self) -> None:
                st.title("The question")
                raise ImportError("by design")

        nav.Routed(Page()).run()  # type: ignore[arg-type]

    ran = AppTest.from_function(app).run()
    assert apologies(ran) == [sentence("The rest of this page")]
    assert ran.title[0].value == "The question" and len(ran.get("bidi_component")) == 1, "and the address is told"


def test_a_path_that_a_visitor_made_up_is_no_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.visit.path", lambda: "/x) [y](javascript:alert(1)) <b>*z*</b>")

    def page() -> None:
        from ui.standing import standing

        with standing():
            raise ValueError("<i>hello</i>")

    app = AppTest.from_function(page).run()
    (said,) = app.warning
    assert said.value.count("](") == 1 and not {"<", "*", "["} & set(said.value.split("](")[1])
    assert said.value.endswith(").") and said.value.count(")") == 1


def test_the_signals_of_streamlit_pass_through() -> None:
    def page() -> None:
        import streamlit as st

        from ui.standing import standing

        with standing():
            if st.session_state.setdefault("runs", 0) < 2:
                st.session_state["runs"] += 1
                st.rerun()
            st.write(f"run {st.session_state['runs']}")
            st.stop()
        st.write("never")

    app = AppTest.from_function(page).run()
    assert [m.value for m in app.markdown] == ["run 2"] and not app.warning
