"""The vocabulary of charts: pure, labelled, in the palette's colours, readable in both themes."""

import itertools
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from ui import figures, palette
from ui.figures import Rectangle, Series

DATA = torch.linspace(0.1, 1, 12)
Z = torch.linspace(-1, 1, 12).reshape(3, 4)
COMMON = {"title": "What is shown", "x_title": "this", "y_title": "that, in units"}


def charts() -> list[figures.Figure]:
    two = [Series("one", DATA), Series("two", DATA * 2, palette.QUERY, "dash")]
    marks = {"here": (0.5, palette.WITH)}
    heat = {"title": "What is shown", "rows": ["a", "b", "<i>"], "columns": list("abcd")}
    return [
        figures.lines(two, x=DATA, marks=marks, **COMMON),
        figures.lines(two, x=DATA, log_x=True, log_y=True, x_range=(0.1, 1), y_range=(0.1, 10), marks=marks, **COMMON),
        figures.bars(two, labels=[str(i) for i in range(12)], **COMMON),
        figures.bars(two, labels=[str(i) for i in range(12)], stacked=True, log_y=True, **COMMON),
        figures.histogram(two, limits=(0, 2), marks=marks, **COMMON),
        figures.heatmap(Z, **heat),
        figures.heatmap(Z, colours=palette.SIGNED, hatched=Z > 0, chosen_row=1, text=".2f", **heat),
        figures.rectangles(
            [Rectangle("W", 3, 2, palette.QUERY), Rectangle("V", 1, 2, palette.VALUE)], gap=0.2, **COMMON
        ),
    ]


def leaves(node: object) -> list[object]:
    if isinstance(node, dict):
        return [leaf for child in node.values() for leaf in leaves(child)]
    if isinstance(node, list | tuple):
        return [leaf for child in node for leaf in leaves(child)]
    return [node]


@pytest.mark.parametrize("i", range(8))
def test_titles_and_colours(i: int) -> None:
    figure = go.Figure(charts()[i])  # raises if Plotly knows a property or a value not
    assert figure.layout.title.text and figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
    known = set(palette.twins())
    rgb = {palette.faded(c, 0.5).rpartition(",")[0] for c in known if c.startswith("#")}
    for leaf in leaves(figure.to_plotly_json()):
        if isinstance(leaf, str) and leaf.startswith("#"):
            assert leaf in known, f"{leaf} has no dark twin"
        if isinstance(leaf, str) and leaf.startswith("rgba"):
            assert leaf.rpartition(",")[0] in rgb


@pytest.mark.parametrize("log", [False, True])
def test_a_mark_at_the_right_edge_has_its_name_on_the_left(log: bool) -> None:
    for place, side in ((2.0, "left"), (9.5, "right")):
        chart = figures.lines(
            [Series("a", DATA)], x=DATA, log_x=log, x_range=(1, 10), marks={"m": (place, palette.INK)}, **COMMON
        )
        assert chart["layout"]["annotations"][0]["xanchor"] == side


@pytest.mark.parametrize(("low", "each"), [(1.0, "D2"), (1e-3, 1), (1e-15, 2)])
def test_a_logarithmic_axis_has_a_few_numbers(low: float, each: object) -> None:
    chart = figures.lines([Series("a", DATA)], x=DATA, log_y=True, y_range=(low, 10), **COMMON)
    assert go.Figure(chart).layout.yaxis.dtick == each


def test_inputs_stay_as_they_are() -> None:
    before = [DATA.clone(), Z.clone()]
    charts()
    assert torch.equal(DATA, before[0]) and torch.equal(Z, before[1])


def test_a_hidden_cell_has_no_value_and_a_cross() -> None:
    hatched = torch.zeros(3, 4, dtype=torch.bool)
    hatched[0, 3] = True
    heat, crosses = figures.heatmap(Z, title="t", rows=list("abc"), columns=list("abcd"), hatched=hatched)["data"]
    assert np.isnan(heat["z"][0][3]) and not np.isnan(heat["z"][0][2])
    assert list(crosses["x"]) == [3] and list(crosses["y"]) == [0], "column = key, row = query"


def test_signed_colours_are_centred_at_zero() -> None:
    heat = figures.heatmap(Z.abs(), title="t", rows=list("abc"), columns=list("abcd"), colours=palette.SIGNED)["data"][
        0
    ]
    assert heat["zmin"] == -heat["zmax"] == -1


def test_a_histogram_counts_what_it_does_not_draw() -> None:
    inside_and_out = torch.tensor([0.5, 0.5, 5.0, -5.0])
    steps = figures.histogram([Series("s", inside_and_out)], limits=(0, 1), bins=2, title="t", x_title="x")["data"][0]
    assert list(steps["y"]) == [0, 0.5, 0.5]


