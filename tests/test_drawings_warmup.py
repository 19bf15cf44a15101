"""Question 17's frames and readings: the right numbers in the right colour and place, and sentences true in every state."""

import json
import math
import re

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import warmup as experiments
from core.ops import schedules
from core.say import number
from core.training import warmup as training
from tests.test_pages import LESSONS, checked, controls, figures, opened
from tests.test_readings import faults, states
from ui.drawings import warmup as drawings
from ui.figures import Figure, Frame
from ui.palette import MASKED, VALUE, WITH, WITHOUT

PAGE = next(p for p in LESSONS if p.stem == "17_warmup")
HIGH, END = training.HIGH, training.STEPS


def named(figure: Figure, name: str) -> list[dict]:
    return [trace for trace in figure["data"] if trace["name"] == name]


def titles(figure: Figure) -> tuple[str, str, str]:
    layout = figure["layout"]
    return layout["title"]["text"], layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]


def notes(figure: Figure) -> list[str]:
    return [note["text"] for note in figure["layout"].get("annotations", [])]


def near(values) -> pytest.approx:
    return pytest.approx([float(v) for v in values], rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    "draw",
    [
        drawings.race_frames,
        drawings.schedule_frames,
        drawings.noise_frames,
        drawings.length_frames,
        drawings.alone_frames,
        drawings.optimiser_frames,
        drawings.depth_frames,
        drawings.budget_frames,
        drawings.falling_frames,
    ],
)
def test_plotly_accepts_every_figure(draw) -> None:
    for state in list(states(draw.corners))[:3]:
        for frame in draw(**state):
            for figure in frame.figures:
                go.Figure(figure)
                assert all(titles(figure)), titles(figure)


# ---------------------------------------------------------------------------------------------- the race


def check_levels(panel: Figure) -> None:
    """Both levels stand where they belong, and their names at them."""
    assert [shape["y0"] for shape in panel["layout"]["shapes"]] == [training.plateau(), training.one_token()]
    above, below = panel["layout"]["annotations"]
    assert (above["text"], below["text"]) == ("plateau 0.744: reads nothing", "0.604: reads one token")
    assert (above["y"], below["y"]) == (training.plateau(), training.one_token())
    assert above["yanchor"] == "bottom" and above["yshift"] > 0 and below["yanchor"] == "top" and below["yshift"] < 0


@pytest.mark.parametrize("step", drawings.STOPS)
def test_the_race_draws_every_seed_up_to_the_step(step: int) -> None:
    frames = drawings.race_frames(step)
    assert len(frames) == len(training.RATES) and drawings.STOPS[-1] == END
    for rate, frame in zip(training.RATES, frames, strict=True):
        for order, panel in zip(training.ORDERS, frame.figures[:2], strict=True):
            for warmup, (name, colour) in {0: ("no warm-up", WITHOUT), 200: ("warm-up", WITH)}.items():
                lines, runs = named(panel, name), training.trained(order, rate, warmup)
                assert len(lines) == len(runs) == 3 and [line["showlegend"] for line in lines] == [True, False, False]
                for line, run in zip(lines, runs, strict=True):
                    until = run.at <= step
                    assert line["x"].tolist() == run.at[until].tolist()
                    assert line["y"].tolist() == near(run.excess[until])
                    assert line["line"]["color"] == colour
            check_levels(panel)
            low, high = panel["layout"]["yaxis"]["range"]
            assert low == 0 and high > 1.2 * training.plateau()
            assert titles(panel) == (
                f"Loss of {drawings.NAMES[order]}, 6 layers",
                "training step",
                "nats above the best possible",
            )
        rates = frame.figures[2]
        (flat,), (ramp,) = named(rates, "no warm-up"), named(rates, "warm-up")
        assert flat["y"].tolist() == near([rate] * step)
        assert ramp["y"].tolist() == near(rate * min(1, t / 200) for t in range(1, step + 1))
        assert (flat["line"]["color"], ramp["line"]["color"]) == (WITHOUT, WITH)
        assert rates["layout"]["yaxis"]["range"][1] > max(training.RATES), "one axis for all rates"
        for word in re.findall(r"at ([\d.]+)(?: to ([\d.]+))? nats without", frame.reading):
            ends = [float(line["y"][-1]) for line in named(frame.figures[0], "no warm-up")]
            assert {number(min(ends), 2), number(max(ends), 2)} == set(filter(None, word)), "what the figure shows"


