"""How a lesson looks: experiments in, frames with their readings out. Pure, imported and tested like any code."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Draw = TypeVar("Draw", bound=Callable[..., Any])


def corners(**controls: Sequence[Any]) -> Callable[[Draw], Draw]:
    """At which values of its arguments a drawing is tested: first the default, then both ends and the odd corners.

    Every drawing that returns frames says so (tests/test_readings.py), and every reading is checked there: for each
    pair of values of two controls, the others at their defaults.
    """

    def bind(draw: Draw) -> Draw:
        draw.corners = controls  # type: ignore[attr-defined]
        return draw

    return bind
