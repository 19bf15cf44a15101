"""Where everything is. The only call of st.navigation.

Streamlit treats an app with a `pages` folder as one of the old kind until some session has called `st.navigation`:
the first visitor of `/scaling` on a fresh server gets that page *without* app.py, with the wrong sidebar. So every
page calls `ensure()`, which builds the navigation if app.py did not (docs/decisions/0002, pinned by
tests/browser/test_deep_links.py).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from core.course import topics
from core.syllabus import Theme, Topic
from ui import visit
from ui.standing import standing

ROOT = Path(__file__).parent.parent
HOME = ROOT / "pages" / "00_home.py"
NAME = "Transformer Twenty"


def page_of(topic: Topic) -> Path | None:
    """The page of a question, or None while it has no lesson."""
    path = ROOT / "pages" / f"{topic.number:02}_{topic.slug}.py"
    return path if path.exists() else None


def topic_of(file: str) -> Topic:
    """The question of a page, from its file name; raises LookupError for a name that is no question.

    >>> topic_of("pages/02_scaling.py").number
    2
    """
    found = re.fullmatch(r"\d+_(\w+)", Path(file).stem)
    for topic in topics():
        if found and topic.slug == found[1]:
            return topic
    raise LookupError(f"{Path(file).name} belongs to no question: name it NN_<slug of core/concepts>.py.")


def lessons() -> list[Topic]:
    """The questions that have a page, by number."""
    return [topic for topic in topics() if page_of(topic)]


def _navigation() -> Page:
    sections: dict[str, list[Page]] = {"": [st.Page(HOME, title="All questions", icon=":material/home:", default=True)]}
    for theme in Theme:
        found = [
            st.Page(path, title=f"{t.number} · {t.title}", url_path=t.slug)
            for t in lessons()
            if t.theme is theme and (path := page_of(t))
        ]
        if found:
            sections[str(theme)] = found
    return st.navigation(sections, expanded=True)


# Streamlit fades captions to 60 %, which is 3.7:1 on white; a blank number box has steps that do nothing; the print
# rules keep the navigation off the paper.
STYLE = """<style>
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { opacity: 1; color: var(--tt-quiet, inherit); }
[data-testid="stNumberInput"]:has([data-testid="stNumberInputStepUp"]:disabled) button { display: none; }
[data-testid="stMainBlockContainer"] { padding-top: 3.2rem; max-width: 1240px; }
@media print { [data-testid="stSidebar"], [data-testid="stHeader"] { display: none; } }
</style>"""


def _configure() -> None:
    st.set_page_config(page_title=NAME, page_icon=":material/school:", layout="wide")
    st.html(STYLE)


@dataclass(frozen=True)
class Routed:
    """The page that the address asks for, with what belongs around every page."""

    page: Page

    def run(self) -> None:
        """Draw the page. If its own code fails, what is drawn so far stands."""
        with standing("The rest of this page"):
            self.page.run()
        visit.tell()


def router() -> Routed:
    """What app.py runs."""
    _configure()
    st.session_state["routed"] = True
    page = _navigation()
    visit.begin(page.url_path)
    return Routed(page)


def ensure() -> None:
    """Build the navigation on a cold deep link, where Streamlit skipped app.py, and begin again through app.py.

    Without beginning again, the next run would be the first one through app.py; Streamlit would then take every
    widget for another one, and a reader's first move would be lost.
    """
    if st.session_state.get("routed"):
        return
    _configure()
    page = _navigation()
    if not st.session_state.get("ensured"):
        st.session_state["ensured"] = True
        st.rerun()
    visit.begin(page.url_path)


def neighbours(topic: Topic) -> tuple[Topic | None, Topic | None]:
    """The lessons before and after this one."""
    row = lessons()
    place = [t.number for t in row].index(topic.number)
    return (row[place - 1] if place else None), (row[place + 1] if place + 1 < len(row) else None)
