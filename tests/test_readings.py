"""The laws of every drawing, over the edges and odd corners of every control.

A reading is the sentence under a figure. It is true, and said as a person would say it, for every value. A figure is one
that plotly knows and that can be sent to the browser, and what a drawing leaves in the memory of the server is small.
"""

import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import plotly.graph_objects as go
import pytest

import ui.drawings
from core.memory import BUDGET, MEMORY
from ui.figures import Frame
from ui.sweep.packing import pack

MOST = 2 * 2**20  # bytes of one result: what is drawn of an experiment, not the tensors behind it
MODULES = [importlib.import_module(f"ui.drawings.{m.name}") for m in pkgutil.iter_modules(ui.drawings.__path__)]
DRAWINGS = [
    pytest.param(function, id=f"{module.__name__.rpartition('.')[2]}-{name}")
    for module in MODULES
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and inspect.signature(function).return_annotation == list[Frame]
]


def states(corners: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The defaults, and every pair of values of two controls with the others at their defaults."""
    default = {name: values[0] for name, values in corners.items()}
    seen = []
    if len(corners) < 2:
        yield from ({**default, name: value} for name, values in corners.items() for value in values)
        if not corners:
            yield {}
        return
    for a, b in itertools.combinations(corners, 2):
        for x, y in itertools.product(corners[a], corners[b]):
            state = {**default, a: x, b: y}
            if state not in seen:
                seen.append(state)
                yield state


NUMBER = r"[−+]?\d[\d,]*(?:\.\d+)?(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"
SINGULAR_WITH_S = {"1 is", "1 was", "1 has", "1 times", "1 loss", "1 as", "1 across", "1 bias", "1 process", "1 keeps"}


def faults(reading: str) -> Iterator[str]:
    """What is wrong with a reading, in words."""
    text = reading.replace("\u00a0", " ")
    if not text or (not text[0].isupper() and not text[0].isdigit() and text[0] not in "“‖Σ"):
        yield "begins like no sentence"
    if not text.endswith((".", "?", "!", ".)", ".”")):
        yield "does not end like a sentence"
    for a, b in re.findall(rf"from ({NUMBER})(?: %)?(?: \w+)? to ({NUMBER})", text):
        if a == b:
            yield f"“from {a} to {b}”: nothing has changed; say so"
    for a, b in re.findall(rf"({NUMBER})(?: %)?(?: \w+)? instead of ({NUMBER})", text):
        if a == b:
            yield f"“{a} instead of {b}”: nothing has changed; say so"
    for found in re.findall(r"(?:less|fewer) than 0(?![.,]?\d)|below 0(?![.,]?\d)", text):
        yield f"“{found}”: nothing is less than nothing"
    for found in re.findall(r"(?<![\d.,·⁻])0(?:\.0+)? %", text):
        if not re.search(rf"exactly {re.escape(found)}", text):
            yield f"“{found}”: what is not 0 needs a digit, and what is 0 is “exactly 0 %”"
    for found in re.findall(r"(?<![\d.,])0\.0+(?!\d)", text):
        yield f"“{found}”: what is not 0 needs a digit that is not 0"
    for found in re.findall(r"(?<![\d.,])\d[\d,]*\.\d+", text):
        digits = found.replace(",", "").replace(".", "").lstrip("0")
        if len(digits) > 3 and not re.search(rf"(?<![\d.,])99{re.escape(found[2:])} %", text):  # 99.98 % is not 100 %
            yield f"“{found}” has more than three significant digits"
    for found in re.findall(r"\d+e[-+−]?\d+", text):
        yield f"“{found}” is how a computer writes it; core.say.number writes powers of ten"
    for found in re.findall(
        r"(?<![\d.,–−+·] )(?<![\d.,·=⁻/])(?<!row )(?<!position )(?<!step )(?<!layer )\b1 [a-z]+s\b", text
    ):
        if found not in SINGULAR_WITH_S:
            yield f"“{found}”: one is not many"
    for found in re.findall(
        r"\b1 are\b|\ball 1\b|\ball 2\b|\b(?:[2-9]|\d\d+) is\b|\b(?:[2-9]|[1-9]\d+) (?:pair|word|row|key|token|layer)\b(?! [a-z]+s\b)",
        text,
    ):
        yield f"“{found}”: singular and plural"
    for found in re.findall(r"\bnan\b|\binf\b|None|\[\]|  ", text):
        yield f"“{found}” is no word"


@pytest.mark.parametrize("draw", DRAWINGS)
def test_every_drawing_says_where_it_is_tested(draw: Callable) -> None:
    assert hasattr(draw, "corners"), f"{draw.__name__}: say with @corners(…) at which values it is tested"
    missing = set(inspect.signature(draw).parameters) - set(draw.corners)
    assert not missing, f"{draw.__name__}: @corners misses {sorted(missing)}"


@pytest.mark.parametrize("draw", DRAWINGS)
def test_every_state_is_lawful(draw: Callable) -> None:
    MEMORY.clear()
    wrong = []
    for at, state in enumerate(states(draw.corners)):
        frames = draw(**state)
        assert MEMORY.bytes <= BUDGET
        assert frames, f"{draw.__name__}({state}) draws nothing"
        # Another frame of each state is sent (JSON has no “not a number”: outside of arrays it must be said in words);
        # what plotly.js would pass over, go.Figure tells.
        sample = frames[at % len(frames)]
        assert pack([sample])
        for figure in sample.figures if at % 4 == 0 else ():
            go.Figure(figure)
        for i, frame in enumerate(frames):
            wrong += [f"{state}, frame {i}: {fault}\n    {frame.reading}" for fault in faults(frame.reading)]
    assert not wrong, f"{len(wrong)} faults, such as\n" + "\n".join(wrong[:8])
    for key, (_, size) in MEMORY._kept.items():
        if key[0] == "core.training.shipped.shipped":
            continue  # the file of a training, read once: every seed's curves, less than 1 MB on disk
        assert size <= MOST, f"{key[0]}{key[1:]} keeps {size / 2**20:.1f} MB: return what is drawn of it"


@pytest.mark.parametrize(
    "bad",
    [
        "It rises from 0.499 to 0.499.", "It is 7 instead of 7.", "They pass on less than 0.", "It gets 0 % of it.",
        "It is 0.00 here.", "It is 0.002717 here.", "It is 6.7e-16 here.", "It has 1 words.", "They are 1 are.",
        "all of it.", "It has 21 pair.", "It is nan here.", "It ends", "It may look at all 2 words.",
    ],
)  # fmt: skip
def test_a_bad_reading_is_noticed(bad: str) -> None:
    assert list(faults(bad)), bad


@pytest.mark.parametrize(
    "good",
    [
        "It rises from 0.499 to 0.500.", "It gets exactly 0 % of it.", "It is 2.7·10⁻³ here.", "21 of 36 pairs influence.",
        "Its 1 word is alone.", "At n = 1 times differ.", "It has 124,439,808 parameters and 12 layers.", "With 1 key 0.4 % pass.",
    ],
)  # fmt: skip
def test_a_good_reading_is_let_through(good: str) -> None:
    assert not list(faults(good)), list(faults(good))
