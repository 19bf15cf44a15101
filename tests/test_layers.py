"""The house has one room for each meaning. Each law says what to do.

app routes · pages teach · drawings draw · concepts claim · experiments measure · ops define · tests doubt
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.syllabus import SYLLABUS
from ui.nav import lessons

ROOT = Path(__file__).parent.parent
FILES = [p for folder in ("core", "ui", "pages") for p in sorted((ROOT / folder).rglob("*.py"))]
PAGES = sorted((ROOT / "pages").glob("*.py"))
STANDARD = {"collections", "functools", "math", "re", "dataclasses", "typing", "pathlib", "itertools"}

# Where a file lies → what it may not import, and what to do instead. The first pattern that fits the file counts.
LAWS = (
    ("core.ops.", r"core\.(?!ops|__init__)|ui", "an equation knows nothing of experiments: pass it what it needs"),
    ("core.training.", r"core\.(concepts|experiments|course)|ui", "a training gives curves; experiments and concepts read them"),
    ("core.experiments.", r"core\.(concepts|course)|ui", "an experiment measures; what it proves, the concept says"),
    ("core.concepts.", r"ui|core\.concepts\.\w", "a concept claims; a drawing shows its experiment. They do not know each other"),
    ("core.", r"ui|streamlit|plotly", "core computes; pages teach. Return a dataclass and let a drawing show it"),
    ("ui.drawings.", r"core\.concepts|core\.course|streamlit|ui\.(sweep|lesson|controls|nav|training)",
     "a drawing turns an experiment into frames; sentences belong to concepts, widgets to pages"),
    ("ui.", r"core\.(experiments|concepts\.)", "shared code knows no single lesson; pages do"),
    ("pages.", r"plotly", "a page teaches; its figures are made in ui/drawings, its numbers in core/experiments"),
)  # fmt: skip


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{a.name}" for a in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_data_flows_one_way(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    law = next(((wrong, advice) for place, wrong, advice in LAWS if name.startswith(place)), None)
    if law is None:
        return
    wrong, advice = law
    broken = [m for m in imported(ast.parse(path.read_text("utf-8"))) if re.match(rf"({wrong})(\b|$)", m)]
    assert not broken, f"{path.relative_to(ROOT)} imports {broken}: {advice}."


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_a_page_is_a_lesson_and_no_workshop(path: Path) -> None:
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= 110, (
        f"{path.name} has {len(source.splitlines())} lines: move drawings to ui/drawings, measuring to core/experiments"
    )
    tree = ast.parse(source)
    assert not any(isinstance(node, ast.ClassDef) for node in tree.body), f"{path.name}: a page defines no class"


@pytest.mark.parametrize("path", [p for p in PAGES if not p.name.startswith("00")], ids=lambda p: p.stem)
def test_the_question_is_painted_before_anything_heavy_is_imported(path: Path) -> None:
    """PyTorch takes seconds on a slow machine; a reader sees the question at once."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            assert ast.unparse(node) == "opening(__file__)", f"{path.name}: the first call is opening(__file__)"
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported(ast.Module([node], [])):
                light = name.split(".")[0] in {"streamlit", *STANDARD} or name.startswith("ui.lesson")
                assert light, (
                    f"{path.name} imports {name} before opening(__file__): move it below, the question comes first"
                )
    raise AssertionError(f"{path.name} never calls opening(__file__)")


@pytest.mark.parametrize("slug", [t.slug for t in lessons() if t in SYLLABUS])
def test_a_lesson_of_the_twenty_has_all_its_rooms(slug: str) -> None:
    """A reader of one finds her way in every other. (A question that somebody adds may keep to two files.)"""
    for room in ("core/experiments", "core/concepts", "ui/drawings"):
        assert (ROOT / room / f"{slug}.py").exists(), f"write {room}/{slug}.py"


def test_what_paints_the_question_imports_nothing_heavy() -> None:
    """Streamlit itself imports Plotly's Python when it is installed; we import neither that nor pandas nor PyTorch."""
    program = (
        "import sys, streamlit; there = set(sys.modules);"
        "import ui.lesson, ui.nav, ui.controls, ui.sweep, core.course, core.syllabus;"
        "print(*sorted({'torch', 'pandas', 'plotly'} & (set(sys.modules) - there)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split(), (
        f"one of these modules imports {done.stdout.strip()} at its top: the question comes first"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_of_ours_imports_plotly_or_pandas(path: Path) -> None:
    """A figure is a dictionary, and plotly.js draws it in the browser."""
    broken = [m for m in imported(ast.parse(path.read_text("utf-8"))) if re.match(r"(plotly|pandas)(\.|$)", m)]
    assert not broken, f"{path.relative_to(ROOT)} imports {broken}: build the figure as a dictionary (ui/figures.py)"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_results_are_kept_in_one_memory(path: Path) -> None:
    """Caches that count entries do not bound bytes: sixteen links took a server from 460 to 1,254 MB."""
    found = re.findall(
        r"lru_cache|functools import .*\bcache\b|functools\.cache\b|cache_data|cache_resource", path.read_text("utf-8")
    )
    assert not found, (
        f"{path.relative_to(ROOT)} uses {found[0]}: decorate with core.memory.remember, which has a budget in bytes"
    )
