"""`make bench`: what a reader waits for, beside a bare Streamlit page measured in the same run. Nothing is asserted."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, chromium, serve, used

BARE = """
import plotly.graph_objects as go, streamlit as st
n = st.slider("n", 1, 64, 8)
st.title("bare")
st.plotly_chart(go.Figure(go.Bar(y=list(range(n)))))
"""

# Resolves with the milliseconds from a key on the control to the frame after the picture has changed.
STEP = """
([control, picture, key]) => new Promise((done) => {
  const input = document.querySelector(control), begin = performance.now();
  const watch = new MutationObserver(() => {
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
  });
  watch.observe(document.querySelector(picture), { subtree: true, childList: true, attributes: true, characterData: true });
  if (key === "input") { input.value = +input.value ? +input.value - 1 : +input.max; input.dispatchEvent(new Event("input", { bubbles: true })); }
})
"""


def steps(page: Page, control: str, picture: str, press: str | None, n: int = 30) -> list[float]:
    """Milliseconds of n moves. A Streamlit slider listens to real keys; the sweep to its input event."""
    times = []
    for i in range(n):
        if press is None:
            times.append(page.evaluate(STEP, [control, picture, "input"]))
        else:
            page.locator(control).focus()
            page.evaluate(f"(given) => {{ window.__step = ({STEP})(given); }}", [control, picture, ""])
            page.keyboard.press("ArrowRight" if i % 2 else "ArrowLeft")
            times.append(page.evaluate("() => window.__step"))
        page.wait_for_timeout(250)
    return times


def memory(pid: int) -> float:
    """Resident megabytes of the server."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measured(
    browser: Browser, root: Path, path: str, figure: str, act: Callable[[Page], dict[str, list[float]]]
) -> None:
    process, url = serve(root)
    try:
        begin = time.perf_counter()
        page = browser.new_page()
        page.goto(url + path)
        page.wait_for_selector("h1")
        title = time.perf_counter() - begin
        page.wait_for_selector(figure)
        drawn = time.perf_counter() - begin
        page.wait_for_timeout(2000)
        print(f"\n{'the app, ' + path if root == ROOT else 'a bare Streamlit page'}")
        print(f"  cold server to title  {title:6.2f} s\n  cold server to figure {drawn:6.2f} s")
        for name, times in act(page).items():
            p95 = sorted(times)[int(len(times) * 0.95)]
            print(f"  {name:34} p50 {statistics.median(times):6.1f} ms   p95 {p95:6.1f} ms   ({len(times)} moves)")
        print(f"  memory of the server  {memory(process.pid):6.0f} MB")
        page.wait_for_timeout(3000)
        print(f"  idle, of one core     {used(process.pid, 3):6.1%}")
        page.close()
    finally:
        process.terminate()
        process.wait(10)


def app(page: Page) -> dict[str, list[float]]:
    return {
        "sweep: d_k, input to repaint": steps(page, "#tt-d_k", ".tt-plot", None),
        "server control: N, key to repaint": steps(page, ".stSlider input", ".tt-plot", "key"),
    }


def sweeps(*keys: str) -> Callable[[Page], dict[str, list[float]]]:
    """All sweeps of a page, by their keys."""
    return lambda page: {
        f"sweep: {key}": steps(page, f"#tt-{key}", f".tt:has(#tt-{key}) .tt-plot", None) for key in keys
    }


def bare(page: Page) -> dict[str, list[float]]:
    return {"st.slider and st.plotly_chart": steps(page, ".stSlider input", "[data-testid=stPlotlyChart]", "key")}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (Path(folder) / "app.py").write_text(BARE)
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        measured(browser, Path(folder), "/", "[data-testid=stPlotlyChart] .main-svg", bare)
        measured(browser, ROOT, "/scaling", ".tt[data-drawn]", app)
        drawn = ".tt[data-drawn]"
        measured(browser, ROOT, "/parameters", drawn, sweeps("width", "context"))
        measured(browser, ROOT, "/pre_post_norm", drawn, sweeps("norm_depth", "train_step"))
        browser.close()
