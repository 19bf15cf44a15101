"""Every page runs: at its defaults, at both ends of every control, and whatever a URL carries."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from core.course import concept
from tests.test_sweep import resolve, unpacked
from ui.nav import topic_of
from ui.standing import FAILED

PAGES = sorted((Path(__file__).parent.parent / "pages").glob("*.py"))
LESSONS = [p for p in PAGES if not p.name.startswith("00")]
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)

HOSTILE = ("<script>alert(1)</script>", "1e99", "-1", "abc", "nan", "", "\u202e\x00x", "y" * 5000, "1/0/1")


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
            yield from (widget.min, widget.max)
        case "selectbox" | "radio":
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


@every_page
def test_every_figure_is_one_that_plotly_knows(path: Path) -> None:
    """Charts are plain dictionaries (docs/decisions/0007); go.Figure raises for what plotly.js would pass over."""
    for head, arrays in figures(opened(path)):
        for frame in {0, len(head["readings"]) - 1}:
            for panel in head["panels"]:
                drawn = resolve(panel, arrays, frame)
                go.Figure(drawn)
                for trace in drawn["data"]:
                    written = trace.get("texttemplate", "%{z:.2f}")
                    assert re.fullmatch(r"%\{z:\.\d[a-z]\}", written), f"{written!r} is no number format"


@every_page
def test_it_runs(path: Path) -> None:
    assert opened(path).title


@every_lesson
def test_both_ends_of_every_control(path: Path) -> None:
    app = opened(path)
    for widget in controls(app):
        for value in ends(widget):
            current = next(w for w in controls(app) if w.key == widget.key)
            checked(current.set_value(value).run())
        app = opened(path)


@every_page
def test_both_ends_of_every_sweep(path: Path) -> None:
    for key, tokens in sweeps(opened(path)).items():
        for token in (tokens[0], tokens[-1]):
            opened(path, **{key: token})


@every_lesson
@pytest.mark.parametrize("nonsense", HOSTILE, ids=lambda s: ascii(s)[:12])
def test_a_hostile_address(path: Path, nonsense: str) -> None:
    app = opened(path)
    keys = [w.key for w in controls(app)] + list(sweeps(app))
    assert keys
    app = opened(path, unknown=nonsense, **dict.fromkeys(keys, nonsense))
    assert "<script>" not in " ".join(str(m.value) for m in app.markdown)


def test_a_nearby_value_is_used_and_said() -> None:
    app = opened(PAGES[1], d_k="60")
    assert [t.value for t in app.text] == ["The link asked for Width d_k = 60; showing 64."]
    assert "d_k, n_keys, divisor, seed = 64, 64, 'sqrt', 0" in " ".join(c.value for c in app.code)


def test_no_two_pages_share_a_url_parameter() -> None:
    keys = Counter()
    for path in PAGES:
        app = opened(path)
        keys.update({*(w.key for w in controls(app)), *sweeps(app)})
    assert not [key for key, pages in keys.items() if pages > 1]


@every_lesson
def test_prediction_and_answer(path: Path) -> None:
    asked = concept(topic_of(path.name).slug)
    assert asked.prediction is not None
    for option in asked.prediction.options:
        app = opened(path)
        app.radio(key=f"{asked.topic.slug}:prediction").set_value(option.text)
        said = checked(app.run())
        assert len([*said.success, *said.info]) == 1
        for other in asked.prediction.options:
            assert any(other.why in m.value for m in said.markdown), "every option is explained"
