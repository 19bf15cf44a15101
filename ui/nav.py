"""Where everything is. The only call of st.navigation.

Streamlit treats an app with a `pages` folder as one of the old kind until some session has called `st.navigation`:
the first visitor of `/scaling` on a fresh server gets that page *without* app.py, with the wrong sidebar. So every
page calls `ensure()`, which builds the navigation if app.py did not (docs/decisions/0002, pinned by
tests/browser/test_deep_links.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.navigation.page import Page

from core.course import topics
from core.syllabus import Theme, Topic
from ui import visit
from ui.standing import standing

ROOT = Path(__file__).parent.parent
HOME = ROOT / "pages" / "00_home.py"
_PAGES = {
    path.stem: path for path in (ROOT / "pages").glob("*.py")
}  # read once: every run of a page asks for all of them
NAME = "Transformer Twenty"
ICON = ROOT / "assets" / "icon.png"  # a file of our own: Streamlit fetches a `:material/…:` icon from another host


def page_of(topic: Topic | None) -> Path | None:
    """The page of a question, or None while it has no lesson."""
    return None if topic is None else _PAGES.get(f"{topic.number:02}_{topic.slug}")


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
    """The questions that have a page, in the order of the course."""
    return [topic for topic in topics() if page_of(topic)]


def linked(text: str) -> str:
    """Markdown in which every “question 14” that has a lesson leads there, in a tab beside this one.

    >>> linked("As in question 2. Questions 2 and 99 differ.")
    'As in [question 2](scaling). Questions [2](scaling) and 99 differ.'
    """
    slugs = {str(topic.number): topic.slug for topic in lessons()}

    def lead(found: re.Match[str]) -> str:
        if found[0][-1].isdigit() and found[0].count(" ") == 1:  # one question: its word is part of the link
            return f"[{found[0]}]({slugs[found[1]]})" if found[1] in slugs else found[0]
        return re.sub(r"\d+", lambda n: f"[{n[0]}]({slugs[n[0]]})" if n[0] in slugs else n[0], found[0])

    return re.sub(r"\b[Qq]uestions? (\d+)(?:(?:, | and )\d+)*", lead, text)


def _navigation() -> Page:
    """Streamlit's own list is hidden: `sidebar` draws the course. The titles here are those of the browser's tabs."""
    pages = [st.Page(HOME, title=NAME, default=True)]
    pages += [st.Page(page_of(t) or HOME, title=f"{t.title} · {NAME}", url_path=t.slug) for t in lessons()]
    return st.navigation(pages, position="hidden")


# Streamlit fades captions to 60 %, which is 3.7:1 on white; a blank number box has steps that do nothing. Question, sentence,
# equation, prediction and hero fit one screen, so what Streamlit puts between and above them is taken away.
# Of an unknown address the map says more than Streamlit's dialog “Page not found”, the only one without blocks of an app in it.
#
# On paper a lesson is a hand-out: dark on white in any theme, one column, nothing to press, each control as its name and
# its value, and the answers open (`ui.lesson` writes them a second time, for paper only).
STYLE = """<style>
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { opacity: 1; color: var(--tt-quiet, inherit); }
[data-testid="stNumberInput"]:has([data-testid="stNumberInputStepUp"]:disabled) button { display: none; }
[data-testid="stMainBlockContainer"] { padding: 1rem clamp(1rem, 3vw, 3.4rem) 4rem; max-width: 1760px; }
[data-testid="stHeader"] { height: 2.4rem; min-height: 0; background: transparent; pointer-events: none; }
[data-testid="stHeader"] button { pointer-events: auto; }
[data-testid="stMain"] h1 { padding: 0 0 .45rem; line-height: 1.15; }
[data-testid="stMain"] h2 { padding: 1.7rem 0 .7rem; }
[data-testid="stMain"] [data-testid="stVerticalBlock"] { gap: .55rem; }
.st-key-crumb, .st-key-equation, .st-key-predict [data-testid="stHorizontalBlock"] { row-gap: .2rem !important; }
.st-key-crumb p { line-height: 1.3; }
.st-key-crumb [data-testid="stPageLink"] a { padding: 0 .3rem; }
.st-key-crumb button { min-height: 0; }
.st-key-short { margin-top: .15rem; }
.st-key-short p { font-size: 1.12rem; line-height: 1.45; max-width: 68em; }
.st-key-short_answer p { font-size: 1.2rem; line-height: 1.5; }
.st-key-equation .katex { font-size: 1.3em; }
.st-key-equation .katex .fbox { border-radius: 4px; }
.st-key-predict { background: color-mix(in srgb, currentcolor 4%, transparent); padding: .4rem .9rem; }
.st-key-outcome { flex-wrap: nowrap !important; }
.st-key-outcome [data-testid="stAlertContainer"] { padding: .45rem .8rem; }
.st-key-predict h3 { font-size: 1rem; font-weight: 650; padding: 0; }
.st-key-predict [data-testid="stHeaderActionElements"] { display: none; }
[data-testid="stMain"] [data-testid="stButtonGroup"] button { height: auto; min-height: 2rem; }
[data-testid="stMain"] [data-testid="stButtonGroup"] p { white-space: normal; text-align: left; }
.st-key-looks [data-testid="stButtonGroup"] > div { flex-direction: column; align-items: flex-start; }
[class*="st-key-verdict_"] { padding: .4rem .2rem; }
[data-testid="stLayoutWrapper"] + [data-testid="stLayoutWrapper"] > [class*="st-key-verdict_"] {
  border-top: 1px solid color-mix(in srgb, currentcolor 18%, transparent); }
