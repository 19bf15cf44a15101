"""A vocabulary of charts: named tensors in, a Plotly figure out. Pure: no Streamlit, no state, input untouched.

A figure is the plain `{"data": …, "layout": …}` that plotly.js reads, not a `plotly.graph_objects.Figure`: that checks every
property whenever one is set, which was most of the server's time for a sweep of fifty frames (docs/decisions/0007). The
tests check every chart instead: `go.Figure(chart)` accepts it.

A chart states its title (what is shown), both axis titles with units, and colours by role (`ui.palette`). Fonts,
background and the dark twins of the colours are filled in by the browser, which knows the theme.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from core.say import NO_BREAK
from ui import palette
from ui.palette import CATEGORIES, SIGNED, WEIGHTS, faded

Array = Any  # a tensor, an array or a sequence of numbers

ROWS_ASK = "query: who asks"
COLUMNS_ARE_ASKED = "key: who is asked"


def numbers(values: Array, dtype: type = np.float32) -> np.ndarray:
    """A copy as float32, since the browser draws nothing finer and lists are forty times slower in Plotly."""
    values = values.detach().numpy() if hasattr(values, "detach") else values
    return np.array(values, dtype=dtype)


class Figure(dict[str, Any]):
    """What plotly.js draws: `{"data": [traces], "layout": {…}}`. The methods add to it while a chart is being made."""

    def __init__(self, title: str, x: str, y: str, height: int = 320) -> None:
        super().__init__(data=[], layout={})
        self.lay_out(
            template="none",
            title={"text": title},
            xaxis={"title": {"text": x}, "zeroline": False},
            yaxis={"title": {"text": y}, "zeroline": False},
            height=height,
            # Fixed: letting Plotly fit the margins lays every figure out twice, on every step of a sweep.
            margin={"l": 64, "r": 14, "t": 34, "b": 50},
            legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
            hovermode="closest",
            bargap=0.08,
        )

    def lay_out(self, **settings: Any) -> None:
        """Set properties of the layout; those of an axis are added to what it has."""
        layout = self["layout"]
        for name, value in settings.items():
            before = layout.get(name)
            layout[name] = {**before, **value} if isinstance(before, dict) else value

    def trace(self, kind: str, **settings: Any) -> None:
        if kind == "scatter" and "text" in settings.get("mode", "") and isinstance(settings.get("text"), list):
            # Plotly takes an empty word out of what it has drawn, and counts the words that are left when the next come.
            settings["text"] = [word or NO_BREAK for word in settings["text"]]
        self["data"].append({"type": kind, **{k: v for k, v in settings.items() if v is not None}})

    def shape(self, **settings: Any) -> None:
        self["layout"].setdefault("shapes", []).append(settings)

    def note(self, text: str, **settings: Any) -> None:
        """Words inside the figure, without an arrow."""
        notes = self["layout"].setdefault("annotations", [])
        notes.append({"text": text, "showarrow": False, **settings})

    def tabulate(self, columns: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> None:
        """What the figure's CSV says, where it is not what the traces hold: areas, or bars that are drawn in parts.

        Words stand as they are, unescaped; Python's whole numbers keep all their digits.
        """
        self.lay_out(meta={"table": {"columns": list(columns), "rows": [list(row) for row in rows]}})


@dataclass(frozen=True)
class Frame:
    """What one value of a control shows: the figures, and the sentence that reads them."""

    figures: tuple[Figure, ...]
    reading: str


@dataclass(frozen=True)
class Series:
    """One line, set of bars or histogram: a name, its numbers and the role of its colour.

    With `legend=False` it is drawn without an entry of its own: one of several runs that share a name.
    """

    name: str
    y: Array
    colour: str = ""
    dash: str = "solid"
    x: Array | None = None
    markers: bool = False
    width: float = 2.5
    legend: bool = True


def _colour(series: Series, index: int) -> str:
    return series.colour or CATEGORIES[index % len(CATEGORIES)]


def lines(
    series: Sequence[Series],
    *,
    x: Array,
    title: str,
    x_title: str,
    y_title: str,
    log_x: bool = False,
    log_y: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    marks: Mapping[str, tuple[float, str]] | None = None,
    levels: Mapping[str, tuple[float, str]] | None = None,
    level_at: Literal["top right", "bottom right", "bottom left"] = "top right",
    x_ticks: Sequence[float] | None = None,
    y_ticks: Sequence[float] | None = None,
    height: int = 340,
) -> Figure:
    """Lines over a common axis. `marks` are labelled vertical rules: name → (position, colour role).

    `levels` are the same, horizontally, with the name above the rule at its right end or where `level_at` says. `x_ticks` and
    `y_ticks` are the numbers to write at the axis, where Plotly's own choice says little: few of them on a logarithmic one.

    Ranges are in the axis' own units, also for logarithmic axes.
    """
    figure = Figure(title, x_title, y_title, height)
    for i, one in enumerate(series):
        colour = _colour(one, i)
        figure.trace(
            "scatter",
            x=numbers(x if one.x is None else one.x),
            y=numbers(one.y),
            name=one.name,
            showlegend=one.legend,
            mode="lines+markers" if one.markers else "lines",
            line={"color": colour, "width": one.width, "dash": one.dash},
            marker={"color": colour, "size": 7},
        )
    figure.lay_out(showlegend=len(series) > 1)
    _axis(figure, "xaxis", log_x, x_range)
    _axis(figure, "yaxis", log_y, y_range)
    for axis, ticks in (("xaxis", x_ticks), ("yaxis", y_ticks)):
        if ticks is not None:
            figure.lay_out(**{axis: {"tickvals": list(ticks), "ticktext": [f"{tick:,g}" for tick in ticks]}})
    for i, (name, (position, colour)) in enumerate((marks or {}).items()):
        _mark(figure, name, position, colour, log_x, i, x_range)
    for name, (position, colour) in (levels or {}).items():
        figure.shape(
            type="line",
            x0=0,
            x1=1,
            xref="paper",
            y0=position,
            y1=position,
            line={"color": colour, "width": 1.5, "dash": "dash"},
        )
        up, side = level_at.split()
        figure.note(
            name,
            x=float(side == "right"),
            xref="paper",
            xanchor=side,
            y=float(np.log10(position)) if log_y else position,
            yanchor="top" if up == "bottom" else "bottom",
            yshift=-2 if up == "bottom" else 2,
            font={"color": colour},
        )
    return figure


def _axis(figure: Figure, axis: str, log: bool, limits: tuple[float, float] | None) -> None:
    update: dict[str, Any] = {}
    if log:
        # Powers of ten, at most about eight of them; 2 and 5 too where there are hardly any.
        decades = float(np.log10(limits[1] / limits[0])) if limits else 3.0
        each = "D2" if decades < 2.3 else int(np.ceil(decades / 8))
        update = {"type": "log", "exponentformat": "power", "dtick": each}
    if limits:
        update["range"] = [float(np.log10(v)) for v in limits] if log else list(limits)
    figure.lay_out(**{axis: update})


def _mark(
    figure: Figure, name: str, position: float, colour: str, log: bool, row: int, limits: tuple[float, float] | None
) -> None:
    """A vertical rule with its name on top: on the left of a rule near the right edge. Neighbours stand lower."""
    place = float(np.log10(position)) if log else position
    left = False
    if limits:
        low, high = (float(np.log10(v)) if log else v for v in limits)
        left = place > low + 0.7 * (high - low)
    figure.shape(
        type="line",
        x0=position,
        x1=position,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": colour, "width": 2, "dash": "dot"},
    )
    figure.note(
        name,
        x=place,
        y=1 - 0.09 * row,
        yref="paper",
        yanchor="top",
        xanchor="right" if left else "left",
        xshift=-4 if left else 4,
        font={"color": colour},
    )


def bars(
    series: Sequence[Series],
    *,
    labels: Sequence[str],
    title: str,
    x_title: str,
    y_title: str,
    y_range: tuple[float, float] | None = None,
    log_y: bool = False,
    stacked: bool = False,
    names: Sequence[str] | None = None,
    height: int = 320,
) -> Figure:
    """Bars side by side (or stacked), one group per label.

    `names` are the labels in full and unescaped, for the CSV, where those at the axis are shortened or broken.
    """
    figure = Figure(title, x_title, y_title, height)
    if names is not None:
        figure.lay_out(meta={"labels": list(names)})
    figure.lay_out(barmode="stack" if stacked else "group")
    for i, one in enumerate(series):
        figure.trace("bar", x=list(labels), y=numbers(one.y), name=one.name, marker={"color": _colour(one, i)})
    figure.lay_out(showlegend=len(series) > 1, xaxis={"type": "category"})
    if not all(label.isdecimal() for label in labels):
        figure.lay_out(xaxis={"automargin": True})  # words may need two lines, or turn
    _axis(figure, "yaxis", log_y, y_range)
    return figure


def histogram(
    series: Sequence[Series],
    *,
    limits: tuple[float, float],
    title: str,
    x_title: str,
    bins: int = 60,
    counted: bool = False,
    y_range: tuple[float, float] | None = None,
    y_title: str = "share per bin",
    marks: Mapping[str, tuple[float, str]] | None = None,
    height: int = 320,
) -> Figure:
    """Histograms over the same bins, drawn as filled steps so that one does not hide the other.

    The shares are counted here, over *all* values: what lies outside `limits` is not drawn but still in the
    denominator, so heights can be compared. With `counted`, each series holds the share of each of its bins already.
    """
    figure = Figure(title, x_title, y_title, height)
    for i, one in enumerate(series):
        values = numbers(one.y).ravel()
        if counted:
            share, edges = values, np.linspace(*limits, values.size + 1, dtype=np.float32)
        else:
            edges = np.linspace(*limits, bins + 1, dtype=np.float32)
            share = numbers(np.histogram(values, edges)[0] / max(values.size, 1))
        colour = _colour(one, i)
        figure.trace(
            "scatter",
            x=edges,
            y=np.append(share, share[-1:]),
            name=one.name,
            mode="lines",
            line={"color": colour, "width": 2, "shape": "hv", "dash": one.dash},
            fill="tozeroy",
            fillcolor=faded(colour, 0.25),
        )
    figure.lay_out(showlegend=len(series) > 1, xaxis={"range": list(limits)}, meta={"bins": True})
    if y_range:
        figure.lay_out(yaxis={"range": list(y_range)})
    for i, (name, (position, colour)) in enumerate((marks or {}).items()):
        _mark(figure, name, position, colour, False, i, limits)
    return figure


def heatmap(
    z: Array,
    *,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str = ROWS_ASK,
    column_title: str = COLUMNS_ARE_ASKED,
    colours: list = WEIGHTS,
    limits: tuple[float, float] | None = None,
    hatched: Array | None = None,
    hatch_name: str = "masked",
    chosen_row: int | None = None,
    text: str = "",
    unit: str = "",
    colour_bar: bool = True,
    clickable: bool = False,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    height: int = 340,
) -> Figure:
    """A matrix, row 0 on top. Hatched cells are crossed out in grey: nothing of their value is drawn, not a pale colour.

    `z` holds the true value of every cell, hatched or not: 0, −∞, or NaN. That is what the CSV says of it.
    `clickable` cells report a click (see `ui.sweep.figure`); hatched ones then keep a colour, since Plotly hears no
    click on a cell without a value.
    `chosen_row` is framed. With `text`, a format like ".2f", the numbers stand in the cells. Labels may repeat: cells are placed by index.
    `row_names` and `column_names` are the labels in full, for the CSV, where those at the axes are shortened or left out.
    """
    values = numbers(z)
    finite = values[np.isfinite(values)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
    if colours is SIGNED:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    crossed = np.zeros(values.shape, bool) if hatched is None else numbers(hatched, bool)
    shown = values if clickable else np.where(crossed, np.nan, values)
    figure = Figure(title, column_title, row_title, height)
    figure.trace(
        "heatmap",
        z=shown,
        zmin=low,
        zmax=high,
        colorscale=colours,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        customdata=numbers(values),
        hovertemplate=f"row %{{y}}, column %{{x}}: %{{z:.4g}}{unit}<extra></extra>",
        showscale=colour_bar,
        colorbar={"thickness": 10, "outlinewidth": 0, "len": 0.9, "x": 1.02},
        texttemplate=f"%{{z:{text}}}" if text else None,
        textfont={"size": 12},
    )
    if hatched is not None:
        r, c = np.nonzero(crossed)
        figure.trace(
            "scatter",
            x=numbers(c),
            y=numbers(r),
            mode="markers",
            name=hatch_name,
            marker={
                "symbol": "x-thin",
                "size": 11,
                "color": palette.MASKED,
                "line": {"width": 1.6, "color": palette.MASKED},
            },
            hovertemplate=f"{hatch_name}<extra></extra>",
        )
    _ticks(figure, "xaxis", columns, values.shape[1])
    _ticks(figure, "yaxis", rows, values.shape[0])
    figure.lay_out(yaxis={"autorange": "reversed"}, showlegend=False)
    figure.lay_out(meta={"rows": list(row_names or rows), "columns": list(column_names or columns)})
    if clickable:
        figure.lay_out(meta={"clickable": True})
    if text:
        # How wide the widest number is: the browser chooses a size at which neighbours do not touch.
        written = shown[np.isfinite(shown)]
        figure.lay_out(meta={"widest": max((len(format(v, text)) for v in written.tolist()), default=1)})
    if chosen_row is not None:
        figure.shape(
            type="rect",
            x0=-0.5,
            x1=values.shape[1] - 0.5,
            y0=chosen_row - 0.5,
            y1=chosen_row + 0.5,
            line={"color": palette.QUERY, "width": 3},
        )
    return figure


def _ticks(figure: Figure, axis: str, labels: Sequence[str], n: int) -> None:
    every = max(1, -(-n // 24))
    figure.lay_out(
        **{
            axis: {
                "automargin": True,  # a reader's words have any length
                "tickvals": list(range(0, n, every)),
                "ticktext": [escape(labels[i]) for i in range(0, n, every)],
                "showgrid": False,
            }
        }
    )


def escape(text: str) -> str:
    """A reader's word as Plotly text: Plotly reads a little HTML, so the three characters of HTML are escaped.

    >>> escape("<b>&")
    '&lt;b&gt;&amp;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Rectangle:
    """A matrix drawn to scale: `wide` × `high` in the units of the figure's axes.

    `at` is its lower left corner; without it, it stands to the right of the one before. An `outline` is what the
    others are compared with: a dotted frame that hides nothing.
    """

    name: str
    wide: float
    high: float
    colour: str
    note: str = ""
    at: tuple[float, float] | None = None
    outline: bool = False


