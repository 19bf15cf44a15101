"""What question 14 makes of its experiments: every reading is its figure's own numbers, and every line says what it is."""

import itertools
import re

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import residuals as skips
from core.ops.residuals import expected_growth
from core.training import residuals as training
from tests.test_drawings_pre_post_norm import value
from tests.test_readings import faults
from ui.drawings import residuals as drawings
from ui.figures import Figure, Frame
from ui.palette import INK, WITH, WITHOUT

NUMBER = r"([\d.,]+(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)"


def said(reading: str) -> list[float]:
    return [value(found) for found in re.findall(NUMBER, reading) if re.search(r"\d", found)]


def title(figure: Figure, axis: str) -> str:
    return figure["layout"][axis]["title"]["text"]


def lines(figure: Figure) -> dict[str, list[np.ndarray]]:
    found: dict[str, list[np.ndarray]] = {}
    for trace in figure["data"]:
        found.setdefault(trace["name"], []).append(trace["y"])
    return found


# ------------------------------------------------------------------------------------------------ the ladder


def ladder(alpha: float, norm: skips.Norm = "none", depth: int = 32, r: float = 0.5) -> Frame:
    return drawings.ladder_frames(norm, depth, r, 0)[skips.ALPHAS.index(alpha)]


@pytest.mark.parametrize("norm", skips.NORMS)
@pytest.mark.parametrize("alpha", [0.0, 0.35, 1.0])
def test_the_lines_are_the_ladders_rows(norm: skips.Norm, alpha: float) -> None:
    _, gradient, signal = ladder(alpha, norm).figures
    found, row = skips.ladder(norm, 32), skips.ALPHAS.index(alpha)
    for figure, rows, below in ((gradient, found.gradient, "top"), (signal, found.signal, "bottom")):
        shown = lines(figure)
        np.testing.assert_allclose(shown[f"skip × {alpha:g}"][0], rows[row], rtol=1e-5)
        np.testing.assert_allclose(shown["no skip"][0], rows[0], rtol=1e-5)
        np.testing.assert_allclose(shown["full skip"][0], rows[-1], rtol=1e-5)
        assert title(figure, "xaxis") == "blocks below" and title(figure, "yaxis").endswith(f"² at the {below}")
        assert figure["layout"]["yaxis"]["type"] == "log"
        assert ("expected, (r + α²)ᵏ" in shown) == (norm == "none") == ("dotted" in figure["layout"]["title"]["text"])
        colours = {trace["name"]: trace["line"]["color"] for trace in figure["data"]}
        assert colours["no skip"] == WITHOUT and colours[f"skip × {alpha:g}"] == WITH and colours["full skip"] == INK


def test_what_is_expected_runs_down_for_the_gradient_and_up_for_the_signal() -> None:
    _, gradient, signal = ladder(0.7).figures
    down, up = (lines(figure)["expected, (r + α²)ᵏ"][0] for figure in (gradient, signal))
    assert down[-1] == up[0] == 1
    assert down[0] == pytest.approx(expected_growth(0.5, 0.7, 32), rel=1e-5) == up[-1]


def test_a_rail_is_as_wide_as_what_it_carries() -> None:
    rails = [
        t for t in ladder(0.7).figures[0]["data"] if "text" in t and isinstance(t["text"], str) and "the " in t["text"]
    ]
    assert [t["text"].partition(":")[0] for t in rails] == [
        n for n in ("no skip", "skip × 0.7", "full skip") for _ in range(2)
    ]
    found, row = skips.ladder("none", 32), skips.ALPHAS.index(0.7)
    for trace, squares in zip(rails, (x[i] for i in (0, row, -1) for x in (found.signal, found.gradient)), strict=True):
        half = len(trace["x"]) // 2
        wide = trace["x"][half:][::-1] - trace["x"][:half]
        np.testing.assert_allclose(wide, drawings.widths(squares), rtol=1e-3, atol=1e-3)
        assert np.argmax(wide) == int(squares.argmax()) or np.ptp(wide) < 0.1


