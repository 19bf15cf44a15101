"""Question 2's frames and readings: the right numbers in the right colour, and sentences that are true in every state."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import plotly.graph_objects as go
import pytest
import torch

from core.experiments import scaling
from core.experiments.scaling import WIDTHS, at, attend
from core.say import number, percent
from core.training import retrieval
from tests.test_readings import faults
from ui.drawings import scaling as drawings
from ui.figures import Frame
from ui.palette import QUERY, WITH, WITHOUT


def words(reading: str) -> str:
    return reading.replace("\u00a0", " ")


# ---------------------------------------------------------------------------------------------- one width after another


@pytest.mark.parametrize("divisor", ["none", "sqrt", "d_k"])
def test_grey_is_undivided_and_purple_is_divided(divisor: str) -> None:
    before, after = attend("none", 13), attend(divisor, 13)  # type: ignore[arg-type]
    frames = drawings.width_frames(divisor, 13, "normal", 0)  # type: ignore[arg-type]
    rows_frames = drawings.gradient_frames(divisor, 13, "normal", 0)  # type: ignore[arg-type]
    assert len(frames) == len(rows_frames) == len(WIDTHS)
    for i, frame in enumerate(frames):
        logits, weights = frame.figures
        (derivative,) = rows_frames[i].figures
        for figure, kept in ((logits, "histogram"), (weights, "typical")):
            for trace, rows in zip(figure["data"], (before, after), strict=True):
                drawn = torch.from_numpy(trace["y"])[: len(getattr(rows, kept)[i])]
                torch.testing.assert_close(drawn, getattr(rows, kept)[i].float())
        for trace, rows in zip(derivative["data"], (before, after), strict=True):
            assert trace["y"].sum() == pytest.approx(1 + trace["y"][-1], abs=1e-3), "every row is in one of the bins"
            bins = torch.histogram(rows.jacobian[i].float(), 51, range=(0.0, 0.51)).hist / rows.jacobian.shape[-1]
            assert torch.allclose(torch.from_numpy(trace["y"][:51]), bins, atol=3e-3)
        assert [t["line"]["color"] for t in logits["data"]] == [WITHOUT, WITH]
        assert [t["line"]["color"] for t in derivative["data"]] == [WITHOUT, WITH]
        assert [t["marker"]["color"] for t in weights["data"]] == [WITHOUT, WITH]
        assert list(weights["data"][0]["x"]) == [str(rank) for rank in range(1, 13)]
        # Every bar at its logit, and none cut off at the top.
        for trace in logits["data"]:
            edges = torch.linspace(-scaling.LIMIT, scaling.LIMIT, scaling.BINS + 1)
            assert trace["x"].tolist() == pytest.approx(edges[: len(trace["x"])].tolist(), abs=1e-5)
        highest = max(float(rows.histogram.max()) for rows in (before, after))
        assert logits["layout"]["yaxis"]["range"][1] >= highest


def test_the_readings_say_the_numbers_of_the_figures() -> None:
    before, after, i = attend("none"), attend("sqrt"), at(64)
    (spread, divided), (largest, softer) = (
        [how(float(getattr(rows, name)[i])) for rows in (before, after)]
        for how, name in ((lambda x: number(x, 2), "spread"), (lambda x: words(percent(x)), "largest"))
    )
    assert words(drawings.width_frames("sqrt", 64, "normal", 0)[i].reading) == (
        f"At width 64 the logits have standard deviation {spread}; divided by √dₖ, {divided}. On average the favourite key "
        f"takes {largest} of its row; divided, {softer}."
    )
    (mean, softer), (worst, better) = (
        [number(float(value), 2) for value in values]
        for values in (
            (before.jacobian[i].mean(), after.jacobian[i].mean()),
            (before.quantile(0.1)[i], after.quantile(0.1)[i]),
        )
    )
    assert words(drawings.gradient_frames("sqrt", 64, "normal", 0)[i].reading) == (
        f"At width 64 ‖J‖ is {mean} on average; divided, {softer}. In the worst tenth of rows it is at most {worst}; "
        f"divided, {better}."
    )


@pytest.mark.parametrize("draw", [drawings.width_frames, drawings.gradient_frames])
def test_where_nothing_is_divided_nothing_is_compared(draw: Callable[..., list[Frame]]) -> None:
    for frames, why in (
        (draw("none", 64, "normal", 0), "Nothing is divided: "),
        (draw("d_k", 64, "normal", 0)[:1], "At width 1 the divisor is 1: "),
    ):
        for frame in frames:
            assert frame.reading.startswith(why) and "divided, " not in frame.reading


def test_the_smallest_numbers_are_said_as_they_are() -> None:
    """A link to the widest width, and one that divides far too much: neither is 0."""
    worst = number(float(attend("none").quantile(0.1)[at(1024)]), 2)
    said = words(drawings.gradient_frames("sqrt", 64, "normal", 0)[at(1024)].reading)
    assert "·10⁻" in worst and f"at most {worst}; divided, 0.16" in said
    said = words(drawings.width_frames("d_k", 256, "normal", 0)[at(1024)].reading)
    assert "divided by dₖ, 0.031. On" in said and "divided, 0.43 %" in said


# ---------------------------------------------------------------------------------------------- freshly built modules


def test_the_lines_of_the_modules_are_measured_in_their_own_colours() -> None:
    (frame,) = drawings.modules_frame(3)
    (chart,) = frame.figures
    for trace, init in zip(chart["data"], drawings.INITS, strict=False):
        assert trace["name"] == drawings.INITS[init][0] and trace["line"]["color"] == drawings.INITS[init][1]
        for drawn, d_model in zip(trace["y"], scaling.MODEL_WIDTHS, strict=True):
            assert float(drawn) == pytest.approx(scaling.initial_logit_variance(init, 3, d_model), rel=1e-5)
    of = {init: scaling.initial_variances(init, 3).tolist() for init in drawings.INITS}
    assert frame.reading == (
        f"At d_model = 768 the logits of nn.MultiheadAttention start with variance {number(of['multihead'][-1], 2)}, those "
        f"of two nn.Linear with {number(of['linear'][-1], 2)}. Weights of one size for every width, as GPT-2’s, give "
        f"{number(of['gpt2'][0], 2)} at 96 and {number(of['gpt2'][-1], 2)} at 768."
    )


# ---------------------------------------------------------------------------------------------- the softmax's answer


@pytest.mark.parametrize("seed", drawings.SEEDS)
def test_the_answer_rises_only_where_there_are_many_keys(seed: int) -> None:
    for n_keys, frame in zip(drawings.KEYS, drawings.response_frames(seed), strict=True):
        way = "nearly equal logits and only falls, to" if n_keys <= 4 else "rises from"
        assert way in frame.reading and frame.reading.startswith(f"With {n_keys} keys")


def test_the_lines_are_mean_median_and_tenth() -> None:
    r = scaling.response(64, 0)
    frame = drawings.response_frames(0)[drawings.KEYS.index(64)]
    for trace, kept in zip(frame.figures[0]["data"], (r.mean, r.median, r.tenth), strict=True):
        torch.testing.assert_close(torch.from_numpy(trace["y"]), kept.float())
    assert "rises from 0.124 for nearly equal logits to 0.310 at a standard deviation of about 2.8" in frame.reading
    one, eight = (number(float(r.tenth[r.spread == s]), 2) for s in (1, 8))
    assert f"at most {one} at 1, where the factor puts random logits, and {eight} at 8." in frame.reading


# ---------------------------------------------------------------------------------------------- trained


def at_step(progress: retrieval.Progress, step: int) -> retrieval.Progress:
    """What a training shows after so many steps."""
    learned = torch.where(progress.learned <= step, progress.learned, -1)
    return replace(progress, losses=progress.losses[..., :step], learned=learned)


def states() -> Iterator[retrieval.Progress]:
    for d_k in retrieval.WIDTHS:
        whole = retrieval.trained(d_k)
        last = whole.losses.shape[-1]
        yield from (at_step(whole, step) for step in (1, 2, 4, 5, 9, 10, 24, last // 2, last - 1) if step <= last)
        yield whole
    never = torch.full((3, 3), -1)
    yield replace(retrieval.trained(16), learned=never)
    yield replace(at_step(retrieval.trained(16), 3), learned=never, cap=3)


def test_every_state_of_a_training_is_read_lawfully() -> None:
    for progress in states():
        frame = drawings.training_frame(progress)
        assert not list(faults(frame.reading)), (list(faults(frame.reading)), frame.reading)
        go.Figure(frame.figures[0])
        assert frame.figures[0]["layout"]["xaxis"]["range"][1] >= progress.losses.shape[-1]


def test_what_a_training_says() -> None:
    whole = retrieval.trained(64)
    with_factor, folded, without = (", ".join(map(str, row)) for row in whole.learned.tolist())
    said = drawings.training_frame(whole).reading
    assert said.startswith(
        f"Steps until the mean of five losses is below 0.1, seed by seed: with the factor {with_factor}; "
        f"folded into W_Q {folded}; without {without}. The first loss is "
    )
    first = drawings.training_frame(at_step(whole, 1)).reading
    assert first.startswith("After 1 step no run has learned: ")
    a, _, c = (number(float(x)) for x in whole.losses[..., 0].mean(-1))
    assert f"The first loss is {a} with the factor, folded or not, and {c} without;" in first
    middle = drawings.training_frame(at_step(whole, 24)).reading
    assert (
        "with the factor not yet in any seed; folded into W_Q not yet, 23, not yet; without not yet in any seed"
        in middle
    )
    end = drawings.training_frame(retrieval.trained(16)).reading
    assert "with the factor not within 400 in any seed; folded" in end and "yet" not in end
    nobody = drawings.training_frame(replace(retrieval.trained(16), learned=torch.full((3, 3), -1))).reading
    assert nobody.startswith("After 400 steps no run has learned: ")


def test_each_run_has_its_variants_colour_and_one_entry_in_the_legend() -> None:
    progress = retrieval.trained(64)
    traces = drawings.training_frame(progress).figures[0]["data"]
    assert len(traces) == 10 and traces[-1]["name"].startswith("learned")
    for (v, r), trace in zip(itertools.product(range(3), range(3)), traces, strict=False):
        assert trace["line"]["color"] == (WITH, QUERY, WITHOUT)[v]
        torch.testing.assert_close(torch.from_numpy(trace["y"]), progress.losses[v, r].float(), equal_nan=True)
        assert trace["showlegend"] == (r == 0)
    assert [t["name"] for t in traces if t["showlegend"]] == [
        "with 1/√dₖ",
        "folded into W_Q",
        "without",
        "learned: below this",
    ]
    assert len({t["name"] for t in traces}) == 10, "every column of the saved numbers has a name of its own"