_PHONE = 250  # pixels that a phone leaves for the plot itself: a name must fit its rectangle there


def rectangles(
    shapes: Sequence[Rectangle],
    *,
    title: str,
    x_title: str,
    y_title: str,
    gap: float = 0.0,
    named: bool = False,
    height: int = 340,
) -> Figure:
    """Rectangles, area = count: both axes have the same scale.

    Rectangles that differ only in their place are one trace, so that thousands of tiles draw as fast as a few; where they
    are too small or too many for outlines, which Plotly draws one by one, only their areas are drawn. With `named`, names stand inside where a phone has room for them; the legend names what did not fit, by colour.
    """
    figure = Figure(title, x_title, y_title, height)
    places: dict[Rectangle, list[tuple[float, float]]] = {}  # what is drawn, and the lower left corners of its copies
    left = 0.0
    for one in shapes:
        places.setdefault(replace(one, at=None), []).append((left, 0.0) if one.at is None else one.at)
        left += 0.0 if one.at else one.wide + gap
    pixels = _PHONE / max(x + one.wide for one, corners in places.items() for x, _ in corners)
    listed: set[str] = set()
    for one, corners in places.items():
        room = 7 * len(one.name) + 4, 16
        across, up = one.wide * pixels, one.high * pixels
        level, upright = across >= room[0] and up >= room[1], across >= room[1] and up >= room[0]
        inside = named and not one.outline and (level or upright)
        crowded = len(corners) > 200 or (len(corners) > 1 and min(across, up) < 4)
        figure.trace(
            "scatter",
            x=_outlines([x for x, _ in corners], one.wide, (0, 1, 1, 0, 0)),
            y=_outlines([y for _, y in corners], one.high, (0, 0, 1, 1, 0)),
            mode="none" if crowded and not one.outline else "lines",
            name=one.name,
            fill=None if one.outline else "toself",
            fillcolor=None if one.outline else faded(one.colour, 0.35),
            line={"color": one.colour, "width": 2 if one.outline else 1.5, "dash": "dot" if one.outline else "solid"},
            hoveron="fills",
            text=f"{one.name}: {one.note}" if one.note else one.name,
            hoverinfo="text",
            showlegend=not inside and one.name not in listed,
        )
        if not inside:
            listed.add(one.name)
            continue
        for x, y in corners:
            figure.note(one.name, x=x + one.wide / 2, y=y + one.high / 2, textangle=0 if level else -90)
    figure.lay_out(
        xaxis={"constrain": "domain"},
        yaxis={"scaleanchor": "x", "constrain": "domain"},
        showlegend=bool(listed) and len(shapes) > 1,
    )
    return figure


