"""The ordinary controls: what a link may carry, what is used instead, and that the reader is told."""

import doctest
import unicodedata
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from ui import controls
from ui.controls import visible


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
    st.write(repr(controls.stops("Stops", "t_stops", (2, 4, 8, 16), 8)))
    st.write(repr(controls.choice("Sizes", "t_sizes", {64: "64", 16: "16", 256: "256"})))


PLACE = {
    key: i
    for i, key in enumerate(("few", "many", "whole", "blank", "seed", "real", "switch", "words", "stops", "sizes"))
}


def opened(key: str, asked: str | list[str]) -> tuple[str, list[str]]:
    """What the control returns, and what the page notes."""
    app = AppTest.from_function(page, default_timeout=30)
    app.query_params[f"t_{key}"] = asked
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    return app.markdown[PLACE[key]].value, [t.value for t in app.text]


def test_the_examples() -> None:
    assert doctest.testmod(controls).failed == 0


def test_the_defaults() -> None:
    app = AppTest.from_function(page, default_timeout=30).run()
    assert [m.value for m in app.markdown] == ["1", "0", "4", "None", "0", "0.5", "False", "'a b'", "8", "64"]
    assert not app.text


@pytest.mark.parametrize(
    ("key", "asked", "used"),
    [
        ("few", "two", "2"),
        ("sizes", "16", "16"),
        ("many", "n7", "7"),
        ("whole", "6", "6"),
        ("stops", "4", "4"),
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
        ("whole", "06.0", "6"),
        ("stops", "4.0", "4"),
        ("whole", " 6 ", "6"),
        ("seed", "42.0", "42"),
        ("real", "3e-1", "0.3"),
        ("switch", "TRUE", "True"),
        ("blank", "", "None"),
        ("words", "dog\u200b\u202e  cat", "'dog cat'"),
    ],
)
def test_another_way_to_write_a_legal_value_is_no_reason_for_a_note(key: str, asked: str, used: str) -> None:
    assert opened(key, asked) == (used, [])


@pytest.mark.parametrize(
    ("key", "asked", "used"),
    [
        ("few", "three", "1"),
        ("many", "<b>", "0"),
        ("sizes", "100", "64"),
        ("sizes", "1e9", "256"),
        ("sizes", "nan", "64"),
        ("whole", "7", "6"),
        ("stops", "7", "8"),
        ("stops", "1e99", "16"),
        ("stops", "nan", "8"),
        ("whole", "99", "12"),
        ("whole", "1", "2"),
        ("whole", "1e99", "12"),
        ("whole", "-inf", "2"),
        ("whole", "nan", "4"),
        ("whole", "", "4"),
        ("whole", "4" * 5000, "12"),
        ("whole", "y" * 5000, "4"),
        ("blank", "abc", "None"),
        ("blank", "2.5", "2"),
        ("blank", "1e400", "9007199254740991"),
        ("blank", "-inf", "-9007199254740991"),
        ("seed", "-1", "0"),
        ("seed", "12345", "9999"),
        ("seed", "inf", "9999"),
        ("real", "0.3333", "0.3"),
        ("real", "-7", "0.0"),
        ("real", "nan", "0.5"),
        ("switch", "1", "False"),
        ("words", "a very long text", "'a very lon'"),
        ("words", "\x00\u202e", "'a b'"),
    ],
)
def test_nonsense_gives_the_nearest_that_exists_and_a_note(key: str, asked: str, used: str) -> None:
    got, notes = opened(key, asked)
    assert got == used
    assert len(notes) == 1 and notes[0].startswith("The link asked for ")
    assert len(notes[0]) < 150 and not [c for c in notes[0] if unicodedata.category(c) in ("Cc", "Cf")]


def test_of_repeated_parameters_the_last_counts() -> None:
    assert opened("whole", ["8", "6"]) == ("6", [])
    assert opened("whole", ["6", "300"])[0] == "12"


