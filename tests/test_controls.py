"""The ordinary controls: what a link may carry, what is used instead, and that the reader is told."""

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from ui import controls

    st.write(repr(controls.choice("Few", "t_few", {1: "one", 2: "two"})))
    st.write(repr(controls.choice("Many", "t_many", {i: f"n{i}" for i in range(9)})))
    st.write(repr(controls.whole("Whole", "t_whole", 2, 12, 4, step=2)))
    st.write(repr(controls.blank_whole("Blank", "t_blank", 1234)))
    st.write(repr(controls.seed("t_seed")))
    st.write(repr(controls.real("Real", "t_real", 0.0, 1.0, 0.5, 0.1)))
    st.write(repr(controls.switch("Switch", "t_switch")))
    st.write(repr(controls.words("Words", "t_words", "a b", max_chars=10)))


PLACE = {key: i for i, key in enumerate(("few", "many", "whole", "blank", "seed", "real", "switch", "words"))}


def opened(key: str, asked: str) -> tuple[str, list[str]]:
    """What the control returns, and what the page notes."""
    app = AppTest.from_function(page, default_timeout=30)
    app.query_params[f"t_{key}"] = asked
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    return app.markdown[PLACE[key]].value, [t.value for t in app.text]


def test_the_defaults() -> None:
    app = AppTest.from_function(page, default_timeout=30).run()
    assert [m.value for m in app.markdown] == ["1", "0", "4", "None", "0", "0.5", "False", "'a b'"]
    assert not app.text


@pytest.mark.parametrize(
    ("key", "asked", "used"),
    [
        ("few", "two", "2"),
        ("many", "n7", "7"),
        ("whole", "6", "6"),
        ("blank", "-3", "-3"),
        ("seed", "42", "42"),
        ("real", "0.3", "0.3"),
        ("switch", "true", "True"),
        ("words", "dog", "'dog'"),
    ],
)
def test_a_link_sets_a_control_without_a_word(key: str, asked: str, used: str) -> None:
    assert opened(key, asked) == (used, [])


@pytest.mark.parametrize(
    ("key", "asked", "used"),
    [
        ("few", "three", "1"),
        ("many", "<b>", "0"),
        ("whole", "7", "6"),
        ("whole", "99", "4"),
        ("whole", "1e99", "4"),
        ("blank", "abc", "None"),
        ("blank", "1e400", "None"),
        ("seed", "-1", "0"),
        ("seed", "inf", "0"),
        ("real", "0.3333", "0.3"),
        ("real", "nan", "0.5"),
        ("switch", "1", "False"),
        ("words", "a\x00b", "'a b'"),
    ],
)
def test_nonsense_gives_something_near_and_a_note(key: str, asked: str, used: str) -> None:
    got, notes = opened(key, asked)
    assert got == used
    assert len(notes) == 1 and notes[0].startswith("The link asked for ")
    assert "\x00" not in notes[0]