def made(post: float, post_warm: float, pre: float, pre_warm: float) -> dict:
    spread = torch.tensor([0.0, 0.01, 0.02])
    levels = (post, post_warm, pre, pre_warm)
    return {
        (o, w): level + spread
        for (o, w), level in zip(((o, w) for o in ("post", "pre") for w in (0, 200)), levels, strict=True)
    }


def test_the_reading_of_the_race_counts_its_runs() -> None:
    last = drawings.race_frames(END)[-1].reading
    assert last.startswith(
        "At step 500, rate 0.008, Post-Norm is at 0.73 to 0.78 nats without a warm-up and at 0.096 to 0.12 with one."
    )
    assert "within 0.05: 3 of 3 Post-Norm and 0 of 3 Pre-Norm runs without, none of 6 with" in last
    assert "lower in 0 of 6 pairs" in drawings.race_frames(END)[0].reading
    for frame in drawings.race_frames(50)[:-1]:
        assert "No run of either order is on the plateau" in frame.reading, "0.6 is another level"
    say = drawings.race_reading
    assert "lower in 3 of 6 pairs" in say(100, 0.004, made(0.3, 0.2, 0.1, 0.2))
    assert "0 of 3 Post-Norm and 3 of 3 Pre-Norm runs without, none of 6 with" in say(
        100, 0.004, made(0.3, 0.2, 0.74, 0.2)
    )
    assert "0 of 3 Post-Norm and 0 of 3 Pre-Norm runs without, 6 of 6 with" in say(
        100, 0.004, made(0.6, 0.74, 0.6, 0.74)
    )


# ---------------------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize("shape", experiments.SHAPES)
def test_a_schedule_is_drawn_as_it_is(shape: experiments.Shape) -> None:
    for width, peak in ((512, 3e-4), (4096, 1e-3)):
        for warmup, frame in zip(experiments.WARMUPS, drawings.schedule_frames(shape, width, peak), strict=True):
            whole, first = frame.figures
            share = experiments.share_of(shape, warmup)
            highest = (width * warmup) ** -0.5 if shape == "transformer" else peak
            (line,) = whole["data"]
            assert line["y"].tolist() == near(highest * share(int(t)) for t in line["x"])
            if shape == "transformer":
                expected = (schedules.transformer(int(t), warmup, width) for t in line["x"][1:])
                assert line["y"][1:].tolist() == near(expected)
            assert float(line["y"].max()) == pytest.approx(highest) and warmup in line["x"].tolist()
            assert notes(whole) == [f"peak {number(highest)}"]
            assert whole["layout"]["shapes"][0]["x0"] == whole["layout"]["annotations"][0]["x"] == warmup
            assert ("the paper" in frame.reading) == ("Annotated" in frame.reading) == (shape == "transformer")
            assert highest < whole["layout"]["yaxis"]["range"][1]
            assert number(highest) in frame.reading and f"{warmup:,} steps" in frame.reading
            assert all(trace["x"].tolist() == list(range(1, 9)) for trace in first["data"])
            zero, one, two = (named(first, name)[0]["y"] for name in drawings.COUNTED)
            assert zero.tolist() == near(highest * t / warmup for t in range(8))
            assert one.tolist() == near(highest * t / warmup for t in range(1, 9))
            assert two.tolist() == near(highest * max(1, t) / warmup for t in range(8))
            assert number(highest / warmup) in frame.reading


def test_the_first_updates_are_what_lambda_lr_sets() -> None:
    first = drawings.first_updates("cosine", 500, 1e-3)
    share = experiments.share_of("cosine", 500)
    assert first["counted from 0"] == experiments.by_torch(share, 8, 1e-3)
    assert first["counted from 1"] == experiments.by_torch(lambda s: share(s + 1), 8, 1e-3)
    assert first["0 taken for 1"] == experiments.by_torch(lambda s: share(max(1, s)), 8, 1e-3)


FALL = r"\tfrac12\big(1+\cos\pi\tfrac{%s}{%s}\big)"
PIECES = {  # as printed → what it means
    r"d^{-0.5} \cdot \min(t^{-0.5},\; t\,w^{-1.5})": lambda t, w, T, D, d: d**-0.5 * min(t**-0.5, t * w**-1.5),
    "t/w": lambda t, w, T, D, d: t / w,
    "1": lambda t, w, T, D, d: 1,
    "(T-t)/(T-w)": lambda t, w, T, D, d: (T - t) / (T - w),
    FALL % ("t-w", "T-w"): lambda t, w, T, D, d: 0.5 * (1 + math.cos(math.pi * (t - w) / (T - w))),
    FALL % ("t-(T-D)", "D"): lambda t, w, T, D, d: 0.5 * (1 + math.cos(math.pi * (t - (T - D)) / D)),
}