def test_widths_follow_the_size_on_a_log_scale() -> None:
    wide = drawings.widths(torch.tensor([1e-60, 1e-2, 1.0, 1e2, 1e60], dtype=torch.float64))
    assert wide[0] == drawings.THIN and wide[-1] == drawings.THICK
    assert wide[2] - wide[1] == pytest.approx(wide[3] - wide[2]) == pytest.approx(drawings.DECADE)


@pytest.mark.parametrize("norm", skips.NORMS)
def test_the_hero_says_its_figures_numbers(norm: skips.Norm) -> None:
    found = skips.ladder(norm, 16)
    for alpha, frame in zip(skips.ALPHAS, drawings.ladder_frames(norm, 16, 0.5, 0), strict=True):
        text = frame.reading
        here = found.gradient[skips.ALPHAS.index(alpha), 0]
        numbers = said(text.partition("squared size by ")[2])
        assert numbers[0] == pytest.approx(float(here), rel=0.051)
        rest = numbers[1:]
        if norm == "none":
            assert rest.pop(0) == pytest.approx(expected_growth(0.5, alpha, 16), rel=0.051)
        others = [found.gradient[row, 0] for row in ((-1,) if alpha == 0 else (0,) if alpha == 1 else (0, -1))]
        assert rest == [pytest.approx(float(other), rel=0.051) for other in others]
        assert len(text) < 230


def test_the_default_shows_dying_level_and_exploding() -> None:
    none, here, full = (float(skips.ladder("none", 32).gradient[skips.ALPHAS.index(a), 0]) for a in (0.0, 0.7, 1.0))
    assert none < 1e-6 and 0.1 < here < 10 and full > 1e4
    assert drawings.card().reading == ladder(0.7).reading


def test_ladders_are_labelled_with_what_arrives() -> None:
    words = [t["text"][0] for t in ladder(0.7).figures[0]["data"] if t.get("mode") == "text"]
    found = skips.ladder("none", 32)
    for name in ("no skip", "skip × 0.7", "full skip"):
        assert name in words
    assert drawings.short(float(found.gradient[0, 0])) in words and drawings.short(float(found.signal[-1, -1])) in words


# ------------------------------------------------------------------------------------------------ the looks


def test_the_gradient_of_blocks_is_drawn_and_said() -> None:
    for norm, frame in zip(skips.NORMS, drawings.gradient_frames(8, 3), strict=True):
        shown = lines(frame.figures[0])
        both, none = (skips.stack(norm, each, 8, seed=3).gradient for each in ("both", "none"))
        np.testing.assert_allclose(shown["with both skips"][0], both, rtol=1e-5)
        np.testing.assert_allclose(shown["without skips"][0], none, rtol=1e-5)
        assert said(frame.reading)[-2:] == [pytest.approx(float(x[0]), rel=0.051) for x in (none, both)]
        low, high = (10.0**v for v in frame.figures[0]["layout"]["yaxis"]["range"])
        assert low <= float(min(both.min(), none.min())) and float(max(both.max(), none.max())) <= high


@pytest.mark.parametrize("skipped", drawings.WIRINGS)
def test_tokens_are_those_of_the_height_and_the_wiring(skipped: skips.Skips) -> None:
    frames = drawings.alike_frames("pre", skipped, True, 0)
    both, other = (skips.stack("pre", each, drawings.ALIKE_DEPTH) for each in ("both", skipped))
    for height, frame in enumerate(frames):
        left, right, distinct = frame.figures
        for figure, one in ((left, both), (right, other)):
            np.testing.assert_allclose(figure["data"][0]["x"], one.points[height, :, 0], rtol=1e-5, atol=1e-12)
            np.testing.assert_allclose(figure["data"][0]["y"], one.points[height, :, 1], rtol=1e-5, atol=1e-12)
            assert f"after {height} of" in figure["layout"]["title"]["text"]
        assert left["layout"]["title"]["text"].endswith("both skips")
        assert right["layout"]["title"]["text"].endswith(drawings.NAMES[skipped])
        np.testing.assert_allclose(lines(distinct)["both skips"][0], both.distinct, rtol=1e-5)
    assert "the same in both" in frames[0].reading
    assert ("rounding" in frames[-1].reading) == (float(other.distinct[-1]) < drawings.ROUNDING)


