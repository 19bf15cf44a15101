"""Question 18's frames and readings: the right numbers in the right colour, and sentences that are true in every state."""

import math

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import ffn_ratio as experiment
from core.presets import PRESETS, preset
from core.say import percent
from core.training import ffn_ratio as training
from tests.test_readings import faults
from ui.drawings import ffn_ratio as drawings
from ui.figures import Figure
from ui.palette import INK, OCHRE, ROSE, WITH, WITHOUT


def named(figure: Figure, name: str) -> dict:
    (trace,) = (trace for trace in figure["data"] if trace["name"] == name)
    return trace


def titles(figure: Figure) -> list[str]:
    layout = figure["layout"]
    return [layout["title"]["text"], layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]]


def words(figure: Figure) -> list[str]:
    return [note["text"] for note in figure["layout"].get("annotations", [])]


def said(text: str) -> str:
    return text.replace("\u00a0", " ")


# ---------------------------------------------------------------------------------------------- areas and published


@pytest.mark.parametrize("name", experiment.LLAMAS)
def test_areas_are_equal_and_to_scale(name: str) -> None:
    for ratio, frame in zip(experiment.STOPS, drawings.ratio_frames(name), strict=True):
        figure = frame.figures[0]
        go.Figure(figure)
        boxes = [t for t in figure["data"] if t.get("fill") == "toself"]
        sides = [(float(np.ptp(t["x"])), float(np.ptp(t["y"])), t["line"]["color"]) for t in boxes]
        assert [colour for *_, colour in sides] == [OCHRE, ROSE, WITH, OCHRE, ROSE]
        dashed = [t["x"] for t in figure["data"] if t.get("line", {}).get("dash") == "dot"]  # as long as the two
        assert len(dashed) == 3 and all((x.min(), x.max()) == pytest.approx((2 * ratio / 3, ratio)) for x in dashed)
        assert [row[1:] for row in figure["layout"]["meta"]["table"]["rows"]] == [
            [2, ratio, 2 * ratio], [3, pytest.approx(2 * ratio / 3), pytest.approx(2 * ratio)], [3, ratio, 3 * ratio]
        ]  # fmt: skip
        assert [high for _, high, _ in sides] == pytest.approx([1] * 5, abs=1e-5)
        assert [wide for wide, _, _ in sides] == pytest.approx([ratio] * 2 + [2 * ratio / 3] * 3, abs=1e-5)
        assert sum(w * h for w, h, _ in sides[:2]) == pytest.approx(sum(w * h for w, h, _ in sides[2:]), abs=1e-4)
        written = [t["text"][0] for t in figure["data"] if t.get("mode") == "text"]
        assert written[:5] == ["W_up", "W_down", "W_gate", "W_up", "W_down"]
        assert written[7] == written[8] == f"{2 * ratio} d²"
        assert figure["layout"]["xaxis"]["range"][1] > ratio and titles(figure)[0].startswith("Equal areas")
        r = experiment.rounded(name, ratio)
        assert written[9] == f"at {ratio} d: {3 * ratio} d²" and written[10:] == list(
            drawings.rounding_words(name, r, ratio)
        )
        assert ("’s code with" in written[10]) == (ratio != 4) and ("× " in written[11]) == (r.multiplier != 1)


def test_the_rounding_in_words() -> None:
    for name, words in (
        ("Llama 2 70B", ("Llama 2 70B: 2⁄3 · 4 d → 21,845", "× 1.3 → 28,398 → 7 · 4,096 = 28,672, 3.5 d")),
        ("LLaMA 7B", ("LLaMA 7B: 2⁄3 · 4 d → 10,922", "→ 43 · 256 = 11,008, 2.69 d")),
    ):
        assert drawings.rounding_words(name, experiment.rounded(name), 4) == words


