"""What question 14 makes of its experiments: every reading is its figure's own numbers, and every line says what it is."""

import itertools
import re
from fractions import Fraction

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import residuals as skips
from core.ops.residuals import expected_growth
from core.say import percent
from core.training import residuals as training
from tests.test_drawings_pre_post_norm import value
from tests.test_pages import LESSONS, figures, opened
from tests.test_readings import faults
from ui.drawings import residuals as drawings
from ui.figures import Figure, Frame
from ui.palette import INK, WITH, WITHOUT

PAGE = next(path for path in LESSONS if path.stem.endswith("_residuals"))
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
        assert title(figure, "xaxis") == "sublayers below" and title(figure, "yaxis").endswith(f"² at the {below}")
        assert figure["layout"]["yaxis"]["type"] == "log"
        assert ("expected, (r + α²)ᵏ" in shown) == (norm == "none") == ("dotted" in figure["layout"]["title"]["text"])
        colours = {trace["name"]: trace["line"]["color"] for trace in figure["data"]}
        assert colours["no skip"] == WITHOUT and colours[f"skip × {alpha:g}"] == WITH and colours["full skip"] == INK


def test_what_is_expected_runs_down_for_the_gradient_and_up_for_the_signal() -> None:
    _, gradient, signal = ladder(0.7).figures
    down, up = (lines(figure)["expected, (r + α²)ᵏ"][0] for figure in (gradient, signal))
    for r in drawings.GAINS:
        (line,) = lines(ladder(0.7, r=r).figures[2])["expected, (r + α²)ᵏ"]
        assert line[-1] == pytest.approx(expected_growth(r, 0.7, 32), rel=1e-4)
    assert down[-1] == up[0] == 1
    assert down[0] == pytest.approx(expected_growth(0.5, 0.7, 32), rel=1e-5) == up[-1]


def test_a_rail_is_as_wide_as_what_it_carries() -> None:
    rails = [
        t for t in ladder(0.7).figures[0]["data"] if "text" in t and isinstance(t["text"], str) and "the " in t["text"]
    ]
    assert [t["text"].partition(":")[0] for t in rails] == [
        n for n in ("no skip", "skip × 0.7", "full skip", "full + LN") for _ in range(2)
    ]
    found, normed, row = skips.ladder("none", 32), skips.ladder("pre", 32), skips.ALPHAS.index(0.7)
    shown = ((found, 0), (found, row), (found, -1), (normed, -1))
    for trace, squares in zip(rails, (x[i] for of, i in shown for x in (of.signal, of.gradient)), strict=True):
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
        if norm == "none":  # and what a norm makes of the full skip
            others.append(skips.ladder("pre", 16).gradient[-1, 0])
        assert rest == [pytest.approx(float(other), rel=0.051) for other in others]
        assert len(text) < 230


def test_the_default_shows_dying_level_and_exploding() -> None:
    none, here, full = (float(skips.ladder("none", 32).gradient[skips.ALPHAS.index(a), 0]) for a in (0.0, 0.7, 1.0))
    assert none < 1e-6 and 0.1 < here < 10 and full > 1e4
    assert drawings.card().reading == ladder(0.7).reading


def test_ladders_are_labelled_with_what_arrives() -> None:
    words = [t["text"][0] for t in ladder(0.7).figures[0]["data"] if t.get("mode") == "text"]
    found, normed = skips.ladder("none", 32), skips.ladder("pre", 32)
    for name in ("no skip", "skip × 0.7", "full skip", "full + LN"):
        assert name in words
    assert drawings.short(float(normed.gradient[-1, 0])) in words
    assert drawings.short(float(found.gradient[0, 0])) in words and drawings.short(float(found.signal[-1, -1])) in words


