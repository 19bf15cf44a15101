"""The running app in Chromium. Without a browser these tests skip with the reason; in CI that is a failure."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parent.parent.parent
expect.set_options(timeout=45_000)  # states are waited for: the first visitor of a busy machine waits for every proof
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in Path(str(item.fspath)).parts:
            item.add_marker(pytest.mark.browser)


def chromium() -> str | None:
    """Where the browser is."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        reason = "no Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM to its path"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


PATIENCE = 120.0  # seconds: the most that a test waits for a state, on a machine that has other things to do


def until(holds: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a state, however long the machine takes, within reason."""
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, f"not within {patience:.0f} s: {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(root: Path = ROOT, port: int | None = None, script: str = "app.py") -> tuple[subprocess.Popen, str]:
    """A fresh server of the app; ready when its health page answers."""
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless=true"]
    process = subprocess.Popen(
        [*command, f"--server.port={port}", "--server.address=127.0.0.1"],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return True
        except OSError:
            return False

    try:
        until(answers, "the app has started")
    except AssertionError:
        process.kill()
        raise
    return process, url


def forked(folder: Path) -> Path:
    """The app as somebody who forks it has it: a copy in which a file may be changed or missing."""
    copy = folder / "app"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*venv*", ".git", "tests", "*cache*", "screenshots"))
    return copy


def ends(process: subprocess.Popen) -> None:
    """Ask a server to go; one that is still busy with visitors who have left does not go at once."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def seconds(pid: int) -> float:
    """The computing time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used(pid: int, during: float) -> float:
    """The share of one core that a process takes during some seconds."""
    before = seconds(pid)
    time.sleep(during)
    return (seconds(pid) - before) / during


def rests(pid: int, patience: float = PATIENCE) -> None:
    """Wait until a process computes no more: hardly anything in one second, however late that comes."""
    until(lambda: used(pid, 1) < 0.1, f"process {pid} computes no more", patience)


def works(pid: int, amount: float = 0.5, patience: float = PATIENCE) -> None:
    """Wait until a process has computed for some time of its own; a busy machine gives it less than it asks for."""
    begin = seconds(pid)
    until(lambda: seconds(pid) - begin > amount, f"process {pid} computes", patience)


# Streamlit says in the page whether it is connected, and whether a run is going on.
RESTS = """() => {
  const app = document.querySelector("[data-testid=stApp]")?.dataset ?? {};
  return app.testConnectionState === "CONNECTED" && app.testScriptState === "notRunning";
}"""


def program(page: Page, d_k: int, keys: int = 64, divisor: str = "sqrt", seed: int = 0) -> None:
    """What Python has of question 2's controls, as its program says it."""
    said = page.locator("pre").filter(has_text=f"d_k, n_keys, divisor, seed = {d_k}, {keys}, '{divisor}', {seed}")
    door = page.get_by_test_id("stExpander").filter(has_text="A program of its own")
    door.wait_for(timeout=1000 * PATIENCE)
    if door.locator("details:not([open])").count():
        door.locator("summary").click()
    expect(said).to_be_visible(timeout=1000 * PATIENCE)


def faultless(page: Page) -> None:
    """No traceback, no console error, no sideways scrolling, no serious accessibility violation, no other host."""
    assert page.get_by_test_id("stException").count() == 0
    # Streamlit asks hosts of its own (metrics, fonts) and, below a page's path, for files that it does not need.
    ours = [e for e in page.errors if "ERR_NAME_NOT_RESOLVED" not in e and "404 (Not Found)" not in e]  # type: ignore[attr-defined]
    assert not ours
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    main = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{main}.scrollWidth <= {main}.clientWidth")
    found = Axe().run(page, context="[data-testid=stMain]").response["violations"]
    serious = [
        (v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert not serious
    asked = {urlsplit(url).netloc for url in page.asked if not url.startswith(("data:", "blob:"))}  # type: ignore[attr-defined]
    assert asked == {urlsplit(page.url).netloc}


@pytest.fixture
def fresh() -> Iterator[Callable[[Path], str]]:
    """Servers that nobody has visited yet."""
    started: list[subprocess.Popen] = []

    def start(root: Path = ROOT) -> str:
        process, url = serve(root)
        started.append(process)
        return url

    yield start
    for process in started:
        ends(process)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    process, url = serve()
    yield url
    ends(process)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address in a context of its own and wait until its first figure, or the map, is drawn."""
    contexts = []

    def go(url: str, *, width: int = 1440, dark: bool = False, drawn: bool = True) -> Page:
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.errors = []  # type: ignore[attr-defined]
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)  # type: ignore[attr-defined]
        page.on("pageerror", lambda e: page.errors.append(str(e)))  # type: ignore[attr-defined]
        page.asked = []  # type: ignore[attr-defined]
        page.on("request", lambda request: page.asked.append(request.url))  # type: ignore[attr-defined]
        page.on("websocket", lambda socket: page.asked.append(socket.url))  # type: ignore[attr-defined]
        page.goto(url, timeout=1000 * PATIENCE)
        if drawn:
            page.wait_for_selector(".tt[data-drawn], .front[data-drawn]")
        return page

    yield go
    for context in contexts:
        context.close()