@pytest.mark.parametrize("shape", experiments.SHAPES)
def test_the_printed_formula_is_the_schedule(shape: experiments.Shape) -> None:
    """Its pieces, in their order, each at two updates."""
    w, T, D, d = 100, 1000, 200, 512
    begins = {"transformer": (), "linear": (w,), "cosine": (w,), "stable": (w, T - D)}[shape]
    _, _, body = drawings.FORMULAS[shape].partition(" = ")
    pieces = re.findall(r"(?:cases\} |\\\\ )(.*?) &", body) or [body]
    assert set(drawings.FORMULAS) == set(drawings.SHAPES) == set(experiments.SHAPES)
    for piece, low, high in zip(pieces, (0, *begins), (*begins, T), strict=True):
        for t in (low + 30, high - 30):
            share = (
                schedules.transformer(t, w, d) if shape == "transformer" else experiments.share_of(shape, w, T, D)(t)
            )
            assert PIECES[piece](t, w, T, D, d) == pytest.approx(share), (piece, t)


# ---------------------------------------------------------------------------------------------- Adam's first steps


@pytest.mark.parametrize("beta_1", experiments.BETAS_1)
def test_the_first_steps_are_those_of_the_experiment(beta_1: float) -> None:
    for beta_2, frame in zip(experiments.BETAS_2, drawings.noise_frames(beta_1, 3), strict=True):
        found = experiments.noise_steps(beta_1, beta_2, 3)
        update, spread, shorter = frame.figures
        assert update["data"][0]["y"].tolist() == near(found.update)
        assert spread["data"][0]["y"].tolist() == near(found.spread)
        assert all(trace["x"].tolist() == list(experiments.AT) for f in frame.figures for trace in f["data"])
        (radam,), (rule,) = named(shorter, "RAdam’s factor r"), named(shorter, "warm-up of 2/(1−β₂) steps")
        np.testing.assert_allclose(radam["y"], experiments.rectified(beta_2), rtol=1e-5)
        assert rule["y"].tolist() == near(min(1, t * (1 - beta_2) / 2) for t in experiments.AT)
        assert update["layout"]["shapes"][0]["y0"] == experiments.noise_floor(beta_1)
        assert f"β₁ = {beta_1:g} and β₂ = {beta_2:g}" in frame.reading
        assert f"{round(2 / (1 - beta_2)):,} steps" in frame.reading and "at step 5 (torch: 6)" in frame.reading
        assert f"{number(float(found.update[experiments.AT.index(100)]), 2)} of it at step 100" in frame.reading
        for figure in frame.figures:
            axis = figure["layout"]["xaxis"]
            assert axis["type"] == "log" and axis["range"] == near((math.log10(0.9), math.log10(1150)))
        top = spread["layout"]["yaxis"]["range"][1]
        assert float(found.spread.max()) < 10**top


# ---------------------------------------------------------------------------------------------- how long, and instead


def test_the_chosen_length_stands_out() -> None:
    for chosen, frame in zip(training.LENGTHS, drawings.length_frames(), strict=True):
        curves, ends = frame.figures
        bold = named(curves, drawings.warmed(chosen))
        assert len(bold) == 3 and len(named(curves, "other lengths")) == 12
        assert sum(trace["showlegend"] for trace in curves["data"]) == 2
        for line, run in zip(bold, training.trained("post", HIGH, chosen), strict=True):
            assert line["y"].tolist() == near(run.excess) and line["line"]["color"] == (WITH if chosen else WITHOUT)
        others = [w for w in training.LENGTHS if w != chosen]
        grey = [run for w in others for run in training.trained("post", HIGH, w)]
        for line, run in zip(named(curves, "other lengths"), grey, strict=True):
            assert line["x"].tolist() == run.at.tolist() and line["y"].tolist() == near(run.excess)
        check_levels(curves)
        assert ends["layout"]["shapes"][0]["y0"] == ends["layout"]["annotations"][0]["y"] == training.plateau()
        for length in training.LENGTHS:
            (dots,) = named(ends, drawings.warmed(length))
            assert dots["y"].tolist() == near(training.ends("post", HIGH, length)) and set(dots["x"]) == {length}
            assert (dots["marker"]["color"] == MASKED) == (length != chosen)
        stuck = training.stuck("post", HIGH, chosen)
        assert (f"{stuck} of 3 near the plateau" in frame.reading) == (stuck > 0)
    assert "this one ends lowest" in drawings.length_frames()[-1].reading
    made_up = {w: torch.tensor([low, 0.3, 0.3]) for w, low in ((0, 0.75), (25, 0.01), (50, 0.2))}
    made_up[50] = torch.tensor([0.1, 0.1, 0.35])
    assert "50 steps end lowest on average, at 0.10 to 0.35." in drawings.length_reading(25, made_up)


