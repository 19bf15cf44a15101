"""The scrubbable figure: the control moves, the picture moves, at once.

Python computes every frame of one control, packs them (`ui.sweep.packing`), and the browser draws while the reader
drags, without asking the server. On release Python learns the value, and with it the snippet, the metrics and the
address. A figure without a control is a sweep of one frame, so all figures share one look and one Plotly.
"""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from core.memory import MEMORY
from ui import visit
from ui.controls import note, option
from ui.figures import Frame
from ui.standing import standing
from ui.sweep import served
from ui.sweep.packing import pack

__all__ = ["LIMIT", "Frame", "figure", "show", "sweep"]

T = TypeVar("T")
Draw = Callable[..., Sequence[Frame]]

LIMIT = 1_000_000  # bytes; beyond it, sending every frame costs more than asking for one
_HERE = Path(__file__).parent


_component = st.components.v2.component(
    "transformer_twenty_sweep",
    html=(_HERE / "sweep.html").read_text("utf-8"),
    css=(_HERE / "sweep.css").read_text("utf-8"),
    js="\n".join((_HERE / name).read_text("utf-8") for name in ("nudge.js", "sweep.js")),
    isolate_styles=False,  # Plotly puts its style sheet into the document, not into a shadow root
)


def _packed(draw: Draw, arguments: tuple, header: dict[str, Any], index: int | None = None) -> bytes:
    """The packed frames, or the one frame at `index`; remembered while they are no more than a sweep may send."""

    def compute() -> bytes:
        frames = draw(*arguments)
        return pack(frames if index is None else [frames[index]], **header)

    # A function that stands in a page is a new object on every run: its file and code say which one it is.
    code = draw.__code__
    identity = (code.co_filename, draw.__qualname__, code.co_code, repr(code.co_consts))
    return MEMORY.get((identity, arguments, repr(header), index), compute, most=LIMIT)


def figure(
    key: str,
    draw: Draw,
    *arguments: Any,
    panel_width: int = 270,
    clicked: Callable[[int, int, int], None] | None = None,
) -> None:
    """Show the one frame that `draw(*arguments)` returns; the arguments are scalars, the frame is cached.

    `clicked(panel, row, column)` is called, before the page runs again, when the reader clicks on a cell of a heatmap that
    is `clickable`.
    """
    header = {"key": key, "labels": [""], "plotly": served.addresses(), "panel_width": panel_width}

    def forward() -> None:
        cell = st.session_state[key].get("cell")
        if isinstance(cell, list) and len(cell) == 3 and all(isinstance(i, int) for i in cell) and clicked:
            clicked(*cell)

    with standing():
        data = struct.pack("<I", 0) + _packed(draw, arguments, header)
        callbacks: dict[str, Any] = {"on_cell_change": forward} if clicked else {}
        _component(key=key, data=data, **callbacks)


def show(key: str, frame: Frame) -> None:
    """Show one frame that was just made, uncached: the progress of a training."""
    header = {"key": key, "labels": [""], "plotly": served.addresses(), "panel_width": 270}
    _component(key=key, data=struct.pack("<I", 0) + pack([frame], **header))


def sweep(
    key: str,
    label: str,
    values: Sequence[T],
    draw: Draw,
    *arguments: Any,
    default: T,
    unit: str = "",
    labels: Sequence[str] | None = None,
    panel_width: int = 270,
    buttons: bool = False,
) -> T:
    """Show the frames `draw(*arguments)`, one for each value, and return the value that the reader has chosen.

    `key` is also the name of the URL parameter. A value in the URL that is not one of `values` gives the nearest
    one, with a note. A few values that have names may be `buttons` instead of a slider. More than 1 MB of frames fall back to an ordinary slider that asks the server.
    """
    tokens = [str(value) for value in values]
    usual = values.index(default)
    start = min(visit.start(key, lambda text: option(text, tokens, usual), usual), len(tokens) - 1)
    header = {
        "key": key,
        "parameter": key,
        "label": label,
        "unit": unit,
        "labels": list(labels or tokens),
        "tokens": tokens,
        "default": usual,
        "buttons": buttons,
        "plotly": served.addresses(),
        "panel_width": panel_width,
    }
    asked = visit.refused(key)
    if asked is not None:
        with (said := st.empty()):
            note(label, asked, (labels or tokens)[start])
    index, report = start, None
    with standing():
        packed = _packed(draw, arguments, header)
        if len(packed) > LIMIT:
            index = _ordinary(key, label, values, draw, arguments, start, panel_width)
        else:
            index, report = _reported(
                _component(
                    key=key,
                    data=struct.pack("<I", start) + packed,
                    default={"value": [start, None]},
                    on_value_change=lambda: None,
                ).value,
                start,
            )
    index = min(max(index, 0), len(tokens) - 1)
    if asked is not None and index != start:
        said.empty()  # a browser that was here before, with a server that is new
    visit.uses(key, tokens[index], tokens[usual], (index, report))
    return values[index]


def _reported(value: Any, start: int) -> tuple[int, int | None]:
    """The index that the browser has reported, and the mark by which it knows the report again."""
    match value:
        case [int(index), int() | None as report]:
            return index, report
    return start, None


def _ordinary(
    key: str, label: str, values: Sequence[T], draw: Draw, arguments: tuple, start: int, panel_width: int
) -> int:
    index = values.index(st.select_slider(label, values, values[start], key=f"{key}:slider"))
    header = {"key": key, "labels": [""], "plotly": served.addresses(), "panel_width": panel_width}
    with standing():
        packed = _packed(draw, arguments, header, index)
        _component(key=f"{key}:figure", data=struct.pack("<I", 0) + packed)
    return index
