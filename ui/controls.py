"""The ordinary controls: each is a Streamlit widget whose value stands in the address, and says so when a link asked for
something that does not exist; then the nearest value that does is used.

A key is the name of the URL parameter and is unique across all pages (tests/test_pages.py). What is kept when the reader
leaves the page, and how the address follows, says `ui.visit`.
"""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

import streamlit as st

from ui import visit

T = TypeVar("T")
Number = TypeVar("Number", int, float)

JOINERS = "\u200c\u200d"  # they hold the parts of a word or of an emoji together
LARGEST = 2**53 - 1  # the largest whole number that a browser counts exactly


# ------------------------------------------------------------------------------------------------ what a link says


def visible(text: str) -> str:
    """The text without what cannot be seen (control characters, zero-width spaces, overrides of the direction), words
    one space apart. What joins the parts of one word stays.

    >>> visible("dog\\u202e bi\\u200btes\\tman").split(" ")
    ['dog', 'bites', 'man']
    >>> visible("\\u200d 👩\\u200d👩\\u200d👧") == "👩\\u200d👩\\u200d👧"
    True
    """
    seen = "".join(c for c in text if c.isspace() or c in JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    return " ".join(filter(None, (word.strip(JOINERS) for word in seen.split())))


def nearest(text: str, values: Sequence[float]) -> tuple[int, bool] | None:
    """The index of the value nearest to the number that a text says, and whether it says just that; None for no number.

    >>> nearest("60", [16, 64, 256]), nearest("64.0", [16, 64, 256]), nearest("1e99", [16, 64, 256])
    ((1, False), (1, True), (2, False))
    >>> nearest("many", [16, 64, 256]) is nearest("nan", [16, 64, 256]) is None
    True
    """
    try:
        wanted = float(text)
    except ValueError:
        return None
    if math.isnan(wanted):
        return None
    # Clamped first: seen from 1e99 all values are equally near.
    clamped = min(max(wanted, min(values)), max(values))
    found = min(range(len(values)), key=lambda i: abs(values[i] - clamped))
    return found, math.isclose(values[found], wanted, rel_tol=1e-9, abs_tol=1e-9)


def option(text: str, words: Sequence[str], default: int = 0) -> tuple[int, bool]:
    """The index of the option that a text names; of numbers the nearest, else the default, and whether it is named.

    >>> option("none", ["sqrt", "none"]), option("100", ["64", "16", "256"]), option("?", ["sqrt", "none"])
    ((1, True), (0, False), (0, False))
    >>> option("1024", ["512", "1,024"])
    (1, True)
    """
    if text in words:
        return list(words).index(text), True
    try:
        numbers = [float(word.replace(",", "")) for word in words]
    except ValueError:
        return default, False
    return nearest(text, numbers) or (default, False)


def note(label: str, asked: str, used: str) -> None:
    """A small note that a link asked for something that does not exist. What was asked may be anything."""
    shown = visible(asked[:40]) + ("…" if len(asked) > 40 else "")
    # st.text shows its words as they are: neither Markdown nor HTML reaches the page.
    st.text(f"The link asked for {label} = {shown or '(nothing)'}; showing {used or '(nothing)'}.")


def _uses(key: str, label: str, value: T, start: T, text: str, default: str, shown: str | None = None) -> None:
    """The control's last word in this run: to the address, and to the reader if the link asked for something else."""
    asked = visit.refused(key)
    if asked is not None and value == start:
        note(label, asked, text if shown is None else shown)
    visit.uses(key, text, default)


# ------------------------------------------------------------------------------------------------ controls


def _snapped(values: Sequence[Number], default: Number) -> Callable[[str], tuple[Number, bool]]:
    """Reads a text as the nearest of some numbers."""

    def read(text: str) -> tuple[Number, bool]:
        found = nearest(text, values)
        return (default, False) if found is None else (values[found[0]], found[1])

    return read


def choice(label: str, key: str, options: Mapping[T, str], *, help: str | None = None) -> T:
    """One of a few; the first is the default. The options' words are also what the URL carries. More than three, or long
    ones, fold into a box, which stays small beside the figure."""
    words = list(options.values())
    start = visit.start(key, lambda text: option(text, words), 0, shape=tuple(words))
    if len(words) <= 3 and max(map(len, words)) <= 14:
        chosen = st.radio(label, words, start, key=key, help=help)
    else:
        chosen = st.selectbox(label, words, start, key=key, help=help)
    chosen = chosen if chosen in words else words[0]
    _uses(key, label, chosen, words[start], chosen, words[0])
    return list(options)[words.index(chosen)]


def whole(label: str, key: str, low: int, high: int, default: int, *, step: int = 1, help: str | None = None) -> int:
    """A whole number on a slider."""
    start = visit.start(key, _snapped(range(low, high + 1, step), default), default, shape=(low, high, step))
    value = st.slider(label, low, high, start, step, key=key, help=help)
    value = low + round((min(max(value, low), high) - low) / step) * step
    _uses(key, label, value, start, str(value), str(default))
    return value


def stops(label: str, key: str, values: Sequence[Number], default: Number, *, help: str | None = None) -> Number:
    """One of a few numbers in order, on a slider: where steps of one would say nothing and cost a computation each."""
    start = visit.start(key, _snapped(values, default), default, shape=tuple(values))
    value = st.select_slider(label, values, start, key=key, help=help)
    value = value if value in values else default
    _uses(key, label, value, start, f"{value:g}", f"{default:g}")
    return value


def _any_whole(text: str) -> tuple[int | None, bool]:
    """Any number that a browser can count to, or none.

    >>> _any_whole("12"), _any_whole("1e99"), _any_whole(""), _any_whole("many")
    ((12, True), (9007199254740991, False), (None, True), (None, False))
    """
    if not text:
        return None, True
    try:
        wanted = float(text)
        value = round(min(max(wanted, -LARGEST), LARGEST))
    except ValueError:  # no number, or NaN
        return None, False
    return value, value == wanted


def blank_whole(label: str, key: str, instead: int, *, help: str | None = None) -> int | None:
    """A whole number that may be left blank: then `instead` holds, which the box shows in grey. Any number is let in;
    what is wrong with it, the page says in words."""
    start = visit.start(key, _any_whole, None)
    if start is not None and key not in st.session_state:
        st.session_state[key] = start  # as its default, it would come back whenever the reader blanks the box
    value = st.number_input(label, value=None, step=1, key=key, placeholder=f"{instead:,}", help=help)
    value = None if value is None else int(value)
    used = "" if value is None else str(value)
    _uses(key, label, value, start, used, "", used or f"{instead:,}")
    return value


def seed(key: str) -> int:
    """The seed of every random draw of a lab."""
    start = visit.start(key, _snapped(range(10_000), 0), 0)
    value = int(st.number_input("Seed", 0, 9999, start, key=key, help="Same seed, same random draw."))
    _uses(key, "seed", value, start, str(value), "0")
    return value


def real(
    label: str, key: str, low: float, high: float, default: float, step: float, *, help: str | None = None
) -> float:
    """A real number on a slider, snapped to the step: a link can carry anything in between."""
    steps = round((high - low) / step)
    values = [round(low + i * step, 10) for i in range(steps + 1)]
    start = visit.start(key, _snapped(values, default), default, shape=(low, high, step))
    value = st.slider(label, low, high, start, step, key=key, help=help)
    snapped = values[min(max(round((value - low) / step), 0), steps)]
    _uses(key, label, snapped, start, f"{snapped:.10g}", f"{default:.10g}", f"{snapped:g}")
    return snapped


def switch(label: str, key: str, *, default: bool = False, help: str | None = None) -> bool:
    """On or off."""
    words = {"true": True, "false": False}
    start = visit.start(key, lambda text: (words.get(text.lower(), default), text.lower() in words), default)
    value = st.toggle(label, start, key=key, help=help)
    _uses(key, label, value, start, str(value).lower(), str(default).lower())
    return value


def words(
    label: str, key: str, default: str, *, max_chars: int = 120, help: str | None = None, hint: str | None = None
) -> str:
    """The reader's own text, without what cannot be seen; its limit stands at the box. With a hint inside, the box needs
    no label above it: only a screen reader hears that."""

    def read(text: str) -> tuple[str, bool]:
        clean = visible(visible(text)[:max_chars]) or default
        return clean, clean == visible(text)

    start = visit.start(key, read, default, shape=max_chars)
    shown: Literal["visible", "collapsed"] = "collapsed" if hint else "visible"
    written = st.text_input(
        label, start, max_chars=max_chars, key=key, help=help, placeholder=hint, label_visibility=shown
    )
    text = visible(written) or default
    _uses(key, label, text, start, text, default)
    return text