@pytest.mark.parametrize("name", experiment.LLAMAS)
def test_every_published_model_is_a_dot(name: str) -> None:
    dense = {n: p.architecture for n, p in PRESETS.items() if p.architecture.experts == 1}
    for ratio, frame in zip(experiment.STOPS, drawings.ratio_frames(name), strict=True):
        figure = frame.figures[1]
        go.Figure(figure)
        for trace_name, gated, colour in (("two matrices", False, WITHOUT), ("three matrices", True, WITH)):
            trace = named(figure, trace_name)
            of = [a for a in dense.values() if a.gated == gated]
            np.testing.assert_allclose(trace["x"], [a.d_model for a in of])
            np.testing.assert_allclose(trace["y"], [a.d_ff / a.d_model for a in of], rtol=1e-6)
            assert trace["marker"]["line"]["color"] == colour
            names = [n for n, a in dense.items() if a.gated == gated]
            assert [h.rpartition(": ")[0] for h in trace["hovertext"]] == names
            assert [float(h.rpartition(": ")[2]) for h in trace["hovertext"]] == pytest.approx(
                [a.d_ff / a.d_model for a in of], rel=2e-3
            )
            x, y = figure["layout"]["xaxis"]["range"], figure["layout"]["yaxis"]["range"]
            assert 10 ** x[0] < trace["x"].min() and trace["x"].max() < 10 ** x[1]
            assert 10 ** y[0] < trace["y"].min() and trace["y"].max() < 10 ** y[1]
        *lines, leader = figure["layout"]["shapes"]
        assert [(line["y0"], line["line"]["color"]) for line in lines] == [(ratio, WITHOUT), (2 * ratio / 3, WITH)]
        assert words(figure)[0] == f"two: {ratio}" and words(figure)[1] == f"three: {drawings.short(2 * ratio / 3)}"
        a = preset(name)
        ring = named(figure, name)
        assert (ring["x"][0], ring["y"][0]) == pytest.approx((a.d_model, a.d_ff / a.d_model), rel=1e-6)
        assert words(figure)[2:4] == ["T5 3B: 16", "T5 11B: 64"]
        assert words(figure)[4] == f"{name}: {drawings.short(a.d_ff / a.d_model)}"
        assert figure["layout"]["annotations"][4]["x"] == pytest.approx(math.log10(a.d_model))
        assert leader["x0"] == leader["x1"] == a.d_model and leader["y1"] < a.d_ff / a.d_model
        assert titles(figure) == [
            f"What {len(dense)} published dense models take",
            "width of the model, d_model",
            "ratio d_ff ÷ d_model",
        ]


def test_the_heros_reading() -> None:
    two, three = experiment.published().of(False), experiment.published().of(True)
    reading = said(drawings.card().reading)
    assert reading.startswith(
        f"Both layers have 8 d² weights. Of {len(two)} published models with two matrices {experiment.near(two, 4)} take 4"
    )
    assert reading.endswith(f"of the {len(three)} with three, {experiment.near(three, 8 / 3)} take 2.67.")
    assert "none take 5" in drawings.ratio_reading(5) and drawings.takers(torch.tensor([5.0]), 5) == "1 takes 5"


# ---------------------------------------------------------------------------------------------- trained


def test_trained_runs_are_drawn_with_every_seed() -> None:
    for (activation, name), frame in zip(drawings.NAMES.items(), drawings.trained_frames(), strict=True):
        figure, table = frame.figures
        go.Figure(figure), go.Figure(table)
        found = experiment.tuned(activation)
        mean, seeds = named(figure, f"{name}, mean"), named(figure, "5 seeds")
        np.testing.assert_allclose(mean["x"], found.ratio, rtol=1e-6)
        np.testing.assert_allclose(mean["y"], found.mean, rtol=1e-6)
        np.testing.assert_allclose(seeds["y"], found.excess.flatten(), rtol=1e-6)
        np.testing.assert_allclose(seeds["x"], found.ratio.repeat_interleave(5), rtol=1e-6)
        assert mean["line"]["color"] == seeds["marker"]["line"]["color"] == WITH
        others = {f"{n}, mean" for a, n in drawings.NAMES.items() if a != activation}
        for other in others:
            assert named(figure, other)["line"]["color"] == WITHOUT
        assert seeds["y"].max() < figure["layout"]["yaxis"]["range"][1]
        assert "learning rate" in titles(figure)[0] and "nats" in titles(figure)[2]
        every = experiment.ends(activation).mean(1).T
        np.testing.assert_allclose(table["data"][0]["z"], every, rtol=1e-6)
        column = "ratio of two matrices with as many weights, about" if activation == "swiglu" else "ratio, about"
        assert titles(table)[1:] == [column, "learning rate"]
        frames = [(s["x0"] + 0.5, s["y0"] + 0.5) for s in table["layout"]["shapes"]]
        assert frames == [(i, int(every[:, i].argmin())) for i in range(6)]