def test_points_stay_inside_their_axes() -> None:
    for norm, skipped, thinks in itertools.product(drawings.PLACES, drawings.WIRINGS, (True, False)):
        for each in ("both", skipped):
            assert float(skips.stack(norm, each, drawings.ALIKE_DEPTH, thinks).points.abs().max()) < 1.3


def test_the_ablation_shows_every_seed_of_every_wiring() -> None:
    for depth in drawings.ABLATED:
        (frame,) = drawings.ablation_frames(depth)
        for trace, each in zip(frame.figures[0]["data"], training.SKIPS, strict=True):
            assert trace["name"] == drawings.NAMES[each] and trace["mode"] == "markers"
            np.testing.assert_allclose(trace["y"], training.final_losses(each, depth), rtol=1e-5)
            np.testing.assert_allclose(trace["x"], skips.first_distinct(each, depth).clamp_min(1e-17), rtol=1e-5)


@pytest.mark.parametrize("rate", drawings.RATES)
def test_every_run_is_drawn_in_its_colour(rate: float) -> None:
    for depth, frame in zip(training.DEPTHS, drawings.trained_frames(rate), strict=True):
        loss, balance, lesions = frame.figures
        none, both = training.runs("none", depth, rate), training.runs("both", depth)
        for figure, of in (
            (loss, lambda runs: runs["loss"]),
            (balance, lambda runs: runs["first"] / runs["last"]),
            (lesions, lambda runs: runs["lesions"]),
        ):
            shown = lines(figure)
            np.testing.assert_allclose(np.stack(shown["without skips"]), of(none), rtol=1e-5)
            np.testing.assert_allclose(np.stack(shown["with both skips"]), of(both), rtol=1e-5)
            assert {t["line"]["color"] for t in figure["data"] if t["name"] == "without skips"} == {WITHOUT}
        low, high = (10.0**v for v in balance["layout"]["yaxis"]["range"])
        assert all(low < float(y.min()) and float(y.max()) < high for t in lines(balance).values() for y in t)
        assert f"{depth} blocks" in frame.reading


def test_surfaces_turn_and_share_their_height() -> None:
    for when in drawings.WHEN:
        frames = drawings.around_frames(2, when)
        for seed, frame in zip(training.SEEDS, frames, strict=True):
            bare, other, bars = frame.figures
            found = training.around(2, seed)
            for figure, side in ((bare, "none"), (other, when)):
                (trace,) = figure["data"]
                assert trace["type"] == "surface"
                np.testing.assert_allclose(trace["z"], found.surface[side], rtol=1e-5)
                low, high = figure["layout"]["scene"]["zaxis"]["range"]
                assert low < trace["z"].min() and trace["z"].max() < high
                assert len(figure["layout"]["meta"]["table"]["rows"]) == training.SIDE**2
                go.Figure(figure)
            assert bare["layout"]["scene"]["zaxis"] == other["layout"]["scene"]["zaxis"]
            assert [t["name"] for t in bars["data"]] == ["without skips", "with skips"]
            ratio = found.scaled["none"][0] / found.scaled[when][0]
            plain = found.hessian["none"][0] / found.hessian[when][0]
            assert said(frame.reading.partition("direction is ")[2])[:2] == [
                pytest.approx(ratio, rel=0.051), pytest.approx(plain, rel=0.051),
            ]  # fmt: skip


def test_a_run_of_now_lies_over_the_shipped_one() -> None:
    shipped = training.trained("both", 2, training.RATE, 0)
    label = drawings.run_label("both", 2, training.RATE, 0)
    still = drawings.live_frame(shipped, label, shipped)
    assert list(lines(still.figures[0])) == ["shipped"] and "the button trains it again" in still.reading
    part = training.Progress(training.STEPS, shipped.at[:5], shipped.loss[:5], shipped.first[:5], shipped.last[:5])
    moving = drawings.live_frame(shipped, label, part)
    assert list(lines(moving.figures[0])) == ["shipped", "now"] and "it is the shipped curve" in moving.reading
    assert not list(faults(moving.reading)) and not list(faults(still.reading))
    worse = training.Progress(training.STEPS, shipped.at, shipped.loss + 2, shipped.first, shipped.last)
    assert "The outcome is another one" in drawings.live_frame(shipped, label, worse).reading
