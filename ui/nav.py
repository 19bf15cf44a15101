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
ICON = ROOT / "assets" / "icon.png"  # a file of our own: Streamlit fetches a `:material/…:` icon from another host


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


# Streamlit fades captions to 60 %, which is 3.7:1 on white; a blank number box has steps that do nothing. Of an unknown
# address the map says more than Streamlit's dialog “Page not found”, the only one without blocks of an app in it.
#
# On paper a lesson is a hand-out: dark on white in any theme, one column, nothing to press, each control as its name and
# its value, and the answers open (`ui.lesson` writes them a second time, for paper only).
STYLE = """<style>
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { opacity: 1; color: var(--tt-quiet, inherit); }
[data-testid="stNumberInput"]:has([data-testid="stNumberInputStepUp"]:disabled) button { display: none; }
[data-testid="stMainBlockContainer"] { padding-top: 4.2rem; max-width: 1240px; }
[class*="st-key-on_paper"], [data-testid="stLayoutWrapper"]:has(> [class*="st-key-on_paper"]) { display: none !important; }
[data-testid="stDialog"]:not(:has([data-testid="stVerticalBlock"])) { display: none; }
@page { margin: 15mm; }
@media print {
  html { font-size: 14px !important; }

  /* nothing to press */
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stSkipToContent"], [data-testid="stStatusWidget"],
  [data-testid="stTooltipIcon"], [data-testid="stElementToolbarButton"], [data-testid="stHeaderActionElements"],
  [data-testid="stNumberInput"] button, [data-testid="stSelectbox"] button, [data-testid="stSliderTickBar"],
  [data-testid="stSlider"] div:empty, [data-testid="stExpander"]:has(details:not([open])),
  :is([data-testid="stElementContainer"], [data-testid="stLayoutWrapper"]):has(> [class*="st-key-on_screen"],
    > [data-testid="stPageLink"], > [data-testid="stButton"], > [data-testid="stDownloadButton"], > [data-testid="stPopover"],
    > div > div > [data-testid="stPageLink"], > div > div > [data-testid="stButton"]) { display: none !important; }
  [class*="st-key-on_paper"], [data-testid="stLayoutWrapper"]:has(> [class*="st-key-on_paper"]) { display: block !important; }

  /* dark on white; formulas keep their tints, which are chosen for both */
  html, body, [data-testid="stApp"], [data-testid="stApp"] *:not(.katex *) {
    color: #1D2026 !important; background-color: transparent !important; border-color: #B9BCC2 !important;
    box-shadow: none !important; -webkit-text-fill-color: currentcolor !important; }
  ::placeholder { color: #5A6068 !important; opacity: 1; }
  [data-testid="stAlert"] { border: 1px solid; border-radius: 6px; }

  /* one column of plain blocks, which page breaks understand */
  [data-testid="stMainBlockContainer"] { padding: 0 !important; max-width: none; }
  [data-testid="stAppViewContainer"], [data-testid="stMain"], [data-testid="stVerticalBlock"],
  [data-testid="stHorizontalBlock"], [data-testid="stLayoutWrapper"], [data-testid="stColumn"] {
    display: block !important; width: 100% !important; height: auto !important; max-height: none !important;
    overflow: visible !important; }
  [data-testid="stElementContainer"] { height: auto !important; overflow: visible !important; }
  [data-testid="stElementContainer"], [data-testid="stLayoutWrapper"], [data-testid="stColumn"] { margin-bottom: .6rem !important; }
  [data-testid="stMain"] * { min-width: 0 !important; }
  [data-testid="stTable"], [data-testid="stTable"] * { overflow: visible !important; }
  [data-testid="stTable"] table { width: 100%; font-size: .8rem; }
  pre, pre * { white-space: pre-wrap !important; overflow: visible !important; overflow-wrap: anywhere; }
  pre { padding: .5rem .7rem !important; border: 1px solid !important; }
  h1, h2, h3 { padding: .7rem 0 .2rem !important; }
  [data-testid="stHeading"] [data-testid="stMarkdownContainer"] { margin: 0 !important; }
  h1, h2, h3, [data-testid="stHeading"], [data-testid="stElementContainer"]:has([data-testid="stHeading"]) {
    break-inside: avoid; break-after: avoid; }
  p, li, tr, [data-testid="stAlert"], [data-testid="stMetric"], [data-testid="stRadio"],
  [data-testid="stVerticalBlock"] [data-testid="stVerticalBlock"]:not(:has(.tt)) { break-inside: avoid; }

  /* a control: its name and its value, in the line with the others */
  [data-testid="stElementContainer"]:not([class*="-prediction"]):has([data-testid="stRadio"], [data-testid="stSlider"],
    [data-testid="stNumberInput"], [data-testid="stSelectbox"], [data-testid="stCheckbox"], [data-testid="stMetric"]),
  [data-testid="stGridCell"] {
    display: inline-block !important; width: auto !important; margin-right: 1.6rem !important; vertical-align: top; }
  [data-testid="stGrid"] { display: block !important; }
  [data-testid="stElementContainer"]:not([class*="-prediction"]) [data-testid="stRadio"], [data-testid="stSlider"],
  [data-testid="stNumberInput"], [data-testid="stSelectbox"] { display: flex; align-items: baseline; gap: .5rem; }
  [data-testid="stElementContainer"]:not([class*="-prediction"]) [data-testid="stRadio"] :is(
    div:has(> [data-testid="stRadioOption"] input:not(:checked)), [data-testid="stRadioOption"] > div > div:first-child) {
    display: none !important; }
  [data-testid="stRadioOption"] > div > div:first-child { border: 1.5px solid #1D2026 !important; }
  [data-testid="stRadioOption"]:has(input:checked) > div > div:first-child { background: #1D2026 !important; }
  [data-testid="stSlider"] div { position: static !important; transform: none !important; }
  :is([data-testid="stElementContainer"]:not([class*="-prediction"]) [data-testid="stRadio"], [data-testid="stSlider"],
    [data-testid="stNumberInput"], [data-testid="stSelectbox"]) * {
    flex: none !important; width: auto; height: auto !important; min-height: 0 !important; white-space: nowrap !important;
    border: 0 !important; padding: 0 !important; margin: 0 !important; }
  [data-testid="stNumberInput"] input, [data-testid="stSelectbox"] input { field-sizing: content; font: inherit; }
  [data-testid="stMetricValue"] { font-size: 1.3rem; }
}
</style>"""


def _configure() -> None:
    st.set_page_config(page_title=NAME, page_icon=str(ICON), layout="wide")
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