def test_the_words_of_the_note() -> None:
    assert opened("whole", "300")[1] == ["The link asked for Whole = 300; showing 12."]
    assert opened("blank", "x")[1] == ["The link asked for Blank = x; showing 1,234."]
    assert opened("words", "")[1] == ["The link asked for Words = (nothing); showing a b."]


def test_the_note_stays_for_one_run() -> None:
    app = AppTest.from_function(page, default_timeout=30)
    app.query_params["t_whole"] = "300"
    assert app.run().text
    assert not app.run().text and app.markdown[PLACE["whole"]].value == "12"


def test_a_blank_box_can_be_blanked_after_a_link_has_filled_it() -> None:
    app = AppTest.from_function(page, default_timeout=30)
    app.query_params["t_blank"] = "50"
    app.run()
    app.number_input(key="t_blank").set_value(None).run()
    assert app.markdown[PLACE["blank"]].value == "None"
    # The browser puts a default back whenever the box is blanked.
    assert not app.number_input(key="t_blank").proto.HasField("default")


# ------------------------------------------------------------------------------------------------ words

EXACT = (
    "👩\u200d👩\u200d👧 sleeps",  # a family is one word
    "می\u200cخواهم بروم",  # Persian: a joiner that keeps letters apart within one word
    "क्\u200dष and ශ්\u200dරී",
    "🏳️\u200d🌈 🫨 é e\u0301 ﷽",
    "<script>alert(1)</script> & \"quotes\" 'and' `ticks`",
    "a+b=c & d?e#f %41 ~*!()[]{}|\\^",
    "| **not bold** | $x_1$ | [no](link)",
    "-1 =SUM(A1) @you",
    "中文 没有 空格",
    "ǅ ß İ ﬃ",
)
DIRTY = (
    "a\u202eb\u202c c",
    "zero\u200bwidth \ufeffmark",
    "soft\u00adhyphen \u2066isolate\u2069",
    "\x00null\x1f unit",
    "tab\tnew\nline\u2028separator\u00a0space",
    "\u200d\u200c lonely \u200djoiners\u200c",
    "\ud800surrogate \U000e0041tag",
)


@pytest.mark.parametrize("text", EXACT)
def test_what_can_be_seen_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", [*EXACT, *DIRTY])
def test_what_cannot_be_seen_goes_once_and_for_all(text: str) -> None:
    clean = visible(text)
    assert visible(clean) == clean
    hidden = [c for c in clean if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\u200c\u200d"]
    assert not hidden and not any(word.strip("\u200c\u200d") != word for word in clean.split(" "))
    assert len(clean.split()) == len([w for w in text.split() if w.strip("\u200c\u200d")]), "no word is torn or glued"


def texts() -> None:
    import streamlit as st

    from ui import controls, visit

    st.write("words " + repr(controls.words("Words", "t_words", "a b")))
    st.code(visit.link())


@pytest.mark.parametrize("text", [*EXACT, *(d for d in DIRTY if "\ud800" not in d), "x" * 500, " ", "\u200d"])
def test_the_apps_own_link_opens_the_same_text_without_a_note(text: str) -> None:
    app = AppTest.from_function(texts, default_timeout=30).run()
    app.text_input(key="t_words").set_value(text).run()
    said = app.markdown[0].value
    again = AppTest.from_function(texts, default_timeout=30)
    for name, value in parse_qsl(urlsplit(app.code[0].value).query, keep_blank_values=True, strict_parsing=False):
        again.query_params[name] = value
    again.run()
    assert again.markdown[0].value == said and again.code[0].value == app.code[0].value
    assert not again.text, [t.value for t in again.text]


def boxes() -> None:
    from ui import controls

    controls.choice("Three", "t_three", {i: f"n{i}" for i in range(3)})
    controls.choice("Four", "t_four", {i: f"n{i}" for i in range(4)})
    controls.choice("Long", "t_long", {1: "a", 2: "as long as a sentence"})


def test_many_options_or_long_ones_fold_into_a_box() -> None:
    app = AppTest.from_function(boxes, default_timeout=30).run()
    assert [r.label for r in app.radio] == ["Three"]
    assert [s.label for s in app.selectbox] == ["Four", "Long"]
