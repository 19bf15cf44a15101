"""The ordinary controls: each is a Streamlit widget bound to the URL, and says so when a link asked for nonsense.

A key is the name of the URL parameter and is unique across all pages (tests/test_pages.py): Streamlit would let two
pages with the same key share one value.
"""

import math
import unicodedata
from collections.abc import Mapping
from typing import Literal, TypeVar

import streamlit as st

T = TypeVar("T")


def note(label: str, asked: str, used: str) -> None:
    """A small note that a link asked for something that does not exist. What was asked may be anything."""
    shown = "".join(c for c in asked[:40] if unicodedata.category(c)[0] != "C")
    shown += "…" if len(asked) > 40 else ""
    # st.text shows its words as they are: neither Markdown nor HTML reaches the page.
    st.text(f"The link asked for {label} = {shown or '(nothing)'}; showing {used or '(nothing)'}.")


def _note_if_refused(key: str, label: str, asked: str | None, used: str, shown: str | None = None) -> None:
    if asked is not None and asked != used:
        note(label, asked, shown or used)


def _asked(key: str) -> str | None:
    """What the URL says, but only on the first run of the widget: later the widget is right, not the URL."""
    return None if key in st.session_state else st.query_params.get(key)


def _binding(key: str) -> Literal["query-params"] | None:
    """Whether a number box may read the address: at `inf` or `1e400`, Streamlit 1.67 would stop with an OverflowError."""
    try:
        if math.isinf(float(st.query_params.get(key, ""))):
            del st.query_params[key]
            return None
    except ValueError:
        pass  # no number: Streamlit drops it, and the note says so
    return "query-params"


def choice(label: str, key: str, options: Mapping[T, str], *, help: str | None = None) -> T:
    """One of a few; the first is the default. The options' words are also what the URL carries."""
    asked = _asked(key)
    words = list(options.values())
    if len(words) <= 4:
        chosen = st.radio(label, words, key=key, bind="query-params", help=help)
    else:
        chosen = st.selectbox(label, words, key=key, bind="query-params", help=help)
    chosen = chosen if chosen in words else words[0]
    _note_if_refused(key, label, asked, chosen)
    return list(options)[words.index(chosen)]


def whole(label: str, key: str, low: int, high: int, default: int, *, step: int = 1, help: str | None = None) -> int:
    """A whole number on a slider."""
    asked = _asked(key)
    value = st.slider(label, low, high, default, step, key=key, bind="query-params", help=help)
    value = low + round((min(max(value, low), high) - low) / step) * step
    _note_if_refused(key, label, asked, str(value))
    return value


def blank_whole(label: str, key: str, instead: int, *, help: str | None = None) -> int | None:
    """A whole number that may be left blank: then `instead` holds, which the box shows in grey. Any number is let in;
    what is wrong with it, the page says in words."""
    asked = _asked(key)
    value = st.number_input(
        label, value=None, step=1, key=key, bind=_binding(key), placeholder=f"{instead:,}", help=help
    )
    used = "" if value is None else str(int(value))
    _note_if_refused(key, label, asked, used, used or f"{instead:,}")
    return None if value is None else int(value)


def seed(key: str) -> int:
    """The seed of every random draw of a lab."""
    asked = _asked(key)
    value = st.number_input("Seed", 0, 9999, 0, key=key, bind=_binding(key), help="Same seed, same random draw.")
    _note_if_refused(key, "seed", asked, str(int(value)))
    return int(value)


def real(
    label: str, key: str, low: float, high: float, default: float, step: float, *, help: str | None = None
) -> float:
    """A real number on a slider, snapped to the step: a link can carry anything in between."""
    asked = _asked(key)
    value = st.slider(label, low, high, default, step, key=key, bind="query-params", help=help)
    snapped = round(low + round((min(max(value, low), high) - low) / step) * step, 10)
    if asked is not None:
        try:
            same = math.isclose(float(asked), snapped, rel_tol=1e-9, abs_tol=1e-9)
        except ValueError:
            same = False
        _note_if_refused(key, label, None if same else asked, f"{snapped:g}")
    return snapped


def switch(label: str, key: str, *, default: bool = False, help: str | None = None) -> bool:
    """On or off."""
    asked = _asked(key)
    value = st.toggle(label, default, key=key, bind="query-params", help=help)
    _note_if_refused(key, label, asked, "true" if value else "false")
    return value


def words(label: str, key: str, default: str, *, max_chars: int = 120, help: str | None = None) -> str:
    """The reader's own text, without control characters; its limit stands at the box."""
    asked = _asked(key)
    text = st.text_input(label, default, max_chars=max_chars, key=key, bind="query-params", help=help)
    clean = " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in text).split()) or default
    if asked is not None and " ".join(asked.split()) != clean:
        note(label, asked, clean)
    return clean