@pytest.mark.parametrize("r", drawings.GAINS)
def test_names_stand_at_their_lines_inside_the_frame(r: float) -> None:
    """Also where a line falls below what float32 carries: it leaves the frame straight, and has its name there."""
    _, gradient, signal = ladder(0.7, r=r).figures
    found = skips.ladder("none", 32, r)
    for figure, rows, end in ((gradient, found.gradient, 0), (signal, found.signal, -1)):
        low, high = figure["layout"]["yaxis"]["range"]
        for note in figure["layout"]["annotations"]:
            row = {"no skip": 0, "full skip": -1}[note["text"]]
            assert low < note["y"] + 1e-6 and note["y"] < high - 0.03 * (high - low)
            assert note["y"] == pytest.approx(max(float(rows[row, end].log10()), low), abs=1e-3)
            nearest = rows[row, round(note["x"])].log10()
            assert float(nearest) == pytest.approx(note["y"], abs=2)
        for name, row in (("no skip", 0), ("full skip", -1)):
            (trace,) = (t for t in figure["data"] if t["name"] == name)
            np.testing.assert_allclose(trace["y"], rows[row, trace["x"].astype(int)], rtol=1e-5)
            assert len(trace["x"]) == 33 or float(trace["y"].min()) < 10**low


def test_choices_are_named_after_their_values() -> None:
    assert all(float(label) == rate for rate, label in drawings.RATES.items())
    for depths in (drawings.DEPTHS, drawings.HEIGHTS, drawings.ABLATED, drawings.AROUND):
        assert all(int(label) == depth for depth, label in depths.items())
    assert [float(Fraction(label.replace("½", "1/2").split()[0])) for label in drawings.GAINS.values()] == list(
        drawings.GAINS
    )


# ------------------------------------------------------------------------------------------------ the looks


def test_the_long_runs_are_drawn_and_said_by_depth() -> None:
    (frame,) = drawings.long_frames()
    shown = lines(frame.figures[0])
    for depth in training.LONG_DEPTHS:
        losses = training.long_losses(depth)
        np.testing.assert_allclose(np.stack(shown[f"{depth} blocks without skips"]), losses, rtol=1e-5)
        assert f"{drawings.spread(losses[:, -1])} nats with {depth} blocks" in frame.reading


def test_without_feed_forward_layers_their_skip_makes_no_difference_and_it_says_so() -> None:
    frames = drawings.alike_frames("pre", "attention only", False, 0)
    assert all("nothing to go around" in frame.reading for frame in frames[1:])
    assert "both skips" not in drawings.alike_frames("pre", "none", False, 0)[4].reading


def test_the_gradient_of_blocks_is_drawn_and_said() -> None:
    for norm, frame in zip(skips.NORMS, drawings.gradient_frames(8, 3), strict=True):
        shown = lines(frame.figures[0])
        both, none = (skips.stack(norm, each, 8, seed=3).gradient for each in ("both", "none"))
        np.testing.assert_allclose(shown["with both skips"][0], both, rtol=1e-5)
        np.testing.assert_allclose(shown["without skips"][0], none, rtol=1e-5)
        bare = skips.stack("none", "none", 8, seed=3).gradient
        sizes = (none, both) if norm == "none" else (none, bare, both)
        assert said(frame.reading)[-len(sizes) :] == [pytest.approx(float(x[0]), rel=0.051) for x in sizes]
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
    own, others = (drawings.distinctness(float(one.distinct[1])) for one in (both, other))
    assert frames[1].reading.startswith(f"After 1 block, {own} tells") and frames[1].reading.endswith(f", {others}.")
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
        apart = skips.first_distinct("attention only", depth)
        lost, kept = (drawings.spread(training.final_losses(each, depth)) for each in ("attention only", "both"))
        assert frame.reading.startswith("Without the skip around feed-forward")
        assert all(percent(float(end)) in frame.reading for end in (apart.min(), apart.max()))
        assert f"ends at {lost} nats; with both skips at {kept}." in frame.reading


