"""Small pieces that run in the browser: a clock to speak against, the keys of a presentation."""

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


def _part(name: str, html: str) -> Any:
    return st.components.v2.component(
        f"transformer_twenty_{name}",
        html=html + "\n",
        css=(_HERE / "parts.css").read_text("utf-8"),
        js=(_HERE / f"{name}.js").read_text("utf-8"),
    )


_clock = _part("clock", '<button type="button" class="tt-clock"></button>')
_keys = _part("keys", '<span class="tt-keys" hidden></span>')


def clock(key: str, seconds: int) -> None:
    """So many seconds to say the answer aloud: started by the reader, run by the browser."""
    _clock(key=key, data={"seconds": seconds})


def pressed(key: str) -> str | None:
    """Arrow keys move the hero's control, in the browser; n, p or Escape, if the reader has pressed one, is returned."""
    found = _keys(key=key, data={}, on_pressed_change=lambda: None).pressed
    return found if found in ("n", "p", "Escape") else None