def test_length_alone_is_drawn() -> None:
    (frame,) = drawings.alone_frames()
    lengths, left = frame.figures
    for name, cell in (
        ("Adam, Post-Norm", ("post", HIGH, 0)),
        ("Adam, Pre-Norm", ("pre", HIGH, 0)),
        ("Adam, Post-Norm, 50 steps of warm-up", ("post", HIGH, 50)),
        ("SGD, Post-Norm", ("post", 0.3, 0, 6, "sgd")),
    ):
        runs = training.trained(*cell)
        for line, run in zip(named(lengths, name), runs, strict=True):
            assert line["x"].tolist() == run.at[run.at <= 100].tolist()
            np.testing.assert_allclose(line["y"], 100 * run.update[run.at <= 100], rtol=1e-5)
        if "SGD" not in name:
            for seed, line in enumerate(named(left, name)):
                expected = [training.still_reads(cell[0], HIGH, cell[2], seed, t) for t in (0, 1)]
                assert line["x"].tolist() == [0, 1] and line["y"].tolist() == near(expected)
    assert lengths["layout"]["xaxis"]["type"] == lengths["layout"]["yaxis"]["type"] == "log"
    assert (
        "8.5 to 8.6 % of their length in Post-Norm, by 8.4 to 8.5 % in Pre-Norm, by 0.81 to 2.4 % with SGD, whose tenth moves them by 3.8 to 25 %"
        in frame.reading
    )


def test_other_optimisers_and_deeper_models() -> None:
    (frame,) = drawings.optimiser_frames()
    radam, sgd = frame.figures
    for figure, name, cell, colour in (
        (radam, "Adam, no warm-up", ("post", HIGH, 0), WITHOUT),
        (radam, "Adam, warm-up", ("post", HIGH, 200), WITH),
        (radam, "RAdam, no warm-up", ("post", HIGH, 0, 6, "radam"), VALUE),
        (sgd, "SGD, no warm-up", ("post", 0.3, 0, 6, "sgd"), WITHOUT),
        (sgd, "SGD, warm-up", ("post", 0.3, 200, 6, "sgd"), WITH),
    ):
        for line, run in zip(named(figure, name), training.trained(*cell), strict=True):
            np.testing.assert_allclose(line["y"], run.excess, rtol=1e-5)
            assert line["line"]["color"] == colour
    assert "SGD at rate 0.3 ends at about 0.74 without (2 of 3" in frame.reading
    assert "2 of 3 runs end at NaN" in frame.reading
    (frame,) = drawings.depth_frames()
    for rate, figure in zip((0.004, 0.002), frame.figures, strict=True):
        assert f"12 layers, rate {rate:g}" in titles(figure)[0]
        for warmup, (name, colour) in drawings.BOTH.items():
            for line, run in zip(named(figure, name), training.trained("post", rate, warmup, 12), strict=True):
                assert line["y"].tolist() == near(run.excess) and line["line"]["color"] == colour
    assert "3 of 3 runs at 0.004 and 2 of 3 runs at 0.002" in frame.reading and "with one, none" in frame.reading
    assert "With 6 layers at these rates, none do" in frame.reading


def test_the_price_is_drawn_for_every_rate_and_seed() -> None:
    for step, frame in zip(drawings.BUDGETS, drawings.budget_frames(), strict=True):
        for order, figure in zip(training.ORDERS, frame.figures, strict=True):
            for warmup, (name, colour) in drawings.BOTH.items():
                ends = torch.stack([training.ends(order, r, warmup, step=step) for r in training.RATES])
                for line, run in zip(named(figure, name), ends.T, strict=True):
                    assert line["x"].tolist() == near(training.RATES) and line["y"].tolist() == near(run)
                    assert line["line"]["color"] == colour
            low, high = (10**v for v in figure["layout"]["yaxis"]["range"])
            assert all(low < y < high for trace in figure["data"] for y in trace["y"].tolist())
        assert f"step {step}," in frame.reading
    last = drawings.budget_frames()[-1].reading
    assert "behind in 6 of 6 pairs at rate 0.001 and in 0 of 6 at 0.008" in last