@pytest.mark.parametrize("rate", drawings.RATES)
def test_every_run_is_drawn_in_its_colour(rate: float) -> None:
    for depth, frame in zip(training.DEPTHS, drawings.trained_frames(rate), strict=True):
        loss, balance, lesions = frame.figures
        none, both = training.runs("none", depth, rate), training.runs("both", depth)
        # Of a model that has not learned nothing is deleted: it was guessing before.
        learnt = [runs["lesions"][runs["loss"][:, -1] < training.LEARNED] for runs in (none, both)]
        for name, rows in zip(("without skips", "with both skips"), learnt, strict=True):
            found = [trace for trace in lesions["data"] if trace["name"] == name]
            assert len(found) == len(rows) and sum(trace["showlegend"] for trace in found) == bool(len(rows))
            for trace, row in zip(found, rows, strict=True):
                np.testing.assert_allclose(trace["y"], row, rtol=1e-5)
                assert trace["x"].tolist() == list(range(1, depth + 1))
        for figure, of in ((loss, lambda runs: runs["loss"]), (balance, lambda runs: runs["first"] / runs["last"])):
            shown = lines(figure)
            np.testing.assert_allclose(np.stack(shown["without skips"]), of(none), rtol=1e-5)
            np.testing.assert_allclose(np.stack(shown["with both skips"]), of(both), rtol=1e-5)
            assert {t["line"]["color"] for t in figure["data"] if t["name"] == "without skips"} == {WITHOUT}
        low, high = (10.0**v for v in balance["layout"]["yaxis"]["range"])
        assert all(low < float(y.min()) and float(y.max()) < high for t in lines(balance).values() for y in t)
        assert f"{depth} blocks" in frame.reading
        assert f"{drawings.spread(both['loss'][:, -1])} nats with skips" in frame.reading
        assert f"{drawings.spread(none['loss'][:, -1])} without" in frame.reading
        assert ("of 4 models below" in frame.reading) == (0 < len(learnt[0]) < 4)
        shares = percent(float(both["lesions"].mean())), percent(float(both["lesions"].min()))
        assert f"{shares[0]} of the tokens are still right on average, {shares[1]} in the worst" in frame.reading


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
                cells = {(a, b): z for a, b, z in figure["layout"]["meta"]["table"]["rows"]}
                first, last = (float(drawings.ALONG[i]) for i in (0, -1))
                assert cells[first, last] == pytest.approx(float(found.surface[side][0, -1]), rel=1e-5)
                go.Figure(figure)
            assert bare["layout"]["scene"]["zaxis"] == other["layout"]["scene"]["zaxis"]
            ratio = found.scaled["none"][0] / found.scaled[when][0]
            plain = found.hessian["none"][0] / found.hessian[when][0]
            for trace, name, number in zip(
                bars["data"], ("units of filters", "plain weights"), (ratio, plain), strict=True
            ):
                assert trace["name"].endswith(name)
                assert trace["y"][training.SEEDS.index(seed)] == pytest.approx(number, rel=1e-5)
            same = drawings.WHEN[when] == "at the same loss"
            assert (
                frame.reading.startswith("Both have") == same == (abs(found.loss[when] / found.loss["none"] - 1) < 0.01)
            )
            assert not same or f"after {found.step:.0f} steps" in frame.reading
            assert said(frame.reading.partition("loss curves ")[2])[:2] == [
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


def test_the_page_hands_its_controls_on() -> None:
    """The seed to the blocks before training, the rate to the runs without skips alone."""

    def readings(**query: str) -> dict[str, list[str]]:
        return {head["key"]: head["readings"] for head, _ in figures(opened(PAGE, **query))}

    shown = readings(look="gradient", skip_seed="3")["bare_norm"]
    assert shown == [frame.reading for frame in drawings.gradient_frames(16, 3)]
    found = readings(look="trained", bare_rate="0.003")
    assert found["trained_depth"] == [frame.reading for frame in drawings.trained_frames(0.003)]
    (run,) = (text for texts in found.values() for text in texts if "shipped run" in text)
    assert run.startswith("Both skips, 16 blocks, learning rate 0.001, seed 0")
