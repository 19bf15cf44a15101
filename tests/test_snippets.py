"""A program to take away prints the page's own number, in a namespace with nothing but PyTorch."""

import ast
import contextlib
import io
import sys

import pytest

from core.course import Snippet, course

CASES = [
    pytest.param(c.snippet, dict(example), id=f"{c.topic.slug}-{i}")
    for c in course()
    if c.snippet
    for i, example in enumerate(c.snippet.examples)
]


@pytest.mark.parametrize(("snippet", "controls"), CASES)
def test_it_prints_the_number_of_the_page(snippet: Snippet, controls: dict) -> None:
    program = snippet.filled(**controls)
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert imported <= {"torch"} | set(sys.stdlib_module_names)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "<snippet>", "exec"), {"__name__": "__main__"})
    last = printed.getvalue().split()[-1].replace(",", "")
    expected = snippet.number(**controls)
    decimals = len(last.partition(".")[2].partition("e")[0])
    assert float(last) == pytest.approx(expected, abs=10.0**-decimals if "e" not in last else 1e-12, rel=1e-6)