WHOLE = 0.2 + experiment.least_loss()


def made(means: list[float], spread: float = 0.001, edge: int | None = None) -> experiment.Ratios:
    excess = torch.tensor(means, dtype=torch.float64)[:, None] + spread * torch.tensor(
        [-1.0, 0, 1], dtype=torch.float64
    )
    ratio = torch.tensor(training.RATIOS, dtype=torch.float64)
    return experiment.Ratios(ratio, ratio, excess, torch.arange(6) == (-1 if edge is None else edge))


@pytest.mark.parametrize(
    ("found", "reading"),
    [
        (
            made([0.4, 0.3, 0.25, 0.2, 0.205, 0.25]),
            "GELU has its least mean with a ratio of about 4; 8 leaves 2.5\u00a0% more to learn and 16 25\u00a0%. 0.5 leaves 2 times as much to learn; of the whole loss that is "
            f"{percent(0.2 / WHOLE)} more, and {percent(0.05 / WHOLE)} at 2.",
        ),
        (
            made([0.4, 0.3, 0.25, 0.2, 0.201, 0.25], edge=5),
            "GELU has its least mean with a ratio of about 4; 8 leaves 0.5\u00a0% more to learn and 16 25\u00a0%. 0.5 leaves 2 times as much to "
            f"learn; of the whole loss that is {percent(0.2 / WHOLE)} more, and {percent(0.05 / WHOLE)} at 2. "
            "At 16 the best learning rate lies at the edge of those tried.",
        ),
        (
            made([0.2, 0.2001, 0.2002, 0.3, 0.3, 0.3]),
            "GELU has its least mean with a ratio of about 0.5; 1 leaves 0.05\u00a0% more to learn and 2 0.1\u00a0%.",
        ),
    ],
)  # fmt: skip
def test_what_trained_runs_say(found: experiment.Ratios, reading: str) -> None:
    assert drawings.trained_reading("GELU", found) == reading and not list(faults(reading))


@pytest.mark.parametrize("activation", training.ACTIVATIONS)
def test_the_trap_shows_one_rate_and_who_wins(activation: training.Activation) -> None:
    best = [experiment.at_one_rate(activation, rate).best for rate in training.RATES]
    tuned = experiment.tuned(activation)
    for rate, place, frame in zip(training.RATES, best, drawings.trap_frames(activation), strict=True):
        figure, won = frame.figures
        go.Figure(figure), go.Figure(won)
        found = experiment.at_one_rate(activation, rate)
        np.testing.assert_allclose(named(figure, f"{rate:g} for all, mean")["y"], found.mean, rtol=1e-6)
        np.testing.assert_allclose(named(figure, "each its best rate, mean")["y"], tuned.mean, rtol=1e-6)
        assert named(figure, f"{rate:g} for all, mean")["line"]["color"] == WITHOUT
        ring = named(figure, "the winner")
        assert (ring["x"][0], ring["y"][0]) == pytest.approx(
            (float(found.ratio[place]), float(found.mean.min())), rel=1e-6
        )
        assert named(figure, "the winner")["marker"]["line"]["color"] == INK
        np.testing.assert_allclose(named(won, "winner")["y"], [training.RATIOS[i] for i in best], rtol=1e-6)
        assert (named(won, "here")["x"][0], named(won, "here")["y"][0]) == pytest.approx(
            (rate, training.RATIOS[place]), rel=1e-6
        )
        assert f"{rate:g}" in titles(figure)[0] and titles(won)[1] == "learning rate of all ratios"
        said_so = f"With learning rate {rate:g} for all, the winner has {drawings.named_ratio(drawings.NAMES[activation], place)}"
        more = percent(float(found.mean[tuned.best] / found.mean.min()) - 1)
        assert frame.reading.startswith(said_so) and (place == tuned.best or f"leaves {more} more" in frame.reading)
        assert (" leaves " in frame.reading) == (place != tuned.best)
        close = place != tuned.best and float(found.apart(place)[tuned.best]) < 2
        assert frame.reading.endswith("less than two standard errors.") == close


