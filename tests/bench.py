"""`make bench`: what a reader waits for and what it costs the server, beside a bare Streamlit page in the same run.

`python -m tests.bench --quick` is a quick look. The whole run writes docs/benchmarks.md. Nothing is asserted: two shared
cores vary by more than any bound that would mean something; the ratios are what counts.
"""

import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, chromium, ends, seconds, serve
from tests.load import DURING, EVERY, VISITORS, crowd
from ui.drawings.scaling import ROW_KEYS
from ui.nav import lessons

# What a plain app does: a slider, and a figure computed afresh for each of its values.
BARE = """
import numpy as np, plotly.graph_objects as go, streamlit as st
st.title("bare")
n = st.slider("n", 2, 256, 64)
x = np.linspace(0, 10, 400)
figure = go.Figure([go.Scatter(x=x, y=np.sin(x * n / 64) / k, name=str(k)) for k in range(1, 5)])
st.plotly_chart(figure)
"""

# Resolves with the milliseconds from a move of the control to the frame after the picture has changed.
STEP = """
([control, picture, key]) => new Promise((done) => {
  const input = document.querySelector(control), begin = performance.now();
  const watch = new MutationObserver(() => {
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
  });
  watch.observe(document.querySelector(picture), { subtree: true, childList: true, attributes: true, characterData: true,
    attributeFilter: ["d", "transform", "href", "style", "x", "y", "data-drawn"] });
  if (key === "input") { input.value = +input.value ? +input.value - 1 : +input.max; input.dispatchEvent(new Event("input", { bubbles: true })); }
})
"""


@dataclass
class App:
    """One of the two that are compared."""

    name: str
    root: Path
    path: str
    figure: str  # is there when the first figure is drawn
    slider: str  # the label of a control that asks the server
    values: Sequence[int]
    rows: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    def says(self, what: str, words: str, number: float) -> None:
        self.rows[what], self.numbers[what] = words, number
        print(f"  {self.name:28} {what:44} {words}", flush=True)


def spread(times: list[float]) -> str:
    return f"p50 {statistics.median(times):.0f} ms, p95 {sorted(times)[int(len(times) * 0.95)]:.0f} ms"


@contextmanager
def running(app: App) -> Iterator[tuple[int, str]]:
    process, url = serve(app.root)
    try:
        yield process.pid, url
    finally:
        ends(process)


def opened(browser: Browser, url: str, app: App) -> tuple[Page, float, float]:
    """A new browser's first visit: the page, the seconds to its title and to its first figure."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    begin = time.perf_counter()
    page.goto(url + app.path, wait_until="commit", timeout=120_000)
    page.wait_for_selector("h1", timeout=120_000)
    title = time.perf_counter() - begin
    page.wait_for_selector(app.figure, timeout=120_000)
    return page, title, time.perf_counter() - begin


def cold(browser: Browser, apps: tuple[App, App], rounds: int) -> None:
    """The first visitor of a server that has just started; the two in turns."""
    times: dict[str, list[tuple[float, float]]] = {app.name: [] for app in apps}
    for _ in range(rounds):
        for app in apps:
            with running(app) as (_, url):
                page, title, figure = opened(browser, url, app)
                times[app.name].append((title, figure))
                page.context.close()
    for app in apps:
        title, figure = (statistics.median(column) for column in zip(*times[app.name], strict=True))
        app.says("cold server to title", f"{title:.2f} s", title)
        app.says("cold server to first figure", f"{figure:.2f} s", figure)


def cold_crowd(browser: Browser, apps: tuple[App, App]) -> None:
    """The same for one of forty visitors who arrive within two seconds."""
    for app in apps:
        with running(app) as (_, url):
            others = threading.Thread(target=crowd, args=(url, app.path, app.slider, app.values, 0.0))
            others.start()
            page, title, _ = opened(browser, url, app)
            others.join()
            page.context.close()
        app.says("the same among forty who come at once", f"{title:.2f} s", title)


def moves(page: Page, control: str, picture: str, press: bool, n: int) -> list[float]:
    """Milliseconds of n moves. A Streamlit slider listens to real keys; the sweep to its input event."""
    times = []
    page.locator(picture).first.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    for i in range(n):
        if press:
            page.locator(control).first.focus()
            page.evaluate(f"(given) => {{ window.__step = ({STEP})(given); }}", [control, picture, ""])
            page.keyboard.press("ArrowRight" if i % 2 else "ArrowLeft")
            times.append(page.evaluate("() => window.__step"))
        else:
            times.append(page.evaluate(STEP, [control, picture, "input"]))
        page.wait_for_timeout(400 if press else 100)
    return times


def warm(browser: Browser, app: App, n: int) -> None:
    """A server that has been there for a while."""
    with running(app) as (pid, url):
        page, *_ = opened(browser, url, app)
        page.wait_for_timeout(4000)
        for key in page.eval_on_selector_all(".tt input[type=range]", "all => all.filter(e => +e.max).map(e => e.id)")[
            :1
        ]:
            times = moves(page, f"#{key}", f".tt:has(#{key}) .tt-panels", False, n)
            app.says("hero control, input to repaint", spread(times), statistics.median(times))
        figure = ".tt-panels" if app.root == ROOT else "[data-testid=stPlotlyChart]"
        times = moves(page, ".stSlider input", figure, True, n)
        app.says("server control, key to repaint", spread(times), statistics.median(times))
        page.context.close()
        used = []
        for _ in range(max(3, n // 8)):
            before = seconds(pid)
            page, *_ = opened(browser, url, app)
            page.wait_for_timeout(1500)
            used.append(seconds(pid) - before)
            page.context.close()
        cost = statistics.median(used)
        app.says("warm opening, CPU of the server", f"{1000 * cost:.0f} ms", cost)


def load(app: App, during: float) -> None:
    """Forty visitors, a move every two seconds."""
    with running(app) as (pid, url):
        crowd(url, app.path, app.slider, app.values, 0.0)
        time.sleep(3)
        before = seconds(pid)
        heard = crowd(url, app.path, app.slider, app.values, during)
        cpu = (seconds(pid) - before) / max(1, len(heard.waited))
        worst = heard.waited[int(0.95 * len(heard.waited))] if heard.waited else float("nan")
        app.says(f"{VISITORS} visitors, a move every {EVERY:.0f} s: p95", str(heard), worst)
        app.says("CPU of a move on the server", f"{1000 * cpu:.0f} ms", cpu)


@dataclass(frozen=True)
class Hero:
    """What one lesson's first screen costs."""

    lesson: str
    first: float  # seconds to its figure for the first of all visitors
    again: float  # seconds for the next one
    cpu: float  # seconds of the server for that one
    repaint: list[float]  # milliseconds from the input to the repaint

    def __str__(self) -> str:
        return f"| {self.lesson} | {self.first:.2f} s | {self.again:.2f} s | {1000 * self.cpu:.0f} ms | {spread(self.repaint)} |"