[class*="st-key-verdict_"] [data-testid="stPopoverButton"] { border: 1.5px solid; border-radius: 99px; white-space: nowrap;
  padding: 0 .8rem; min-height: 1.8rem; }
[class*="st-key-verdict_if"] [data-testid="stPopoverButton"] { border-style: dashed; }
[class*="st-key-verdict_otherwise"] [data-testid="stPopoverButton"] { border-width: 2.5px; border-radius: 3px; font-weight: 650; }
[data-testid="stSidebar"] { width: 268px !important; min-width: 0 !important; }
[data-testid="stSidebarHeader"] { height: 1.6rem; min-height: 0; padding: .2rem .6rem; }
[data-testid="stSidebarContent"] { padding: 0 .4rem; }
[data-testid="stSidebarUserContent"] { padding: 0 .4rem 2rem; }
[data-testid="stSidebar"] [data-testid="stVerticalBlock"] { gap: .1rem; }
[data-testid="stSidebar"] [data-testid="stPageLink"] a { padding: .08rem .5rem; }
[data-testid="stSidebar"] [data-testid="stPageLink"] p, [data-testid="stSidebar"] [data-testid="stCaptionContainer"] p { font-size: .92rem; }
[data-testid="stSidebar"] [data-testid="stCaptionContainer"] p { padding-left: .5rem; line-height: 1.75; }
.st-key-parts { margin: .1rem 0 .3rem 1.3rem; padding-left: .6rem; border-left: 2px solid color-mix(in srgb, currentcolor 18%, transparent); }
.st-key-parts p { font-size: .86rem; line-height: 1.5; }
.st-key-parts a { color: inherit; text-decoration: none; }
.st-key-parts a:hover, .st-key-parts a:focus-visible { text-decoration: underline; }
a:focus-visible, button:focus-visible { outline: 3px solid currentcolor !important; outline-offset: 1px; }
@media (min-width: 701px) {
  [class*="st-key-verdict_"] { flex-wrap: nowrap !important; }
  [class*="st-key-verdict_"] > [data-testid="stElementContainer"]:first-child { flex: 1 1 0 !important; min-width: 0; }
}
@media (max-width: 1100px) { [data-testid="stMainBlockContainer"] { padding-top: 2.5rem; } }
/* On a phone the button that opens the sidebar would lie on what has been scrolled up to it. */
@media screen and (max-width: 700px) {
  @supports (animation-timeline: scroll()) {
    .stApp { timeline-scope: --tt-page; }
    [data-testid="stMain"] { scroll-timeline: --tt-page block; }
    [data-testid="stHeader"] { animation: tt-away linear both; animation-timeline: --tt-page; animation-range: 20px 80px; }
  }
}
@keyframes tt-away { to { opacity: 0; visibility: hidden; } }
@media (max-width: 700px) {
  .st-key-hero [data-testid="stHorizontalBlock"] { flex-direction: column-reverse; }
  .st-key-outcome { flex-wrap: wrap !important; }
  [data-testid="stMain"] h1 { font-size: 1.5rem; }
}
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
    > div > div > [data-testid="stPageLink"], > div > div > [data-testid="stButton"]),
  [data-testid="stButtonGroup"] button[aria-pressed="false"],
  .st-key-looks [data-testid="stButtonGroup"], .st-key-looks:not(:has([data-testid="stBaseButton-pillsActive"])),
  [class*="st-key-verdict_"] button [data-testid="stIconMaterial"] + [data-testid="stIconMaterial"] { display: none !important; }
  [data-testid="stMain"] [class*="st-key-verdict_"] :is([data-testid="stElementContainer"], [data-testid="stLayoutWrapper"]):has(button) {
    display: inline-block !important; width: auto !important; }
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
  :not(pre) > code { padding: 0 !important; white-space: normal !important; overflow-wrap: anywhere !important; }
  pre { padding: .5rem .7rem !important; border: 1px solid !important; }
  h1, h2, h3 { padding: .7rem 0 .2rem !important; }
  [data-testid="stHeading"] [data-testid="stMarkdownContainer"] { margin: 0 !important; }
  h1, h2, h3, [data-testid="stHeading"], [data-testid="stElementContainer"]:has([data-testid="stHeading"]),
  ul + p, [data-testid="stElementContainer"]:has(ul + p) { break-after: avoid; }
  h1, h2, h3, [data-testid="stHeading"], [data-testid="stElementContainer"]:has([data-testid="stHeading"]) { break-inside: avoid; }
  p, li { line-height: 1.45 !important; }
  p, li, tr, [data-testid="stAlert"], [data-testid="stMetric"], [data-testid="stRadio"],
  [data-testid="stVerticalBlock"] [data-testid="stVerticalBlock"]:not(:has(.tt)) { break-inside: avoid; }

  /* a control: its name and its value, in the line with the others */
  [data-testid="stElementContainer"]:not([class*="-prediction"]):has([data-testid="stRadio"], [data-testid="stSlider"],
    [data-testid="stNumberInput"], [data-testid="stTextInput"], [data-testid="stSelectbox"], [data-testid="stCheckbox"],
    [data-testid="stMetric"]),
  [data-testid="stGridCell"] {
    display: inline-block !important; width: auto !important; margin-right: 1.6rem !important; vertical-align: top; }
  [data-testid="stGrid"] { display: block !important; }
  [data-testid="stElementContainer"]:not([class*="-prediction"]) [data-testid="stRadio"], [data-testid="stSlider"],
  [data-testid="stNumberInput"], [data-testid="stTextInput"], [data-testid="stSelectbox"] {
    display: flex; align-items: baseline; gap: .5rem; }
  [data-testid="stElementContainer"]:not([class*="-prediction"]) [data-testid="stRadio"] :is(
    div:has(> [data-testid="stRadioOption"] input:not(:checked)), [data-testid="stRadioOption"] > div > div:first-child) {
    display: none !important; }
  [data-testid="stRadioOption"] > div > div:first-child { border: 1.5px solid #1D2026 !important; }
  [data-testid="stRadioOption"]:has(input:checked) > div > div:first-child { background: #1D2026 !important; }
  [data-testid="stSlider"] div { position: static !important; transform: none !important; }
  :is([data-testid="stElementContainer"]:not([class*="-prediction"]) [data-testid="stRadio"], [data-testid="stSlider"],
    [data-testid="stNumberInput"], [data-testid="stTextInput"], [data-testid="stSelectbox"]) * {
    flex: none !important; width: auto; height: auto !important; min-height: 0 !important; white-space: nowrap !important;
    border: 0 !important; padding: 0 !important; margin: 0 !important; }
  :is([data-testid="stNumberInput"], [data-testid="stTextInput"], [data-testid="stSelectbox"]) input { field-sizing: content; font: inherit; }
  [data-testid="stMetricValue"] { font-size: 1.3rem; }
}
</style>"""


def _configure() -> None:
    st.set_page_config(page_icon=str(ICON), layout="wide")
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
    """The lessons before and after this one, in the order of the course."""
    row = lessons()
    place = [t.slug for t in row].index(topic.slug)
    return (row[place - 1] if place else None), (row[place + 1] if place + 1 < len(row) else None)


def link(topic: Topic | None, icon: str, icon_position: Literal["left", "right"] = "left", label: str = "") -> None:
    """A link to a lesson, if there is one; by its name, or by what it is for."""
    path = page_of(topic)
    if topic and path:
        st.page_link(path, label=label or f"{topic.number} · {topic.title}", icon=icon, icon_position=icon_position)


def sidebar(current: Topic | None = None, parts: Mapping[str, str] | None = None) -> None:
    """The course: themes, lessons, and under the current one its parts. What has no lesson yet is quieter."""
    with st.sidebar:
        st.page_link(HOME, label="The map", icon=":material/map:")
        for theme in Theme:
            st.caption(f"**{theme}**")
            row = [topic for topic in topics() if topic.theme is theme]
            for ready, some in groupby(row, key=lambda topic: page_of(topic) is not None):
                if not ready:
                    st.caption("  \n".join(f":gray[{topic.number}\u2002{topic.title}]" for topic in some))
                    continue
                for topic in some:
                    st.page_link(page_of(topic) or HOME, label=f"{topic.number}\u2002{topic.title}")
                    if current == topic and parts:
                        with st.container(key="parts"):
                            st.markdown("  \n".join(f"[{name}](#{anchor})" for anchor, name in parts.items()))
