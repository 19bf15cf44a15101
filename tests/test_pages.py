"""Every page runs: at its defaults, at both ends of every control, and whatever a URL carries."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from core.course import concept
from tests.test_sweep import resolve, unpacked
from ui.nav import linked, topic_of
from ui.standing import FAILED

PAGES = sorted((Path(__file__).parent.parent / "pages").glob("*.py"))
LESSONS = [p for p in PAGES if not p.name.startswith("00")]
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)

HOSTILE = ("<script>alert(1)</script>", "1e99", "-1", "abc", "nan", "", "\u202e\x00x", "y" * 5000, "1/0/1")


def looks(path: Path) -> list[str]:
    """The second looks of a lesson, by name; of any page also none at all."""
    if path not in LESSONS:
        return [""]
    return ["", *(look.name for look in concept(topic_of(path.name).slug).looks)]


def opened(path: Path, **query: str) -> AppTest:
    app = AppTest.from_file(str(path), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return checked(app.run())


def checked(app: AppTest) -> AppTest:
    assert not app.exception, [e.value for e in app.exception]
    assert not [w.value for w in app.warning if FAILED in w.value], (
        "a part failed: its traceback is in the captured log"
    )
    for element in [*app.markdown, *app.caption, *app.title, *app.header, *app.text]:
        text = str(element.value)
        assert not [c for c in text if unicodedata.category(c) == "Cc" and c != "\n"], text
    return app


def controls(app: AppTest) -> list:
    kinds = ("slider", "select_slider", "number_input", "selectbox", "radio", "toggle", "text_input", "checkbox")
    return [w for kind in kinds for w in app.get(kind) if w.key and ":" not in w.key]


def ends(widget) -> Iterator[object]:
    match widget.type:
        case "slider" | "number_input":
            yield from (end for end in (widget.min, widget.max) if end is not None)
        case "selectbox" | "radio" | "select_slider":
            # Of a long list (all published models), the first, the last and some between.
            yield from widget.options[:: max(1, len(widget.options) // 12)]
            yield widget.options[-1]
        case "toggle" | "checkbox":
            yield from (True, False)


def figures(app: AppTest) -> Iterator[tuple[dict, list]]:
    """What the page has sent to its figures: the header and the arrays of each."""
    for element in app.get("bidi_component"):
        if element.proto.bytes:  # the other component tells the browser what was used (ui/visit.py)
            yield unpacked(element.proto.bytes[4:])


def sweeps(app: AppTest) -> dict[str, list[str]]:
    """The scrubbable figures of a page: their URL parameter and the values that it takes."""
    found = {}
    for head, _ in figures(app):
        if "parameter" in head:
            found[head["parameter"]] = head["tokens"]
        assert all(head["readings"]), "a figure without its reading"
    return found


def known(head: dict, arrays: list) -> None:
    """Charts are plain dictionaries (docs/decisions/0007); go.Figure raises for what plotly.js would pass over."""
    for frame in {0, len(head["readings"]) - 1}:
        for panel in head["panels"]:
            drawn = resolve(panel, arrays, frame)
            go.Figure(drawn)
            for trace in drawn["data"]:
                written = trace.get("texttemplate", "%{z:.2f}")
                own = written == "%{text}" and "text" in trace  # words of its own, such as “<.01”
                assert own or re.fullmatch(r"%\{z:\.\d[a-z]\}", written), f"{written!r} is no number format"


@every_page
def test_each_look_shows_what_only_it_shows(path: Path) -> None:
    """A look has its figures when it is open, and leaves nothing on the page when it is not."""
    app = opened(path)
    assert app.title
    closed = {head["key"]: (head, arrays) for head, arrays in figures(app)}
    for head, arrays in closed.values():
        known(head, arrays)
    if path not in LESSONS:
        return
    for look in concept(topic_of(path.name).slug).looks:
        app = opened(path, look=look.name)
        new = [(head, arrays) for head, arrays in figures(app) if head["key"] not in closed]
        assert new, f"the look {look.name!r} shows nothing"
        for head, arrays in new:
            known(head, arrays)
        assert look.claim.text in [h.value for h in app.subheader]
        assert f"look={look.name}" in app.code[-1].value
    assert "look" not in opened(path, look="nonsense").code[-1].value


@every_lesson
def test_everything_that_can_be_opened(path: Path) -> None:
    """Each verdict with its measurement, what else is said, the answer with its proofs, the program, the functions."""
    found = concept(topic_of(path.name).slug)
    slug, app = found.topic.slug, AppTest.from_file(str(path), default_timeout=60)
    others = [i for i, c in enumerate(found.corrections) if c.proof not in {j.proof for j in found.judgements}]
    doors = [f"usual{i}" for i in range(len(found.judgements))] + [f"said{i}" for i in others]
    for door in (*doors, "said", "answer", "program", "functions"):
        app.session_state[f"{slug}:{door}"] = True
    for i, sentence in enumerate(found.sentences, start=1):
        app.session_state[f"{slug}:proofs"] = f"{'✓ measured' if sentence.proof else '§ cited'} {i}"
        told = checked(app.run())
        shown = " ".join(str(m.value) for m in told.markdown)
        assert linked(sentence.text) in shown
    for judged in found.judgements:
        assert judged.usual in shown and linked(judged.better) in shown
        kind, place = found.place(judged.proof)
        assert found.of(kind)[place].evidence().parts[0].what in shown, f"“{judged.usual}” opens its measurement"
    assert all(linked(found.corrections[i].better) in shown for i in others)
    codes = " ".join(str(c.value) for c in told.code)
    assert "import torch" in codes and "def " in codes and found.snippet


@every_lesson
def test_a_lesson_is_presented(path: Path) -> None:
    """Without what a room does not need, and what it shall guess first hidden until it is asked for."""
    found = concept(topic_of(path.name).slug)
    assert found.prediction is not None and found.short is not None
    app = opened(path, present="true")
    shown = " ".join(str(m.value) for m in app.markdown)
    assert (
        linked(found.short.text) in shown and found.answer not in shown and not app.header and not app.sidebar.markdown
    )
    app.pills(key=f"{found.topic.slug}:prediction").set_value(found.prediction.options[0].text).run()
    assert not [*app.success, *app.info]
    app.toggle(key=f"{found.topic.slug}:outcome").set_value(True).run()
    assert len([*app.success, *app.info]) == 1
    app.toggle(key=f"{found.topic.slug}:shown").set_value(True)
    app.session_state["present:code"] = True
    told = checked(app.run())
    assert found.answer in [m.value for m in told.markdown]
    assert [c.value for c in told.code if "present" not in c.value], "the phones get the lesson itself"
    assert [m.label for m in app.button if m.key == f"{found.topic.slug}:present"] == ["Leave"]


def shown(app: AppTest) -> int:
    """All that the page draws and writes, as one number."""
    drawn = [(repr(head), [array.tobytes() for array in arrays]) for head, arrays in figures(app)]
    # A refusal is an answer too.
    written = [*app.markdown, *app.metric, *app.table, *app.code, *app.warning, *app.text]
    return hash((repr(drawn), *(repr(element.value) for element in written)))


def own(path: Path) -> Iterator[tuple[str, set[str], AppTest]]:
    """Each look, the controls that only it has, and the page with it."""
    always: set[str] = set()
    for look in looks(path):
        app = opened(path, look=look)
        there = {w.key for w in controls(app)} | set(sweeps(app))
        yield look, there - always, app
        always |= there if not look else set()


@every_lesson
def test_both_ends_of_every_control(path: Path) -> None:
    for look, keys, start in own(path):
        app = start
        for widget in controls(start):
            if widget.key not in keys:
                continue
            seen = {shown(app)}
            for value in ends(widget):
                current = next(w for w in controls(app) if w.key == widget.key)
                checked(current.set_value(value).run())
                seen.add(shown(app))
            assert len(seen) > 1 or not [*ends(widget)], f"{widget.key} moves, and nothing that is shown moves with it"
            app = opened(path, look=look)


@every_page
def test_both_ends_of_every_sweep(path: Path) -> None:
    for look, keys, app in own(path):
        for key, tokens in sweeps(app).items():
            for token in (tokens[0], tokens[-1]) if key in keys else ():
                opened(path, look=look, **{key: token})


@cache
def parameters(path: Path, look: str) -> list[str]:
    """What a link to this page can say."""
    app = opened(path, look=look)
    return [*(w.key for w in controls(app)), *sweeps(app)]


@every_lesson
@pytest.mark.parametrize("nonsense", HOSTILE, ids=lambda s: ascii(s)[:12])
def test_a_hostile_address(path: Path, nonsense: str) -> None:
    found = looks(path)
    look = found[HOSTILE.index(nonsense) % len(found)]
    keys = parameters(path, look)
    assert keys
    app = opened(
        path, **{"unknown": nonsense, "present": nonsense, **dict.fromkeys(keys, nonsense), "look": look or nonsense}
    )
    assert "<script>" not in " ".join(str(m.value) for m in app.markdown)


def test_a_nearby_value_is_used_and_said() -> None:
    app = opened(next(p for p in PAGES if p.stem == "02_scaling"), d_k="60")
    assert [t.value for t in app.text] == ["The link asked for Width dₖ = 60; showing 64."]
    app.session_state["scaling:program"] = True
    assert "d_k, n_keys, divisor, seed = 64, 64, 'sqrt', 0" in " ".join(c.value for c in app.run().code)


def test_no_two_pages_share_a_url_parameter() -> None:
    keys: Counter[str] = Counter()
    for path in PAGES:
        keys.update({key for look in looks(path) for key in parameters(path, look)})
    assert not [key for key, pages in keys.items() if pages > 1]


@every_lesson
def test_prediction_and_answer(path: Path) -> None:
    asked = concept(topic_of(path.name).slug)
    assert asked.prediction is not None
    app = opened(path)
    for option in asked.prediction.options:
        app.pills(key=f"{asked.topic.slug}:prediction").set_value(option.text)
        said = checked(app.run())
        assert len([*said.success, *said.info]) == 1
        for other in asked.prediction.options:
            assert any(other.why in m.value for m in said.markdown), "every option is explained"