# ---------------------------------------------------------------------------------------------- facts and operations


def test_recall_is_drawn_written_and_trained() -> None:
    for noise, frame in zip(training.NOISES, drawings.recall_frames(), strict=True):
        (figure,) = frame.figures
        go.Figure(figure)
        found = experiment.recall(noise)
        for name, values, colour in (
            ("trained, mean", found.trained, WITH),
            ("written in, one fact a unit, mean", found.planted, WITHOUT),
        ):
            trace = named(figure, name)
            np.testing.assert_allclose(trace["y"], values.mean(-1), rtol=1e-6)
            np.testing.assert_allclose(trace["x"], training.WIDTHS)
            assert trace["line"]["color"] == colour
            (of_seeds,) = (
                t for t in figure["data"] if t["mode"] == "markers" and t["marker"]["line"]["color"] == colour
            )
            np.testing.assert_allclose(of_seeds["x"], np.repeat(training.WIDTHS, 5))
            np.testing.assert_allclose(of_seeds["y"], values.flatten(), rtol=1e-6)
        trained, written = found.trained.mean(-1), found.planted.mean(-1)
        numbers = [
            percent(float(trained[3])),
            percent(float(written[3])),
            percent(float(trained[-1])),
            percent(float(written[-1])),
        ]
        assert f"32 trained units give back {numbers[0]} of 512 facts" in frame.reading
        assert (
            f"and 32 written ones {numbers[1]}; 512 units give back {numbers[2]} trained and {numbers[3]} written."
            in frame.reading
        )
        assert frame.reading.endswith(f"Guessing gives {percent(1 / 32)}.") == (noise > 0)
        assert ("(100 % without noise)" in said(frame.reading)) == (noise > 0)
        assert titles(figure)[1:] == ["units of the feed-forward layer, d_ff", "share of the facts that come back"]
        assert f"noise of length {noise:g} " in titles(figure)[0]
        assert ("exactly as learned" in frame.reading) == (noise == 0)
    assert "32 trained units give back 100 %" in said(drawings.recall_frames()[0].reading)


def test_work_is_drawn_in_millions_on_one_scale() -> None:
    for context, frame in zip(experiment.CONTEXTS, drawings.work_frames(), strict=True):
        for figure, held in zip(frame.figures, ("width", "parameters"), strict=True):
            go.Figure(figure)
            found = experiment.work(context, held)
            np.testing.assert_allclose(named(figure, "through the weights")["y"], found.weights / 1e6, rtol=1e-6)
            np.testing.assert_allclose(
                named(figure, "between tokens (attention)")["y"], found.attention / 1e6, rtol=1e-6
            )
            assert figure["layout"]["barmode"] == "stack" and titles(figure)[2] == "million FLOPs a token and layer"
            assert float(found.total.max()) / 1e6 < figure["layout"]["yaxis"]["range"][1]
        a, b = frame.figures
        assert a["layout"]["yaxis"]["range"] == b["layout"]["yaxis"]["range"]
        assert (
            "stays 4,096" in titles(a)[0]
            and titles(b)[0].startswith("A token’s FLOPs")
            and "parameters stay" in titles(b)[0]
        )
        assert f"With {context:,} tokens in sight" in frame.reading


def test_the_reading_of_work() -> None:
    w, p = (experiment.work(8192, held) for held in ("width", "parameters"))
    four, sixteen = experiment.LINE.index(4), experiment.LINE.index(16)
    reading = said(drawings.work_reading(8192, w, p))
    assert f"costs {float(w.total[sixteen] / w.total[four]):.1f} times" in reading
    assert f"saves {100 * (1 - float(p.total[sixteen] / p.total[four])):.0f} %" in reading
    assert f"are {100 * (1 - float(p.cache[sixteen] / p.cache[four])):.0f} % fewer" in reading


def test_no_frame_is_large() -> None:
    from ui.sweep.packing import pack

    header = {"key": "k", "labels": [""], "plotly": ""}
    for frames in (
        drawings.ratio_frames("LLaMA 7B"),
        drawings.trap_frames("gelu"),
        drawings.recall_frames(),
        drawings.work_frames(),
    ):
        assert len(pack(frames, **header)) < 400_000