def test_the_runs_whose_rate_falls_are_drawn() -> None:
    (frame,) = drawings.falling_frames()
    loss, rates = frame.figures
    for rate, warmup, name in (
        (0.008, 200, "0.008, 200 steps of warm-up"),
        (0.004, 0, "0.004, no warm-up"),
        (0.002, 0, "0.002, no warm-up"),
    ):
        runs = training.trained("post", rate, warmup, falls=True)
        for line, run in zip(named(loss, name), runs, strict=True):
            assert line["y"].tolist() == near(run.excess) and line["x"].tolist() == run.at.tolist()
        (line,) = named(rates, name)
        assert line["y"].tolist() == near(rate * schedules.linear(t, warmup, 500) for t in range(1, 501))
    assert (
        "ends at 0.023 to 0.024 with 0.008 and a warm-up; without one at 0.035 to 0.050 with 0.004 and at"
        in frame.reading
    )


def test_the_six_layers_beside_the_deep_ones_are_post_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        training, "stuck", lambda order, rate, warmup, depth=6, optimiser="adam": 7 * (order == "post" and depth == 6)
    )
    (frame,) = drawings.depth_frames()
    assert "With 6 layers at these rates, 14 do, without one." in frame.reading


# ---------------------------------------------------------------------------------------------- a run of now


def test_a_run_of_now_is_compared_with_the_shipped_one() -> None:
    shipped = training.trained("post", HIGH, 0)[1]
    before = drawings.live_frame(shipped, "This run", shipped)
    assert [t["name"] for t in before.figures[0]["data"]] == ["shipped"] and "button trains it again" in before.reading
    for until, changed, expected in (
        (9, None, "It is the shipped curve"),
        (9, 2, "From step 3 on it leaves the shipped curve, by up to 0.10 nats, and rounding alone does not explain"),
        (40, 20, "as it may on another kind of processor"),
    ):
        excess = shipped.excess[:until].clone()
        if changed is not None:
            excess[changed] += 0.1
        now = training.Progress(500, shipped.at[:until], excess, shipped.update[:until])
        frame = drawings.live_frame(shipped, drawings.run_label("post", HIGH, 0, 1), now)
        assert expected in frame.reading and not list(faults(frame.reading)), frame.reading
        assert frame.reading.startswith("Post-Norm, rate 0.008, no warm-up, seed 1: after step ")
        assert named(frame.figures[0], "now")[0]["y"].tolist() == near(excess)


def test_the_card_is_the_hero() -> None:
    card, hero = drawings.card(), drawings.race_frames(END)[-1]
    assert isinstance(card, Frame) and card.reading == hero.reading


# ---------------------------------------------------------------------------------------------- the page


def said(app) -> str:
    return json.dumps([head.get("readings") for head, _ in figures(app)], ensure_ascii=False)


def test_every_control_reaches_its_figure() -> None:
    app = opened(PAGE)
    assert "rate 0.008" in said(app)
    for look, key, value, expected in (
        ("", "warm_step", 100, "At step 100"),
        ("schedule", "warm_shape", "cosine", "to 3.00·10⁻⁴|to 3·10⁻⁴"),
        ("schedule", "warm_width", "4,096", number((4096 * 4000) ** -0.5)),
        ("steps", "warm_beta", "0.8", "β₁ = 0.8"),
        ("steps", "warm_seed", 7, number(float(experiments.noise_steps(0.9, 0.98, 7).update[12]), 2)),
        ("price", "warm_order", "Pre-Norm", "Pre-Norm, rate 0.008, no warm-up, seed 0"),
        ("price", "warm_run_rate", "0.001", "rate 0.001, no warm-up"),
        ("price", "warm_run_warmup", "200 steps", "200 steps of warm-up, seed 0"),
        ("price", "warm_run_seed", "2", "seed 2: after step 500"),
    ):
        app = opened(PAGE, look=look)
        widget = next(w for w in controls(app) if w.key == key)
        app = checked(widget.set_value(value).run())
        assert re.search(expected, said(app)), (key, value)


def test_a_schedule_shows_only_the_control_that_it_has() -> None:
    app = opened(PAGE, look="schedule")
    keys = {w.key for w in controls(app)}
    assert "warm_width" in keys and "warm_peak" not in keys
    shape = next(w for w in controls(app) if w.key == "warm_shape")
    app = checked(shape.set_value("linear").run())
    keys = {w.key for w in controls(app)}
    assert "warm_peak" in keys and "warm_width" not in keys
    peak = next(w for w in controls(app) if w.key == "warm_peak")
    assert "to 0.001." in said(checked(peak.set_value("0.001").run()))
