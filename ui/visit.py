"""What a visit to a page begins with, what stays when the reader leaves, and what the address says.

An address describes a page wholly: a control that it does not name stands at its default. A page that is entered without
a query (by the sidebar) stands where the reader left it, with all of its controls. While the reader is there, the controls
are right and the address follows them.

The address is written by the browser, told by `tell` at the end of every run, and replaced, never pushed: neither a move
nor a note may cost a press of the Back button. Streamlit's own `bind="query-params"` pushes whenever it refuses or
restores a value, and it refuses what could be rounded (docs/decisions/0011).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import streamlit as st

T = TypeVar("T")

_component = st.components.v2.component(
    "transformer_twenty_visit", js=(Path(__file__).parent / "visit.js").read_text("utf-8")
)


@dataclass
class Visit:
    """One reader's visit to one page; and, per page, the values that she left there."""

    page: str
    asked: dict[str, str] = field(default_factory=dict)  # what the address asked for, until its control has been drawn
    starts: dict[str, tuple[Any, Hashable]] = field(default_factory=dict)  # where each control began; its shape
    refused: dict[str, str] = field(default_factory=dict)  # of what was asked, that which does not exist
    kept: dict[str, dict[str, str]] = field(default_factory=dict)  # page → control → its value
    says: dict[str, str | None] = field(default_factory=dict)  # of this run; None: at its default
    sweeps: dict[str, tuple[int, int | None]] = field(
        default_factory=dict
    )  # of this run: index, report that it answers
    runs: int = 0
    description: str = ""


def begin(page: str) -> None:
    """Called once per run, before the page: it is another visit if the page is another one."""
    visit: Visit | None = st.session_state.get("visit")
    if visit is None or visit.page != page:
        asked = st.query_params.to_dict()
        kept = {} if visit is None else visit.kept
        if asked:
            kept.pop(page, None)
        st.session_state["visit"] = visit = Visit(page, asked, kept=kept)
    visit.says, visit.sweeps, visit.description = {}, {}, ""
    visit.runs += 1


def _current() -> Visit:
    if "visit" not in st.session_state:
        begin("")
    visit: Visit = st.session_state["visit"]
    return visit


def _name(key: str) -> str:
    """What the address calls a control: a key that several pages have is written `slug:name`, and they are never one."""
    return key.rpartition(":")[2]


def asks(name: str) -> str | None:
    """What the address asks of a name, while nothing has used it."""
    return _current().asked.get(name)


def describe(text: str) -> None:
    """What a search engine or a shared link says of this page."""
    _current().description = text


def start(key: str, read: Callable[[str], tuple[T, bool]], default: T, shape: Hashable = None) -> T:
    """Where the control begins: as the address asks, or as it was left, or at its default.

    `read` gives the nearest legal value for a text, and whether that is what the text says. A control takes this as the
    default of its widget, so that a browser that was here before, and whose server is a new one, keeps its own value.
    With another `shape` (limits, options) Streamlit takes the widget for a new one, and it begins where it just stood.
    """
    visit = _current()
    if key not in st.session_state or visit.starts.get(key, (None, None))[1:] != (shape,):
        asked = visit.asked.get(_name(key))
        text = visit.kept.get(visit.page, {}).get(key) if asked is None else asked
        value, exact = (default, True) if text is None else read(text)
        visit.starts[key] = value, shape
        if asked is not None and not exact:
            visit.refused[key] = asked
    value = visit.starts[key][0]
    return value


def refused(key: str) -> str | None:
    """What the address asked of this control, if that does not exist: on the control's first run only."""
    return _current().refused.get(key)


def uses(key: str, text: str, default: str, sweep: tuple[int, int | None] | None = None) -> None:
    """What the control stands at in this run, as the address writes it."""
    visit = _current()
    visit.asked.pop(_name(key), None)
    visit.refused.pop(key, None)
    visit.kept.setdefault(visit.page, {})[key] = text
    visit.says[_name(key)] = None if text == default else text
    if sweep is not None:
        visit.sweeps[key] = sweep


def path() -> str:
    """The path of this page, without what a reader may have typed behind it."""
    return urlsplit(st.context.url or "").path or "/"


def link(without: str = "") -> str:
    """The address of this page in exactly this state: every control that is not at its default."""
    here = urlsplit(st.context.url or "/")
    said = {name: text for name, text in _current().says.items() if text is not None and name != without}
    query = "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in said.items())
    return urlunsplit((here.scheme, here.netloc, here.path, query, ""))


def tell() -> None:
    """Tell the browser what was used: the last thing of a run, a few hundred bytes."""
    visit = _current()
    # What this page had on another run and has not now (a box that appears for some masks only) leaves the address.
    gone = dict.fromkeys(_name(key) for key in visit.kept.get(visit.page, {}))
    _component(
        key=f"visit:{visit.page}",
        data={
            "page": visit.page,  # not the path: Streamlit tells that of the frame around the app, if there is one
            "says": gone | visit.says,
            "description": visit.description,
            "sweeps": visit.sweeps,
            "run": visit.runs,  # so that the browser listens to every run, also to one that says the same
        },
    )