def _outlines(starts: Sequence[float], size: float, corners: Sequence[int]) -> np.ndarray:
    """One coordinate of closed outlines, one after the other; a gap, which is not a number, ends each but the last.

    >>> _outlines([0, 5], 2, (0, 1, 1, 0, 0)).tolist()
    [0.0, 2.0, 2.0, 0.0, 0.0, nan, 5.0, 7.0, 7.0, 5.0, 5.0]
    """
    closed = np.add.outer(np.asarray(starts, np.float64), size * np.asarray(corners))
    return numbers(np.pad(closed, ((0, 0), (0, 1)), constant_values=np.nan).ravel()[:-1])


@dataclass(frozen=True)
class Box:
    """A part of a diagram: a rectangle with its name inside; `x`, `y` is its lower left corner."""

    x: float
    y: float
    wide: float
    high: float
    label: str = ""
    colour: str = palette.INK
    fill: float = 0.1
    dash: str = "solid"
    note: str = ""


@dataclass(frozen=True)
class Path:
    """A line of a diagram through its points; with `arrow`, an arrowhead at the last one. Widths may carry numbers."""

    points: tuple[tuple[float, float], ...]
    colour: str = palette.INK
    width: float = 2.0
    dash: str = "solid"
    arrow: bool = False
    curved: bool = False
    note: str = ""