def test_words_reach_plotly_escaped() -> None:
    figure = figures.heatmap(Z, title="t", rows=["<b>", "&", "c"], columns=list("abcd"))
    assert figure["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;", "&amp;", "c"]


def test_rectangles_that_differ_only_in_place_are_one_trace() -> None:
    """A thousand tiles are a thousand nodes of the page otherwise; a gap ends each outline."""
    tiles = [
        Rectangle("tile", 2, 1, palette.OCHRE, "a note", (3.0 * i, float(j))) for j in range(30) for i in range(40)
    ]
    wide = Rectangle("tile", 4, 1, palette.OCHRE, "another", (0.0, 40.0))
    figure = figures.rectangles([wide, *tiles], **COMMON)
    first, many = figure["data"]
    assert list(first["x"]) == [0, 4, 4, 0, 0] and list(first["y"]) == [40, 40, 41, 41, 40]
    x, y = (np.append(many[axis], np.nan).reshape(-1, 6) for axis in "xy")
    assert np.isnan(x[:, 5]).all() and np.isnan(y[:, 5]).all() and not np.isnan(x[:, :5]).any()
    for outline_x, outline_y, tile in zip(x, y, tiles, strict=True):
        assert tile.at is not None
        left, low = tile.at
        assert list(outline_x[:5]) == [left, left + 2, left + 2, left, left]
        assert list(outline_y[:5]) == [low, low, low + 1, low + 1, low]
    assert many["text"] == "tile: a note" and many["hoveron"] == "fills"
    assert [trace["showlegend"] for trace in figure["data"]] == [True, False], "one entry for a name"
    assert [trace["mode"] for trace in figure["data"]] == ["lines", "none"], (
        "thousands of outlines are thousands of nodes"
    )
    assert [t["mode"] for t in figures.rectangles(tiles[:3], **COMMON)["data"]] == ["lines"]
    frames = [replace(tile, outline=True) for tile in tiles]
    assert [t["mode"] for t in figures.rectangles(frames, **COMMON)["data"]] == ["lines"], "a frame is its outline"
    assert figure["layout"]["showlegend"] and not figure["layout"].get("annotations")
    go.Figure(figure)


def test_every_rectangle_with_room_has_its_name_inside() -> None:
    shapes = [Rectangle("W", 2, 2, palette.QUERY, "", (3.0 * i, 0.0)) for i in range(3)]
    figure = figures.rectangles([*shapes, Rectangle("thin", 0.01, 2, palette.KEY)], named=True, **COMMON)
    assert [(note["text"], note["x"], note["y"]) for note in figure["layout"]["annotations"]] == [
        ("W", 1, 1), ("W", 4, 1), ("W", 7, 1)
    ]  # fmt: skip
    assert [trace["showlegend"] for trace in figure["data"]] == [False, True]


def test_rectangles_without_a_place_stand_side_by_side() -> None:
    figure = figures.rectangles(
        [Rectangle("a", 1, 2, palette.KEY), Rectangle("a", 1, 2, palette.KEY)], gap=0.5, **COMMON
    )
    (trace,) = figure["data"]
    assert list(trace["x"][[0, 1, 6, 7]]) == [0, 1, 1.5, 2.5]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("role", palette.ROLES)
def test_contrast_in_both_themes(role: str) -> None:
    for colour, paper in zip(palette.ROLES[role], ("#FFFFFF", "#14161A"), strict=True):
        light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, f"{role} {colour} on {paper}"


def test_every_light_colour_has_one_twin() -> None:
    lights = [light for light, _ in palette.ROLES.values()]
    assert len(set(lights)) == len(lights)
    assert all(a != b for a, b in itertools.combinations(lights, 2))


def test_a_diagram_is_drawn_part_by_part() -> None:
    parts = [
        figures.Box(0, 0, 2, 1, "norm", palette.QUERY, note="the norm"),
        figures.Path(((0, 0), (1, 2)), palette.WITH, 3.0, arrow=True),
        figures.Label(1, 1, "<x>"),
    ]
    chart = figures.diagram(parts, title="A block", x_range=(0, 3), y_range=(0, 3), moves=True)
    go.Figure(chart)
    box, name, path, label = chart["data"]
    assert list(box["x"]) == [0, 2, 2, 0, 0] and name["text"] == ["norm"] and list(name["x"]) == [1]
    assert path["line"]["width"] == 3 and path["marker"]["size"][0] == 0 < path["marker"]["size"][-1]
    assert label["text"] == ["&lt;x&gt;"] and chart["layout"]["transition"]["duration"] > 0


def test_a_place_without_a_word_keeps_its_place() -> None:
    """Plotly takes empty words out, and then gives the next ones to the wrong places."""
    figure = figures.Figure("", "", "")
    figure.trace("scatter", x=[0, 1], y=[0, 0], mode="text", text=["a", ""])
    assert figure["data"][0]["text"] == ["a", "\u00a0"]
