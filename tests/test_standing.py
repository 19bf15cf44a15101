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
from tests.test_pages import LESSONS, every_lesson, figures, looks
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
    for look in ("", "softer", "trained"):
        unbroken(SCALING, look)
    MEMORY.clear()
    yield
    MEMORY.clear()


def opened(path: Path, look: str = "") -> AppTest:
    """A page with its first verdict, its answer and the first proof behind it, its program and, if named, a look open."""
    app = AppTest.from_file(str(path), default_timeout=60)
    found = concept(topic_of(path.name).slug)
    for door in ("usual0", "answer", "program"):
        app.session_state[f"{found.topic.slug}:{door}"] = True
    first = next(i for i, s in enumerate(found.sentences, start=1) if s.proof)
    app.session_state[f"{found.topic.slug}:proofs"] = f"✓ measured {first}"
    app.query_params["look"] = look
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


@cache
def unbroken(path: Path, look: str = "") -> Counter[str]:
    """What the page says while nothing is broken."""
    app = opened(path, look)
    assert not apologies(app)
    return said(app)


@pytest.fixture(autouse=True)
def known_before(request: pytest.FixtureRequest) -> None:
    """What a whole page says is known before anything is broken."""
    path = getattr(request.node, "callspec", None) and request.node.callspec.params.get("path")
    if path:
        unbroken(path, "")


def missing(app: AppTest, path: Path, look: str = "") -> list[str]:
    """What stands on the page no more."""
    return list(unbroken(path, look) - said(app))


def claimed(of: Concept) -> list[str]:
    """What stands whether or not anything could be measured."""
    assert of.short is not None
    return [of.short.text, *(p.answer for p in of.push_backs), *ui.lesson.PARTS.values()]


# ------------------------------------------------------------------------------------------------ every lesson


@every_lesson
def test_a_figure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = ui.sweep._packed
    tried: set[str] = set()
    for look in looks(path):
        there = {name.split()[1] for name in unbroken(path, look) if name.startswith("figure ")}
        for broken in sorted(there - tried):
            tried.add(broken)
            if broken.endswith(":figure"):
                continue  # of a training: below

            def pack(draw: Callable, arguments: tuple, header: dict, *rest: Any, broken: str = broken) -> bytes:
                return fails() if header["key"] == broken else packed(draw, arguments, header, *rest)

            monkeypatch.setattr(ui.sweep, "_packed", pack)
            app = opened(path, look)
            assert apologies(app) == [sentence("This figure")]
            assert missing(app, path, look) == [f"figure {broken}"]
            monkeypatch.setattr(ui.sweep, "_packed", packed)
    assert tried


@every_lesson
@pytest.mark.parametrize("behind", ["verdict", "sentence"])
def test_a_proof(path: Path, behind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = concept(topic_of(path.name).slug)
    measured = ui.lesson._measured
    first = next(s.proof for s in found.sentences if s.proof)
    place = found.place(found.judgements[0].proof if behind == "verdict" else first)

    def measure(slug: str, kind: str, i: int, *mistake: int) -> Any:
        return fails() if (kind, i) == place else measured(slug, kind, i, *mistake)

    monkeypatch.setattr(ui.lesson, "_measured", measure)
    app = opened(path)
    both = first is found.judgements[0].proof
    assert apologies(app) == [sentence("This proof")] * (1 + both)
    gone = missing(app, path)
    assert not [text for text in [*claimed(found), found.judgements[0].usual] if text in gone]
    assert not [text for text in gone if text.startswith("figure")]
    assert len([text for text in gone if text.startswith(("def ", "@concept"))]) == 1, "the other proof’s code is there"


@every_lesson
def test_the_experiment_of_the_prediction(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = concept(topic_of(path.name).slug)
    monkeypatch.setattr(ui.lesson, "_outcome", fails)
    app = opened(path)
    assert found.prediction is not None
    app.pills(key=f"{found.topic.slug}:prediction").set_value(found.prediction.options[0].text).run()
    assert apologies(app) == [sentence("The prediction")]
    assert not missing(app, path)


@every_lesson
def test_the_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = concept(topic_of(path.name).slug)
    assert found.snippet is not None
    monkeypatch.setattr(found, "snippet", replace(found.snippet, template="$nobody_gives_this"))
    app = opened(path)
    assert apologies(app) == [sentence("The program")]
    gone = missing(app, path)
    assert not [text for text in claimed(found) if text in gone] and not any(t.startswith("figure") for t in gone)


# ------------------------------------------------------------------------------------------------ the real things


BROKEN = pytest.mark.usefixtures("nothing_remembered")


@BROKEN
def test_an_experiment_of_question_2_is_broken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The figure says so; the rest stands, and the traceback goes to the log."""
    from core.experiments import scaling

    monkeypatch.setattr(scaling, "response", fails)
    with caplog.at_level(logging.ERROR):
        app = opened(SCALING, "softer")
    assert apologies(app) == [sentence("This figure")]
    assert missing(app, SCALING, "softer") == ["figure jacobian_keys"]
    assert "ByDesignError" in caplog.text and "Traceback" in caplog.text


@BROKEN
def test_a_drawing_of_question_2_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.drawings import scaling

    monkeypatch.setattr(scaling, "width_frames", fails)
    app = opened(SCALING)
    assert apologies(app) == [sentence("This figure")]
    assert missing(app, SCALING) == ["figure d_k"]
    # Neither what the drawing said nor what a reader typed reaches the page.
    assert not [text for text in said(app) if "javascript" in text or "<img" in text]


@BROKEN
@pytest.mark.parametrize("at", ["core.training.retrieval.trained", "ui.training.live", "ui.controls.stops"])
def test_the_pages_own_code_between_two_calls(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at, fails)
    app = opened(SCALING, "trained")
    assert sentence("What follows in the lab") in apologies(app)
    gone = missing(app, SCALING, "trained")
    assert not [text for text in claimed(concept("scaling")) if text in gone]
    if "controls" not in at:
        assert "figure d_k" not in gone


@BROKEN
def test_a_drawing_of_a_training_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.drawings import scaling

    monkeypatch.setattr(scaling, "training_frame", fails)
    app = opened(SCALING, "trained")
    assert apologies(app) == [sentence("This figure")]
    assert missing(app, SCALING, "trained") == ["figure retrieval:figure"]


@BROKEN
def test_a_training_whose_progress_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(SCALING, "trained")
    app.button(key="retrieval:start").click().run()
    monkeypatch.setattr("ui.training.show", fails)
    app.run()
    assert apologies(app) == [sentence("This figure")]
    assert not [text for text in claimed(concept("scaling")) if text in missing(app, SCALING, "trained")]
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