@dataclass(frozen=True)
class Label:
    """Words of a diagram that belong to no box; `side` says where they stand of the point."""

    x: float
    y: float
    text: str
    colour: str = palette.INK
    side: Literal["middle center", "middle left", "middle right", "top center", "bottom center"] = "middle center"
    size: int = 13


def diagram(
    parts: Sequence[Box | Path | Label],
    *,
    title: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    height: int = 290,
    moves: bool = False,
) -> Figure:
    """A mechanism, drawn: boxes, lines, words, on a plane without axes. A part is one trace, in the order given.

    With `moves`, going from one frame to the next slides each part to its new place (the frames must have the same parts).
    """
    figure = Figure(title, "", "", height)
    plain = {"visible": False, "fixedrange": True}
    figure.lay_out(
        xaxis={**plain, "range": list(x_range)},
        yaxis={**plain, "range": list(y_range)},
        showlegend=False,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
    )
    if moves:
        figure.lay_out(transition={"duration": 450, "easing": "cubic-in-out"})
    for part in parts:
        hover = (
            {"hoverinfo": "text", "text": part.note}
            if isinstance(part, Box | Path) and part.note
            else {"hoverinfo": "skip"}
        )
        if isinstance(part, Box):
            left, low, right, high = part.x, part.y, part.x + part.wide, part.y + part.high
            figure.trace(
                "scatter",
                x=numbers([left, right, right, left, left]),
                y=numbers([low, low, high, high, low]),
                mode="lines",
                fill="toself" if part.fill else None,
                fillcolor=faded(part.colour, part.fill),
                line={"color": part.colour, "width": 1.5, "dash": part.dash},
                hoveron="fills" if part.fill else None,
                **hover,
            )
            words, x, y, side, colour, size = (
                part.label,
                (left + right) / 2,
                (low + high) / 2,
                "middle center",
                palette.INK,
                13,
            )
        elif isinstance(part, Path):
            figure.trace(
                "scatter",
                x=numbers([x for x, _ in part.points]),
                y=numbers([y for _, y in part.points]),
                mode="lines+markers" if part.arrow else "lines",
                line={
                    "color": part.colour,
                    "width": part.width,
                    "dash": part.dash,
                    "shape": "spline" if part.curved else "linear",
                },
                marker={
                    "symbol": "arrow",
                    "angleref": "previous",
                    "size": [0] * (len(part.points) - 1) + [6 + 2 * part.width],
                    "color": part.colour,
                    "opacity": 1,
                }
                if part.arrow
                else None,
                **hover,
            )
            continue
        else:
            words, x, y, side, colour, size = part.text, part.x, part.y, part.side, part.colour, part.size
        if words:
            figure.trace(
                "scatter",
                x=numbers([x]),
                y=numbers([y]),
                mode="text",
                text=[escape(words)],
                textposition=side,
                textfont={"color": colour, "size": size},
                hoverinfo="skip",
            )
    return figure