def heroes(browser: Browser, n: int) -> list[Hero]:
    """Every lesson in turn on one server that has shown the front door: its first visitor, the next one, and n moves."""
    found = []
    control, panels = ".st-key-hero .tt input[type=range]", ".st-key-hero .tt-panels"
    with running(App("the map", ROOT, "/", ".front[data-drawn]", "", ())) as (pid, url):
        for one in [None, *lessons()]:
            app = App("", ROOT, f"/{one.slug if one else ''}", ".tt[data-drawn], .front[data-drawn]", "", ())
            page, _, first = opened(browser, url, app)
            page.wait_for_timeout(4000)
            page.context.close()
            if one is None:
                continue
            before = seconds(pid)
            page, _, again = opened(browser, url, app)
            page.wait_for_timeout(1500)
            cpu = seconds(pid) - before
            found.append(Hero(f"{one.number} · {one.title}", first, again, cpu, moves(page, control, panels, False, n)))
            page.context.close()
            print(f"  {found[-1]}", flush=True)
    return found


TARGETS = {
    "hero control, input to repaint": "p50 ≤ 30, p95 ≤ 50 ms",
    "server control, key to repaint": "≤ 1.0 ×",
    "CPU of a move on the server": "≤ 0.6 ×",
    "warm opening, CPU of the server": "≤ 1.5 ×",
    "cold server to title": "≤ 1.6 ×",
    "the same among forty who come at once": "≤ 1.6 ×",
    f"{VISITORS} visitors, a move every {EVERY:.0f} s: p95": "≤ 1.0 ×, no errors",
}


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return f"{os.cpu_count()} cores of {model or platform.machine()}, load {os.getloadavg()[0]:.1f} at the start"


def written(bare: App, app: App, all_heroes: list[Hero], on: str, quick: bool) -> str:
    lines = [
        "# Benchmarks",
        "",
        "`make bench` measures the app beside a bare Streamlit page (a slider and a Plotly figure) in the same run, and writes",
        "this page. Server, visitors and browser share the machine, so the ratios count, not the milliseconds.",
        "",
        f"{date.today()} · {on} · Python {platform.python_version()}, Streamlit {version('streamlit')}, "
        f"PyTorch {version('torch')} · {app.path}"
        f"{' · a quick look: few moves, short load' if quick else ''}",
        "",
        "| | the app | bare | ratio | aim |",
        "|---|---|---|---|---|",
    ]
    for what, words in app.rows.items():
        other = bare.numbers.get(what) if what in bare.rows else None
        ratio = f"{app.numbers[what] / other:.2f}" if other else ""
        lines.append(f"| {what} | {words} | {bare.rows.get(what, '')} | {ratio} | {TARGETS.get(what, '')} |")
    lines += [
        "",
        "## Every hero",
        "",
        "One server: the first visitor of each page, who waits for what is computed once; the next one; and the control of the hero,",
        "moved while nothing else goes on.",
        "",
        "| | first visitor: figure | next visitor: figure | CPU of that visit | input to repaint |",
        "|---|---|---|---|---|",
        *map(str, all_heroes),
    ]
    return "\n".join(lines) + "\n"


def main(quick: bool) -> None:
    on = machine()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (Path(folder) / "app.py").write_text(BARE)
        bare = App("bare", Path(folder), "/", "[data-testid=stPlotlyChart] .main-svg", "n", range(2, 257))
        app = App("the app, /scaling", ROOT, "/scaling", ".tt[data-drawn]", "Keys N", ROW_KEYS)
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        apps = bare, app
        for one in apps:
            warm(browser, one, 10 if quick else 40)
        cold(browser, apps, 1 if quick else 5)
        cold_crowd(browser, apps)
        for one in apps:
            load(one, 10.0 if quick else DURING)
        shown = heroes(browser, 10 if quick else 20)
        browser.close()
    page = written(bare, app, shown, on, quick)
    print("\n" + page)
    if not quick:
        (ROOT / "docs" / "benchmarks.md").write_text(page, "utf-8")


if __name__ == "__main__":
    main("--quick" in sys.argv)
