"""What a reader finds when she comes back: all that she left, or what the address says; and never another lesson's."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from core.course import concept
from tests.test_pages import LESSONS, checked, controls, ends, figures, looks, sweeps
from ui.nav import topic_of

ROOT = Path(__file__).parent.parent
SCALING, OTHER = next(p for p in LESSONS if p.stem == "02_scaling"), LESSONS[-1]
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)


def go(app: AppTest, path: Path, **query: str) -> AppTest:
    """To another page: by the sidebar, or with an address. (AppTest goes past app.py, as Streamlit does when cold.)"""
    if "routed" in app.session_state:
        del app.session_state["routed"]
    for name in list(app.query_params):
        del app.query_params[name]
    for name, value in query.items():
        app.query_params[name] = value
    return checked(app.switch_page(str(path.relative_to(ROOT))).run())


def opened(path: Path, **query: str) -> AppTest:
    return go(AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run(), path, **query)


def link(app: AppTest) -> dict[str, list[str]]:
    """What the page says is its address."""
    (address,) = [c.value for c in app.code if c.language is None or str(c.value).startswith(("http", "/"))][-1:]
    return parse_qs(urlsplit(address).query, keep_blank_values=True)


def drawn(app: AppTest, key: str) -> int:
    """Where a sweep begins in the browser."""
    for element in app.get("bidi_component"):
        data = element.proto.bytes
        if f'"key":"{key}"'.encode() in data:
            return int.from_bytes(data[:4], "little")
    raise LookupError(key)


def moved(path: Path) -> tuple[AppTest, dict[str, str]]:
    """A lesson whose controls and sweeps all stand elsewhere than at their defaults, as far as one link can do that."""
    app = opened(path)
    asked: dict[str, str] = {}
    for widget in controls(app):
        if widget.type == "number_input" and widget.value is None:
            continue  # any number is let in, hardly any is an architecture
        value = next((v for v in ends(widget) if v != widget.value), None)
        if value is not None:
            asked[widget.key] = str(value).lower() if isinstance(value, bool) else str(value)
    for head, _ in figures(app):
        if "parameter" in head:
            asked[head["parameter"]] = head["tokens"][0 if head["default"] else -1]
    look = looks(path)[1]
    return opened(path, look=look, **asked), asked


@every_lesson
def test_all_or_none(path: Path) -> None:
    """Leaving by the sidebar and coming back: every control, every sweep and the prediction stand where they were."""
    app, asked = moved(path)
    slug = topic_of(path.name).slug
    prediction = concept(slug).prediction
    assert prediction is not None and len(asked) >= 2
    app.pills(key=f"{slug}:prediction").set_value(prediction.options[1].text).run()
    before = link(app)
    assert {key for key in asked if key in before} >= set(sweeps(opened(path))), "every sweep was moved"
    assert len(before) > 2 and before["look"] == [looks(path)[1]]
    go(app, SCALING if path == OTHER else OTHER)
    assert not set(link(app)) & set(before), "and nothing came along"
    go(app, path)
    assert link(app) == before
    assert app.pills(key=f"{slug}:prediction").value == prediction.options[1].text
    for head, _ in figures(app):
        if "parameter" in head:
            index = head["tokens"].index(before.get(head["parameter"], [head["tokens"][head["default"]]])[0])
            assert drawn(app, head["key"]) == index, "the figure is drawn where its program stands"
    assert not app.text, "and nobody is told that a link asked for something"


def test_moves_made_by_hand_stay_too() -> None:
    app = opened(SCALING)
    app.select_slider(key="keys").set_value(128).run()
    app.number_input(key="seed").set_value(7).run()
    go(app, OTHER)
    go(app, SCALING)
    assert link(app) == {"keys": ["128"], "seed": ["7"]} and app.select_slider(key="keys").value == 128
    app.select_slider(key="keys").set_value(64).run()  # back to its default, which must stay as well
    go(app, OTHER)
    go(app, SCALING)
    assert link(app) == {"seed": ["7"]} and app.select_slider(key="keys").value == 64


def test_an_address_that_says_something_says_everything() -> None:
    app = opened(SCALING)
    app.select_slider(key="keys").set_value(128).run()
    app.number_input(key="seed").set_value(7).run()
    go(app, OTHER)
    go(app, SCALING, keys="16", d_k="16")
    assert link(app) == {"keys": ["16"], "d_k": ["16"]} and app.number_input(key="seed").value == 0
    go(app, OTHER)
    go(app, SCALING)
    assert link(app) == {"keys": ["16"], "d_k": ["16"]}, "and that is now what was left"


def test_while_the_reader_is_there_the_controls_are_right_and_not_the_address() -> None:
    app = opened(SCALING, keys="16")
    app.select_slider(key="keys").set_value(128).run()
    assert app.query_params["keys"] == "16", "the browser goes on reporting the address that it was opened with"
    app.number_input(key="seed").set_value(7).run()
    assert link(app) == {"keys": ["128"], "seed": ["7"]}


def test_a_refusal_is_said_once() -> None:
    app = opened(SCALING, keys="300", d_k="60", seed="12345", keys2="x")
    assert [t.value for t in app.text] == [
        "The link asked for Keys N = 300; showing 256.",
        "The link asked for seed = 12345; showing 9999.",
        "The link asked for Width dₖ = 60; showing 64.",
    ]
    assert link(app) == {"keys": ["256"], "seed": ["9999"]}
    assert not app.run().text
    go(app, OTHER)
    assert not go(app, SCALING).text


def page() -> None:
    """A box that is there for some values only, and a slider whose limits depend on another one."""
    import streamlit as st

    from ui import controls, visit

    visit.begin("page")
    most = controls.whole("Most", "t_most", 1, 20, 10)
    controls.whole("Some", "t_some", 0, most, 5)
    if controls.switch("Box", "t_box"):
        controls.words("Text", "t_text", "a b")
    st.code(visit.link())
    visit.tell()


def told(app: AppTest) -> dict:
    return json.loads(app.get("bidi_component")[-1].proto.json)


def test_a_box_that_goes_leaves_the_address_and_comes_back_as_it_was() -> None:
    app = AppTest.from_function(page)
    app.query_params["t_box"] = "true"
    app.run()
    app.text_input(key="t_text").set_value("c d").run()
    assert link(app) == {"t_box": ["true"], "t_text": ["c d"]}
    app.toggle(key="t_box").set_value(False).run()
    assert link(app) == {} and told(app)["says"] == {"t_most": None, "t_some": None, "t_box": None, "t_text": None}
    app.toggle(key="t_box").set_value(True).run()
    assert (
        link(app)
        == {"t_box": ["true"], "t_text": ["c d"]}
        == {key: [text] for key, text in told(app)["says"].items() if text is not None}
    )


def test_a_box_that_appears_later_still_reads_the_link() -> None:
    app = AppTest.from_function(page)
    app.query_params["t_text"] = "from the link"
    app.run()
    assert link(app) == {}
    app.toggle(key="t_box").set_value(True).run()
    assert app.text_input(key="t_text").value == "from the link"


def test_other_limits_leave_the_value_or_take_the_nearest() -> None:
    app = AppTest.from_function(page).run()
    app.slider(key="t_some").set_value(8).run()
    app.slider(key="t_most").set_value(15).run()
    assert app.slider(key="t_some").value == 8
    app.slider(key="t_most").set_value(4).run()
    assert app.slider(key="t_some").value == 4 and not app.text and link(app) == {"t_most": ["4"], "t_some": ["4"]}


def test_every_run_tells_the_browser_in_few_bytes() -> None:
    app = AppTest.from_function(page).run()
    first = told(app)
    assert first["says"] == {"t_most": None, "t_some": None, "t_box": None} and first["sweeps"] == {}
    again = told(app.run())
    assert again["run"] > first["run"], "the browser listens to data that changed"
    assert app.get("bidi_component")[-1].proto.ByteSize() < 3000
