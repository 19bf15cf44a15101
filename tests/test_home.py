"""The front door: light, complete, and its pictures fresh."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.search import one_sentence
from core.syllabus import SYLLABUS, Topic
from tests.cards import MOST, alike, card, changes, leaves, pictured, rounded
from tests.test_pages import figures, opened
from tests.test_sweep import resolve
from ui.controls import visible
from ui.map import HERE, PICTURES, SCHEMES, picture
from ui.nav import HOME, lessons, page_of

ROOT = Path(__file__).parent.parent
FINISHED = [topic.slug for topic in lessons()]


def front(asked: str = "") -> AppTest:
    app = AppTest.from_file(str(HOME), default_timeout=30).run()
    if asked:
        app.text_input(key="find").set_value(asked).run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def sent(app: AppTest) -> dict[str, Any]:
    """What Python tells the map."""
    (element,) = (e for e in app.get("bidi_component") if "topics" in e.proto.json)  # not what tells the address
    return json.loads(element.proto.json)


def test_the_front_door_imports_nothing_heavy() -> None:
    """It is painted before PyTorch is imported, and needs it neither for the map nor for its search."""
    program = (
        # ui/__init__.py begins to import PyTorch in a thread of its own: here it must not hide who else does.
        "import sys, threading; start = threading.Thread.start;"
        "threading.Thread.start = lambda t: None if t.name == 'import-torch' else start(t);"
        "from streamlit.testing.v1 import AppTest;"
        f"app = AppTest.from_file({str(HOME)!r}, default_timeout=60).run(); assert not app.exception, app.exception;"
        "app.text_input(key='find').set_value('variance').run(); assert not app.exception, app.exception;"
        "own = [m for m in sys.modules if m.startswith(('core.concepts.', 'core.experiments', 'core.training'))];"
        "sys.exit(f'{own} torch: {\"torch\" in sys.modules}' if own or 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-400:]


def test_all_twenty_are_sent_in_the_order_of_the_course() -> None:
    rows = sent(front())["topics"]
    assert [row["slug"] for row in rows][: len(SYLLABUS)] == [topic.slug for topic in SYLLABUS]
    for row in rows:
        assert row["ready"] == (row["slug"] in FINISHED)
        assert row["answer"] == (one_sentence(row["slug"]) if row["ready"] else None)


@pytest.mark.parametrize("sheet", ["wide", "tablet", "narrow"])
def test_every_question_has_its_place_on_the_map(sheet: str) -> None:
    """The places stand in drawing.js, beside what they point to."""
    source = (HERE / "drawing.js").read_text("utf-8")
    parts, sheets = source.split("const SHEETS")
    own = sheets[sheets.index(f"  {sheet}: {{") :].partition("\n  },")[0]
    pins = [
        found for block in re.findall(r"pins: \{([^}]*)\}", parts + own) for found in re.findall(r"(\w+): \[", block)
    ]
    assert sorted(pins) == sorted(topic.slug for topic in SYLLABUS)


def test_the_front_door_is_few_elements() -> None:
    """Each element costs every visitor time: title, two columns with words and search, the map with the cards."""
    app = front()
    assert len(app.main.children) <= 4 and len(list(app.get("bidi_component"))) == 1


def test_what_is_found_is_sent_with_its_words_marked() -> None:
    data = sent(front("variance"))
    assert data["hits"][0]["slug"] == "scaling" and data["tries"] == []
    assert ["variance", True] in data["hits"][0]["excerpt"]
    data = sent(front("varience"))
    assert data["hits"] == [] and data["tries"][0] == "variance"


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\u202ex", "&lt;b&gt;", "**b**"]
)
def test_hostile_words_are_sent_as_they_are(hostile: str) -> None:
    app = front(hostile)
    assert sent(app)["asked"] == visible(hostile)
    assert not any(hostile in str(m.value) for m in app.markdown), "nothing of it becomes Markdown"


def test_the_browser_writes_no_markup() -> None:
    for path in HERE.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text("utf-8"))


# ------------------------------------------------------------------------------------------------ the small pictures


@pytest.mark.parametrize("topic", pictured(), ids=lambda t: t.slug)
def test_the_card_is_what_the_lesson_opens_with(topic: Topic) -> None:
    """A hero that was redesigned, or another default, is a new `card()` too."""
    shown = [
        list(leaves(resolve(panel, arrays, head.get("default", 0))))
        for head, arrays in figures(opened(page_of(topic)))
        for panel in head["panels"]
    ]
    for figure in card(topic.slug):
        mine = list(leaves(figure))
        assert any(len(mine) == len(one) and all(map(alike, mine, one)) for one in shown), (
            f"pages/{page_of(topic).name} does not open with “{figure['layout']['title']['text']}”: let card() in "
            f"ui/drawings/{topic.slug}.py return the hero’s frame at the page’s defaults"
        )


@pytest.mark.parametrize("topic", pictured(), ids=lambda t: t.slug)
def test_the_picture_of_a_lesson_is_fresh(topic: Topic) -> None:
    old = changes(topic)
    assert not old, f"{old}: run `make cards ONLY={topic.slug}` and look at it"
    for scheme in SCHEMES:
        assert picture(topic.slug, scheme).stat().st_size <= MOST


def test_a_lesson_without_a_card_is_told_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("ui.drawings.scaling.card")
    with pytest.raises(LookupError, match=r"write in ui/drawings/scaling.py.*def card\(\) -> Frame"):
        card("scaling")


def test_no_picture_is_left_over() -> None:
    known = {
        f"{topic.slug}{end}" for topic in pictured() for end in (".json", *(f"-{scheme}.png" for scheme in SCHEMES))
    }
    assert {p.name for p in PICTURES.iterdir()} <= known, "run `make cards`"


def test_a_change_of_a_hero_is_noticed_and_another_processor_is_not() -> None:
    import numpy as np

    figure = {"type": "bar", "y": np.linspace(0, 1, 200), "title": "78 % of 64", "x": [1, 2, 3]}
    before = json.loads(json.dumps(list(leaves(figure))))
    same = {**figure, "y": figure["y"] * (1 + 1e-3), "title": "77 % of 64"}
    assert all(map(alike, before, leaves(same)))
    for other in (
        {"y": figure["y"][::-1]},
        {"title": "78 % of all"},
        {"type": "scatter"},
        {"x": [1, 2, 4]},
        {"y": figure["y"][:199]},
    ):
        now = list(leaves({**figure, **other}))
        assert not all(map(alike, before, now)), other
    assert rounded(np.array([1.23456, np.nan])) == [[2], 1.23, 1.23, None]
