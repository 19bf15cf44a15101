"""One meaning per colour, everywhere. Two values each: for the light and for the dark theme.

A figure is made once, in the light theme's colours, and shown in both: in the dark theme the browser replaces
each colour of this palette by its dark twin (`ui/sweep/sweep.js`). So no figure is rebuilt when a reader changes
the theme, and a figure is valid Plotly by itself.
"""

from typing import Final

# role: (on white, on near-black). Okabe-Ito where its contrast suffices; every pair is at least 3:1 (tested).
ROLES: Final[dict[str, tuple[str, str]]] = {
    "query": ("#0072B2", "#56B4E9"),
    "key": ("#D55E00", "#F08A4B"),
    "value": ("#00805E", "#2EC79B"),
    "without": ("#6B7178", "#A7ADB5"),
    "with": ("#7A3E9D", "#C79BE3"),
    "masked": ("#8D929A", "#7D838C"),
    "ink": ("#1D2026", "#ECEAE6"),
    "rose": ("#A0527A", "#E29BC2"),
    "ochre": ("#8A6D00", "#E6C84A"),
}

QUERY, KEY, VALUE, WITHOUT, WITH, MASKED, INK, ROSE, OCHRE = (light for light, _ in ROLES.values())
CATEGORIES: Final = (WITH, WITHOUT, QUERY, KEY, VALUE, ROSE, OCHRE)

_STOPS: Final = {
    # Perceptually even; little is close to the paper, in either theme.
    "weights": (0.0, 0.15, 0.4, 0.7, 1.0),
    "signed": (0.0, 0.25, 0.5, 0.75, 1.0),
}
_SCALES: Final = {
    "weights": (
        ("#FDFCFE", "#EBDDF2", "#C39BD9", "#8E55B3", "#4A1A6B"),
        ("#1B1E23", "#33243F", "#6A4187", "#A873C9", "#EBD3F8"),
    ),
    "signed": (
        ("#0B5A8A", "#7FB3D5", "#F7F7F5", "#E8A46F", "#A84300"),
        ("#7CC8F2", "#3A7196", "#1E2126", "#A8602E", "#FFB27A"),
    ),
}

WEIGHTS, SIGNED = (
    [[stop, colour] for stop, colour in zip(_STOPS[name], _SCALES[name][0], strict=True)]
    for name in ("weights", "signed")
)
"""WEIGHTS for numbers in [0, 1]; SIGNED for signed numbers, centred at 0."""


def twins() -> dict[str, str]:
    """Every light colour and its dark twin, for the browser. No colour has two meanings, so none has two twins."""
    pairs = list(ROLES.values())
    for light, dark in _SCALES.values():
        pairs += zip(light, dark, strict=True)
    return dict(pairs)


# On white and on near-black alike: an equation is drawn once and stays when the reader changes the theme.
_EQUATION: Final = {"query": "#1F87C9", "key": "#D55E00", "value": "#009E73", "with": "#9B5FC0", "without": "#7D838C"}


def equation_colours(latex: str) -> str:
    r"""KaTeX for an equation written with the roles of its symbols; what is disputed stands in a box.

    >>> equation_colours(r"\query{Q}\key{K}^\top / \disputed{\sqrt{d_k}}")
    '\\textcolor{#1F87C9}{Q}\\textcolor{#D55E00}{K}^\\top / \\textcolor{#9B5FC0}{\\boxed{\\sqrt{d_k}}}'
    """
    for role in ("query", "key", "value", "without"):
        latex = latex.replace(rf"\{role}{{", rf"\textcolor{{{_EQUATION[role]}}}{{")
    before, *rest = latex.split(r"\disputed{")
    for piece in rest:
        depth, end = 1, 0
        while depth:
            depth += {"{": 1, "}": -1}.get(piece[end], 0)
            end += 1
        before += rf"\textcolor{{{_EQUATION['with']}}}{{\boxed{{{piece[: end - 1]}}}}}" + piece[end:]
    return before


def faded(colour: str, alpha: float) -> str:
    """The colour with an opacity, for areas.

    >>> faded("#0072B2", 0.25)
    'rgba(0,114,178,0.25)'
    """
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"
