"""A lesson as a slide for a room: the button “Present”, or `?present=true`. No sidebar, larger type, and what is measured
and the answer hidden until asked for.

Arrow keys move the hero's control, n and p go to the next and the previous lesson, Esc leaves. A QR code opens exactly this
state on thirty phones.
"""

import io
from pathlib import Path

import streamlit as st

from core.memory import remember
from ui import parts, visit

NAME, _ON, _PHONES = "present", "presenting", "present:phones"

# 24 px: 1.4 times the size of type in config.toml.
STYLE = """<style>
html { font-size: 24px; }
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] { display: none; }
[data-testid="stMainBlockContainer"] { max-width: none; padding: .6rem 1.4rem .6rem; }
.tt-take { display: none; }
/* The answer takes the place of sentence, words and prediction, so that it is on the slide with the picture. */
[data-testid="stMain"]:has(.st-key-short_answer) :is([data-testid="stLayoutWrapper"]:has(> :is(.st-key-predict, .st-key-short)),
  .st-key-equation [data-testid="stCaptionContainer"]) { display: none; }
</style>"""


def on() -> bool:
    return bool(st.session_state.get(_ON))


def begin() -> None:
    """Whether this visit presents: asked by the address, or as the page before was."""
    if (visit.asks(NAME) or "").lower() == "true":
        st.session_state[_ON] = True
    visit.uses(NAME, "true" if on() else "", "")
    if on():
        st.html(STYLE)


def _turn() -> None:
    st.session_state[_ON] = not on()


def button(key: str) -> None:
    """Into the presentation of this lesson as it stands, or out of it."""
    label, icon = ("Leave", ":material/close:") if on() else ("Present", ":material/present_to_all:")
    st.button(label, icon=icon, type="tertiary", key=key, on_click=_turn)


def shown(label: str, key: str) -> bool:
    """What a room guesses first is shown when the teacher asks for it; a reader alone sees it at once."""
    return st.toggle(label, key=key) if on() else True


def keys(before: Path | None, after: Path | None) -> None:
    """Listen to the keys of a presentation."""
    if not on():
        return
    match parts.pressed("present:keys"):
        case "n" if after:
            st.switch_page(after)
        case "p" if before:
            st.switch_page(before)
        case "Escape":
            _turn()
            st.rerun()


@remember
def _code(address: str) -> str:
    import segno  # only here: who asks for no code need not wait for it

    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="svg", scale=8, border=2, dark="#000", light="#fff")
    return out.getvalue().decode()


def on_demand(slug: str) -> None:
    """What a teacher presses, at the top of the slide: the answer, and the code for the phones."""
    if not on():
        return
    st.toggle("The answer", key=_answer(slug))
    st.session_state[_PHONES] = st.popover(
        "Open on your phone", icon=":material/qr_code_2:", key="present:code", on_change="rerun", type="tertiary"
    )


def _answer(slug: str) -> str:
    return f"{slug}:shown"


def answer_shown(slug: str) -> bool:
    return bool(st.session_state.get(_answer(slug)))


def code_for_phones() -> None:
    """At the end of the page, when its state is known: a QR code of it, for reading and not for presenting."""
    popover = st.session_state.pop(_PHONES, None)
    if popover is not None and popover.open:
        address = visit.link(without=NAME)
        with popover:
            st.image(_code(address), width=420)
            st.code(address, language=None, wrap_lines=True)
