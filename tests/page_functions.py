"""The functions of a page, without the page: what stands above its `with lesson(...)`."""

from pathlib import Path
from types import SimpleNamespace

PAGES = Path(__file__).parent.parent / "pages"


def functions_of(name: str) -> SimpleNamespace:
    """They draw frames out of numbers, and are tested like any other code."""
    file = PAGES / name
    source = file.read_text("utf-8").partition("\nwith lesson(")[0].replace("opening(__file__)", "")
    found: dict = {"__name__": file.stem}
    exec(compile(source, str(file), "exec"), found)
    return SimpleNamespace(**found)
