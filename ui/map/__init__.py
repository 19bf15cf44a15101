"""The front door: a map of the Transformer on which each question is a pin, and beneath it the questions as cards.

One component draws all of it (`drawing.js` the map, `map.js` what it does), since each element of Streamlit costs a visitor
time. Its links are real ones, so that they can be copied and opened in another tab; a plain click is reported to Python,
which changes the page without loading the app again.
"""

import zlib
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v1 import declare_component

from core.course import topics
from core.search import Hit, find, one_sentence, tries
from core.syllabus import Topic
from ui import nav
from ui.standing import standing

HERE = Path(__file__).parent
PICTURES = nav.ROOT / "assets" / "cards"
SCHEMES = ("light", "dark")

# A Streamlit component of the old kind is a folder that is served, with a header that lets browsers keep what is in it.
declare_component("cards", path=str(PICTURES))

_component = st.components.v2.component(
    "transformer_twenty_map",
    html=(HERE / "map.html").read_text("utf-8"),
    css=(HERE / "map.css").read_text("utf-8"),
    js=(HERE / "drawing.js").read_text("utf-8") + (HERE / "map.js").read_text("utf-8"),
)


def picture(slug: str, scheme: str) -> Path:
    return PICTURES / f"{slug}-{scheme}.png"


def _address(path: Path) -> str:
    """Where the browser finds a picture; its contents are part of the address, so that a new one is loaded."""
    return f"component/{__name__}.cards/{path.name}?{zlib.crc32(path.read_bytes()):08x}"


def _row(topic: Topic) -> dict[str, Any]:
    """What the browser needs to know of a question."""
    ready = nav.page_of(topic) is not None
    pictures = {scheme: picture(topic.slug, scheme) for scheme in SCHEMES}
    return {
        "number": topic.number,
        "slug": topic.slug,
        "theme": str(topic.theme),
        "title": topic.title,
        "question": topic.question,
        "ready": ready,
        "answer": one_sentence(topic.slug) if ready else None,
        "pictures": {scheme: _address(path) for scheme, path in pictures.items()}
        if ready and all(path.exists() for path in pictures.values())
        else None,
    }


def _found(hit: Hit) -> dict[str, Any]:
    at = {"part": hit.part, "within": hit.within}
    return {"slug": hit.topic.slug if hit.topic else None, "where": hit.where, "excerpt": hit.excerpt, **at}


def front_door(key: str, asked: str = "") -> None:
    """Draw the map and the cards, and above them what `find` finds for the words that were asked for."""
    found: dict[str, Any] = {"asked": "", "hits": [], "tries": []}
    if asked:
        with standing("The search"):
            hits = find(asked)
            found = {"asked": asked, "hits": [_found(hit) for hit in hits], "tries": [] if hits else tries(asked)}
    data = {"topics": [_row(topic) for topic in topics()], **found}
    went = _component(key=key, data=data, on_go_change=lambda: None, on_look_change=lambda: _look(key)).go
    for topic in nav.lessons():
        path = nav.page_of(topic)
        if went and topic.slug == went.get("slug") and path is not None:
            _open(topic.slug, str(went.get("within", "")))
            st.switch_page(path)


def _open(slug: str, within: str) -> None:
    """What was found may stand where a reader has to open something first: the lesson begins with that open."""
    if within in ("answer", "said"):
        st.session_state[f"{slug}:{within}"] = True
    elif within:
        st.session_state[f"{slug}:asked"] = within


def _look(key: str) -> None:
    """A word that was offered is looked for."""
    st.session_state["find"] = str(st.session_state[key].look)[:60]
