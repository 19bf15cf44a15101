"""What a figure's CSV says: the browser's own `table`, run under node, on figures packed as the app packs them."""

import csv
import io
import json
import math
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import playwright
import pytest
import torch

from ui import figures
from ui.figures import Figure, Frame, Series
from ui.palette import QUERY, SIGNED, WITH
from ui.sweep.packing import pack

ROOT = Path(__file__).parent.parent
# Playwright, which drives the browser tests, brings a node of its own.
NODE = Path(playwright.__file__).parent / "driver" / ("node.exe" if os.name == "nt" else "node")

HARNESS = """
const fs = require("fs");
globalThis.window = {};
const source = fs.readFileSync(process.argv[1], "utf-8").replace("export default", "const component =");
const { unpack, resolve, table, INK } = new Function(source + "; return { unpack, resolve, table, INK };")();
const s = unpack(new Uint8Array(fs.readFileSync(0)));
process.stdout.write(JSON.stringify(s.head.panels.map((panel) => table(resolve(panel, { ...s, theme: INK }, 0)))));
"""


def saved(*charts: Figure) -> list[str]:
    """The CSV of each chart, as text."""
    node = str(NODE) if NODE.exists() else shutil.which("node")
    assert node, "Playwright’s node is missing: install requirements-dev.txt"
    data = pack([Frame(charts, "r")], labels=[""])
    script = [node, "-e", HARNESS, str(ROOT / "ui" / "sweep" / "sweep.js")]
    run = subprocess.run(script, check=False, input=data, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr.decode()
    return json.loads(run.stdout)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def heat(z: Any, rows: Sequence[str] = ("a", "b"), columns: Sequence[str] = ("p", "q"), **settings: Any) -> Figure:
    return figures.heatmap(z, title="3 · Weights", rows=rows, columns=columns, **settings)


def bar(labels: Sequence[str], **settings: Any) -> Figure:
    series = [Series("s", np.arange(len(labels)))]
    return figures.bars(series, labels=labels, title="t", x_title="word", y_title="weight", **settings)


def test_a_hidden_cell_keeps_its_value_and_its_cross_is_no_row() -> None:
    z = torch.tensor([[0.25, 0.0], [-math.inf, math.nan]])
    (text,) = saved(heat(z, hatched=torch.tensor([[False, True], [True, True]]), hatch_name="hidden"))
    assert read(text) == [
        ["query: who asks", "query: who asks (index)", "key: who is asked", "key: who is asked (index)", "3 · Weights"],
        ["a", "0", "p", "0", "0.25"],
        ["a", "0", "q", "1", "0"],
        ["b", "1", "p", "0", "-inf"],
        ["b", "1", "q", "1", "NaN"],
    ]


def test_infinite_cells_leave_the_colours_finite() -> None:
    trace = heat(torch.tensor([[1.0, -math.inf], [math.nan, 3.0]]))["data"][0]
    assert (trace["zmin"], trace["zmax"]) == (1, 3)
    assert heat(torch.full((2, 2), math.nan), colours=SIGNED)["data"][0]["zmax"] == 1


def test_every_label_is_there_in_full() -> None:
    """At the axis they are thinned out, shortened and escaped."""
    n = 30
    full = [f"{i} <b>&amp; unbelievable" for i in range(n)]
    (text,) = saved(
        heat(
            np.zeros((n, n)),
            [f"{i} <b>&a…" for i in range(n)],
            [str(i) for i in range(n)],
            row_names=full,
            column_names=full,
        )
    )
    table = read(text)[1:]
    assert [row[0] for row in table[::n]] == full and [row[2] for row in table[:n]] == full
    assert [(int(r), int(c)) for _, r, _, c, _ in table] == [(r, c) for r in range(n) for c in range(n)]


def test_bars_have_words() -> None:
    escaped, broken, named = saved(
        bar([figures.escape("<br>&lt;"), "plain", "3"]),
        bar(["Post-<br>Norm", "learned<br>table"]),
        bar(["sinu-<br>soidal"], names=["sinusoidal <i>"]),
    )
    assert read(escaped) == [["series", "word", "weight"], ["s", "<br>&lt;", "0"], ["s", "plain", "1"], ["s", "3", "2"]]
    assert [row[1] for row in read(broken)[1:]] == ["Post-Norm", "learned table"]
    assert read(named)[1][1] == "sinusoidal <i>"


def test_lines_that_share_a_name_are_numbered() -> None:
    x = [0.1, 1e-7]
    names = ("run", "run", "theory", "")
    chart = figures.lines(
        [Series(name, [0.5, 1 / 3], legend=bool(i % 2)) for i, name in enumerate(names)],
        x=x,
        title="t",
        x_title="step",
        y_title="loss, nats",
        levels={"ln V": (1.0, WITH)},
        marks={"m": (1.0, QUERY)},
    )
    (text,) = saved(chart)
    rows = read(text)
    assert rows[0] == ["series", "step", "loss, nats"]
    assert [row[0] for row in rows[1::2]] == ["run", "run (2)", "theory", "theory (2)"]
    assert rows[1][1:] == ["0.1", "0.5"] and rows[2][1:] == ["1e-7", "0.33333334"]


def test_a_histogram_says_its_bins() -> None:
    (text,) = saved(
        figures.histogram([Series("s", [0.1, 0.1, 0.9, 5.0])], limits=(0, 1), bins=2, title="t", x_title="logit")
    )
    assert read(text) == [
        ["series", "logit, from", "logit, to", "share per bin"],
        ["s", "0", "0.5", "0.5"],
        ["s", "0.5", "1", "0.25"],
    ]


def test_a_table_of_its_own() -> None:
    """Where areas are drawn, their corners say nothing; whole numbers keep all digits."""
    chart = figures.rectangles(
        [figures.Rectangle("W", 3, 2, QUERY)], title="t", x_title="wide", y_title="high", named=True
    )
    chart.tabulate(
        ["tensor", "formula", "count"], [["W_<sub>", "=d·f", 30_532_122_624], ["b", None, float(np.float32(0.1))]]
    )
    (text,) = saved(chart)
    assert read(text) == [["tensor", "formula", "count"], ["W_<sub>", "'=d·f", "30532122624"], ["b", "", "0.1"]]


HOSTILE = {
    "=1+1": "'=1+1",
    '=HYPERLINK("http://x","y")': '\'=HYPERLINK("http://x","y")',
    "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0",
    "-a": "'-a",
    "-inf": "'-inf",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t'=1",
    "\rx": "'\rx",
    "  =1": "'  =1",
    "＝1": "'＝1",
    "a;=1+1": "a;'=1+1",  # a spreadsheet that separates by semicolons
    "a\n=1": "a\n'=1",
    "-3": "-3",
    "+1e-05": "+1e-05",
    "−2": "−2",
    'say "no", twice': 'say "no", twice',
    "a,b": "a,b",
    "#7A3E9D": "#7A3E9D",
    "1-2=x": "1-2=x",
}


def test_no_word_becomes_a_formula() -> None:
    words, safe = list(HOSTILE), list(HOSTILE.values())
    (text, series) = saved(
        heat(np.zeros((len(words), 2)), words, ["p", "q"]),
        figures.lines([Series(figures.escape(w), [1.0]) for w in words], x=[0], title="=t", x_title="=x", y_title="@y"),
    )
    rows = read(text)
    assert [row[0] for row in rows[1::2]] == safe
    assert all(len(row) == 5 for row in rows)
    assert read(series)[0] == ["series", "'=x", "'@y"]
    assert [row[0] for row in read(series)[1:]] == safe


def test_lines_end_as_rfc_4180_says() -> None:
    (text,) = saved(heat(np.zeros((1, 1)), ['a "b"'], ["c"]))
    assert text.endswith('"a ""b""",0,c,0,0\r\n') and text.count("\r\n") == 2


NUMBERS = (0.1, 1 / 3, 1e-7, 3e-42, 3.4e38, 16_777_216.0, 16_777_218.0, 123_456_792.0, -0.0, 2.5, -1e-3, 65_504.0)


def test_numbers_come_back_and_are_short() -> None:
    values = np.array([NUMBERS], dtype=np.float32)
    (text,) = saved(heat(values, ["a"], [str(i) for i in range(len(NUMBERS))]))
    written = [row[-1] for row in read(text)[1:]]
    np.testing.assert_array_equal(np.array(list(map(float, written)), np.float32), values[0])
    assert written[0] == "0.1" and written[1] == "0.33333334" and written[8] == "0" and written[5] == "16777216"
    assert all(len(w.lstrip("-").replace(".", "").split("e")[0].strip("0")) <= 9 for w in written)


@pytest.mark.parametrize(("text", "widest"), [(".2f", 5), (".0f", 2), ("", None)])
def test_the_browser_knows_the_widest_number_that_is_written(text: str, widest: int | None) -> None:
    chart = heat([[-1.0, 0.5], [math.nan, 1000.0]], hatched=np.array([[False, False], [False, True]]), text=text)
    assert chart["layout"]["meta"].get("widest") == widest
