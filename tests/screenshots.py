"""`make screenshots`: every page at 1440 and 390 px, light and dark, into screenshots/. Then look at them."""

import shutil

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, chromium, serve
from ui.nav import lessons


def main() -> None:
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    process, url = serve()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            for slug in ("", *(topic.slug for topic in lessons())):
                for width in (1440, 390):
                    for scheme in ("light", "dark"):
                        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                        page.goto(f"{url}/{slug}")
                        page.wait_for_selector(".tt[data-drawn], .front[data-drawn]")
                        page.wait_for_timeout(1500)
                        # Streamlit scrolls inside its own container: only a window as high as that shows all of it.
                        high = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
                        page.set_viewport_size({"width": width, "height": min(high + 40, 12_000)})
                        page.wait_for_timeout(1200)
                        path = folder / f"{slug or 'home'}_{width}_{scheme}.png"
                        page.screenshot(path=path)
                        print(path.relative_to(ROOT))
                        page.close()
            browser.close()
    finally:
        process.terminate()


if __name__ == "__main__":
    if chromium() is None:
        raise SystemExit(f"no Chromium found{'' if shutil.which('apt-get') is None else ': apt-get install chromium'}")
    main()
