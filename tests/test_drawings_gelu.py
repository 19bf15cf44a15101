"""Question 19's frames and readings: the right numbers in the right colour, and sentences that are true in every state."""

import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
import torch.nn.functional as F

from core.experiments import gelu as experiment
from core.ops.activations import gelu_slope
from core.say import number
from core.training import gelu as training
from tests.test_readings import faults
from ui.drawings import gelu as drawings
from ui.figures import Figure
from ui.palette import INK, MASKED, OCHRE, WITH, WITHOUT


def named(figure: Figure, name: str) -> dict:
    (trace,) = (trace for trace in figure["data"] if trace["name"] == name)
    return trace


def words(text: str) -> str:
    return text.replace("\u00a0", " ")


# ---------------------------------------------------------------------------------------------- 0 or 1, drawn


@pytest.mark.parametrize("touch", [-2.3, -0.5, 0.7])
def test_values_above_and_slopes_beneath(touch: float) -> None:
    found = experiment.draws(4)
    n = {-2.3: 38, -0.5: 38, 0.7: 51}[touch]  # left of ½ the picture ends at 0.7
    shown, error, means_of = found.x[:n], found.error[:, :n], found.mean[:, :n]
    x = shown.numpy()
    for i, frame in enumerate(drawings.draw_frames(touch, 4)):
        (figure,) = frame.figures
        go.Figure(figure)
        for name, y, colour in (
            ("ReLU", shown.relu(), WITHOUT),
            ("GELU = x Φ(x)", F.gelu(shown), WITH),
            ("slope of GELU", gelu_slope(shown), WITH),
        ):
            trace = named(figure, name)
            np.testing.assert_allclose(trace["x"], x, atol=1e-6)
            np.testing.assert_allclose(trace["y"], y.numpy(), atol=1e-6)
            assert trace["line"]["color"] == colour
        means = named(figure, "mean of draws")
        np.testing.assert_allclose(means["y"], means_of[i].numpy(), atol=1e-6)
        assert means["marker"]["color"] == INK and means["y"].min() > figure["layout"]["yaxis"]["range"][0]
        band = named(figure, "± 1 standard error")["y"]
        np.testing.assert_allclose(band[:n] - band[: n - 1 : -1], -2 * error[i].numpy(), atol=1e-6)
        tangent = named(figure, "GELU’s tangent")
        steep = float(gelu_slope(torch.tensor(touch, dtype=torch.float64)))
        assert np.diff(tangent["y"]) / np.diff(tangent["x"]) == pytest.approx(steep, abs=1e-5)
        assert tangent["y"].mean() == pytest.approx(float(F.gelu(torch.tensor(touch, dtype=torch.float64))), abs=1e-6)
        step = float(touch > 0)
        for name, y in (("slope of GELU there", steep), ("slope of ReLU there", step)):
            assert named(figure, name)["x"] == pytest.approx(touch) and named(figure, name)["y"] == pytest.approx(y)
        beneath = {trace["name"] for trace in figure["data"] if trace.get("yaxis") == "y2"}
        assert beneath == {"slope of GELU", "slope of ReLU", "slope of GELU there", "slope of ReLU there"}
        said = [note["text"] for note in figure["layout"]["annotations"]]
        assert said == [f"GELU: {drawings.steepness(steep)}", f"ReLU: {number(step)}"]
        layout = figure["layout"]
        # All that is drawn at random is in the picture; and the dip of 0.17 takes an eighth of it, once dots lie near.
        low, high = layout["yaxis"]["range"]
        assert (
            low < means["y"].min() and means["y"].max() < high and layout["xaxis"]["range"][1] == pytest.approx(x[-1])
        )
        assert touch > 0.5 or i < 5 or 0.17 / (high - low) > 1 / 8
        # Words stand where the tangent’s line does not pass.
        assert abs(figure["layout"]["annotations"][0]["x"] - touch) > 0.5
        assert [layout[axis]["title"]["text"] for axis in ("xaxis", "yaxis", "yaxis2")] == [
            "input x",
            "output",
            "slope",
        ]
        assert layout["yaxis2"]["domain"][1] < layout["yaxis"]["domain"][0] and layout["shapes"][0]["x0"] == touch
        drawn = experiment.COUNTS[i]
        assert layout["title"]["text"].endswith(f"the mean of {drawn:,} draw{'s' * (drawn > 1)} for each x")


def test_what_is_said_of_the_draws() -> None:
    found = experiment.draws(0)
    for k, (touch, n) in ((2, (-0.5, 38)), (5, (1.4, 51))):
        off = (found.mean[k] - found.value).abs()[:n]
        at = int(off.argmax())
        assert words(drawings.draw_frames(touch, 0)[k].reading).endswith(
            f"Of the {n} means of {experiment.COUNTS[k]} draws here, the farthest from x Φ(x) is {number(float(off[at]), 2)} away, "
            f"{number(float(off[at] / found.error[k, at]), 2)} standard errors."
        )
    for touch, said in (
        (-0.5, "0.13 and ReLU’s exactly 0."),
        (-1.0, "−0.083, negative, and ReLU’s exactly 0."),
        (0.0, "0.5 and ReLU’s 0 on the left and 1 on the right."),
        (0.1, "0.58 and ReLU’s exactly 1."),
        (1.4, "1.13 and ReLU’s exactly 1."),
    ):
        assert f"At x = {number(touch)} GELU’s slope is {said}" in words(drawings.draw_frames(touch, 0)[0].reading)
    assert drawings.card().reading == drawings.draw_frames(-0.3, 0)[experiment.COUNTS.index(50)].reading


def test_more_draws_come_nearer() -> None:
    """The number that the reading gives falls from few draws to many."""
    for seed in range(5):
        off = [float(re.search(r"is ([\d.]+) away", frame.reading)[1]) for frame in drawings.draw_frames(-0.3, seed)]  # type: ignore[index]
        assert off[0] > off[5] > off[-1] and off[-1] < 0.05


# ---------------------------------------------------------------------------------------------- relatives, and the dip


def test_each_relative_beside_exact_and_its_difference() -> None:
    frames = dict(zip(drawings.FAMILY, drawings.family_frames(), strict=True))
    for form, frame in frames.items():
        for figure in frame.figures:
            go.Figure(figure)
        if form == "gate":
            continue
        beside, difference = frame.figures
        x = torch.tensor(beside["data"][0]["x"], dtype=torch.float64)
        exact, other = (trace["y"] for trace in beside["data"])
        np.testing.assert_allclose(exact, F.gelu(x).numpy(), atol=1e-5)
        np.testing.assert_allclose(other, training.FORMS[form](x).numpy(), atol=2e-5)
        np.testing.assert_allclose(difference["data"][0]["y"], (training.FORMS[form](x) - F.gelu(x)).numpy(), atol=2e-5)
        assert beside["data"][0]["name"] == "exact GELU" and beside["data"][1]["name"] == drawings.NAMES[form]
        assert difference["layout"]["yaxis"]["range"][1] > np.abs(difference["data"][0]["y"]).max()
        assert not difference["data"][0]["line"]["simplify"]
        if form != "relu2":
            at = sorted(shape["x0"] for shape in difference["layout"]["shapes"])
            assert at == pytest.approx(
                [-abs(experiment.relative(form).worst_at), abs(experiment.relative(form).worst_at)]
            )
    assert words(frames["tanh"].reading).startswith(
        "The tanh form and exact GELU differ most at x = ±2.70, by 4.7·10⁻⁴. GPT-2"
    )
    assert drawings.USED == {
        "tanh": "GPT-2’s code computes it, and Google’s BERT code since 2019.",
        "sigmoid": "OpenAI’s CLIP computes it, as QuickGELU.",
        "silu": "LLaMA’s gates use it.",
        "relu": "The original Transformer had it, and the first T5.",
        "relu2": "An automatic search, Primer, came up with it.",
    }
    assert all(frame.reading.endswith(drawings.USED[form]) for form, frame in frames.items() if form != "gate")
    assert frames["gate"].reading.endswith("LLaMA gates with SiLU (SwiGLU), Gemma 2 with GELU’s tanh form (GEGLU).")
    assert frames["silu"].reading == "SiLU and exact GELU differ most at x = ±1.97, by 0.19. LLaMA’s gates use it."
    assert frames["relu2"].reading.startswith("ReLU² is 12.0 above exact GELU at x = 4, and farther beyond.")
    assert frames["relu2"].figures[1]["layout"].get("shapes") is None, "no largest difference to mark"


def test_a_gate_multiplies_its_curve() -> None:
    gates, equal = drawings.family_frames()[-1].figures
    x = torch.tensor(gates["data"][0]["x"], dtype=torch.float64)
    for trace, up in zip(gates["data"], (-1, 0.5, 1, 2), strict=True):
        assert trace["name"] == f"u = {number(up)}"
        np.testing.assert_allclose(trace["y"], (up * F.gelu(x)).numpy(), atol=1e-5)
    for trace, form in zip(equal["data"], (F.gelu, F.silu, torch.relu), strict=True):
        np.testing.assert_allclose(trace["y"], (x * form(x)).numpy(), atol=1e-4)


def test_the_dip_is_marked_where_it_is() -> None:
    for sigma, frame in zip(drawings.SIGMAS, drawings.dip_frames(), strict=True):
        found, (value, slope) = experiment.extremes(sigma), frame.figures
        assert named(value, "lowest")["x"] == pytest.approx(found.lowest[0]) and named(value, "lowest")[
            "y"
        ] == pytest.approx(found.lowest[1])
        assert named(slope, "steepest")["x"] == pytest.approx(found.steepest[0]) and named(slope, "steepest")[
            "y"
        ] == pytest.approx(found.steepest[1])
        curve = value["data"][1]
        x = torch.tensor(curve["x"], dtype=torch.float64)
        np.testing.assert_allclose(curve["y"], (x * torch.special.ndtr(x / sigma)).numpy(), atol=1e-5)
        np.testing.assert_allclose(slope["data"][1]["y"], gelu_slope(x, sigma).numpy(), atol=1e-4)
    assert drawings.dip_frames()[drawings.SIGMAS.index(1.0)].reading == (
        "GELU is lowest at x = −0.752, where it is −0.170, and steepest at x = 1.41, where its slope is 1.13: more than ReLU’s 1."
    )


# ---------------------------------------------------------------------------------------------- silent units


def test_every_run_in_its_activations_colour_and_the_bars_add_up() -> None:
    for rate, frame in zip(training.RATES, drawings.silent_frames(), strict=True):
        curves, bars = frame.figures
        expected = [(form, seed) for form in training.TRAINED for seed in training.SEEDS]
        for trace, (form, seed) in zip(curves["data"], expected, strict=True):
            run = training.trained(rate, seed)
            assert trace["y"].tolist() == run.silent[training.TRAINED.index(form)].tolist()
            assert trace["line"]["color"] == (WITHOUT if form == "relu" else WITH) and trace["showlegend"] == (
                seed == 0
            )
        get, none = bars["data"]
        assert [get["marker"]["color"], none["marker"]["color"]] == [WITH, MASKED] and get["x"] == ["ReLU", "GELU"]
        ends = [training.ends(form, rate) for form in training.TRAINED]
        assert get["y"].tolist() == [sum(e["reached"] for e in end) for end in ends]
        assert (get["y"] + none["y"]).tolist() == [sum(e["silent"] for e in end) for end in ends]
    slow, middle, high = (words(frame.reading) for frame in drawings.silent_frames())
    assert slow.endswith(
        "ReLU left 1 of 2,560 units silent, which gets no gradient; GELU left no unit silent. GELU’s number is the higher one in none of 5 seeds."
    )
    assert "; GELU left 3 of 2,560 units silent, and all of them get a gradient." in middle
    assert "ReLU left 51 % of all units silent, and none of them gets a gradient" in high
    assert "GELU left 73 % of all units silent" in high and high.endswith("higher one in 3 of 5 seeds.")


def test_who_woke_is_counted_seed_by_seed() -> None:
    (frame,) = drawings.woken_frame()
    for figure, form in zip(frame.figures, training.TRAINED, strict=True):
        go.Figure(figure)
        woke, still = figure["data"]
        ends = training.woken(form)
        assert woke["y"].tolist() == [end["woke"] for end in ends] and woke["x"] == list("0123456789")
        assert (woke["y"] + still["y"]).tolist() == [end["half"] for end in ends]
        assert [woke["marker"]["color"], still["marker"]["color"]] == [OCHRE, MASKED]
        assert figure["layout"]["title"]["text"].startswith(drawings.WORDS[form])
    assert words(frame.reading) == (
        "A gradient need not bring a unit back: of GELU’s 662 units silent at step 200, 9 were above 0 somewhere at step 400; of ReLU’s 1,478, 64. "
        "Of GELU’s silent at the end, 67 % were left of the dip on every text: there the slope is negative."
    )


def test_where_nothing_is_silent_that_is_said() -> None:
    none = {"relu": [{"silent": 0, "reached": 0}], "exact": [{"silent": 0, "reached": 0}]}
    assert "every unit is above 0 somewhere" in drawings.silent_reading(0.001, none)  # type: ignore[arg-type]
    some = {"relu": [{"silent": 0, "reached": 0}], "exact": [{"silent": 4, "reached": 1}]}
    said = words(drawings.silent_reading(0.001, some))  # type: ignore[arg-type]
    assert "ReLU left no unit silent; GELU left 4 of 2,560 units silent, and 25 % of them get a gradient." in said
    assert said.endswith("in 1 of 1 seed.")


def test_every_state_of_a_training_is_read_lawfully() -> None:
    for seed in training.SEEDS:
        whole = training.trained(0.01, seed)
        for t in (1, 2, 5, 20, 41):
            run = replace(
                whole, at=whole.at[:t], loss=whole.loss[:, :t], silent=whole.silent[:, :t], reached=whole.reached[:, :t]
            )
            frame = drawings.live_frame(run)
            assert not list(faults(frame.reading)), (list(faults(frame.reading)), frame.reading)
            for figure in frame.figures:
                go.Figure(figure)
            losses, silent = frame.figures
            assert [trace["name"] for trace in losses["data"]] == ["ReLU", "GELU"]
            since = {1: "1 step: ", 2: "the last 9: "}.get(t, "the last 10: ")
            assert since in frame.reading
            np.testing.assert_allclose(losses["data"][1]["y"], run.loss[1].numpy(), rtol=1e-5)
            assert silent["data"][0]["y"].tolist() == run.silent[0].tolist()
    alone = replace(whole, silent=torch.ones_like(whole.silent), reached=torch.tensor([[0], [1]]).expand(2, 41))
    said = drawings.live_frame(alone).reading
    assert "1 silent unit, which gets no gradient; GELU" in said and said.endswith(
        "1 silent unit, which gets a gradient."
    )
    run = training.trained(0.01, 0)
    a, b = (number(float(loss), 2) for loss in run.loss[:, -1])
    assert drawings.live_frame(run).reading == (
        f"After 400 steps, by the mean loss of the last 10: ReLU has loss {a} and {int(run.silent[0, -1])} silent units, none of them with a gradient; "
        f"GELU has loss {b} and {int(run.silent[1, -1])} silent units, all of them with a gradient."
    )


# ---------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("dtype", drawings.DTYPES)
def test_each_way_of_writing_has_its_own_error(dtype: str) -> None:
    (frame,) = drawings.cancel_frame(dtype)
    for trace, way in zip(frame.figures[0]["data"], ("erf", "torch", "erfc"), strict=True):
        x, error = experiment.relative_error(way, dtype)  # type: ignore[arg-type]
        np.testing.assert_allclose(trace["x"], x.numpy(), rtol=1e-5)
        np.testing.assert_allclose(np.nan_to_num(trace["y"]), error.numpy(), rtol=1e-4, atol=1e-30)
    assert dtype in frame.figures[0]["layout"]["title"]["text"]


def test_what_is_said_of_cancelling() -> None:
    assert "the sum 1 + erf loses all of it; erfc " in drawings.cancel_frame("float32")[0].reading
    x, share = experiment.relative_error("erf")
    off = number(float((share * F.gelu(x)).abs().max()), 2)
    assert f"The sum’s largest error from −8 to 0 is {off}: little" in words(
        drawings.cancel_frame("float32")[0].reading
    )
    assert "erfc in float64 is the measure here" in drawings.cancel_frame("float64")[0].reading


def test_the_cube_overflows_first_and_the_slope_is_lost_last() -> None:
    frames = dict(zip(drawings.CUBES, drawings.half_frames("power"), strict=True))
    dead = " At x = −4 its slope is exactly 0, where −3.4·10⁻⁴ is true."
    start = "in float16, the value,"
    assert words(frames[40].reading) == f"At x = 40 the cube is 64,000 {start} 40, is right, and its slope is 1.{dead}"
    assert words(frames[41].reading) == f"At x = 41 the cube overflows {start} 41, is right, and its slope is 1.{dead}"
    assert f"is right, and its slope is not a number, for 0 times ∞ is none.{dead}" in words(frames[148].reading)
    cube, value, slope, lost = frames[148].figures[0]["data"]
    assert lost["x"].tolist() == [148, 200, 300]
    assert np.isnan(cube["y"]).tolist() == [x > 40 for x in drawings.CUBES]
    assert value["y"].tolist() == list(drawings.CUBES)
    assert np.isnan(slope["y"]).tolist() == [x > 147 for x in drawings.CUBES]
    for written, said in (("factored", dead), ("torch", " At x = −4 its slope is −3.3·10⁻⁴, as it should be.")):
        for frame in drawings.half_frames(written):  # type: ignore[arg-type]
            assert words(frame.reading).endswith(f"and its slope is 1.{said}") and len(frame.figures[0]["data"]) == 3
    for written in drawings.CUBE:
        true, half, dead_at = drawings.below_figure(written)["data"]
        for trace, dtype in ((true, "float64"), (half, "float16")):
            slopes = [abs(experiment.in_float16(x, written, dtype).slope) for x in drawings.BELOW]
            np.testing.assert_allclose(np.nan_to_num(trace["y"]), slopes, rtol=1e-5)
        assert dead_at["x"].tolist() == [x for x, s in zip(drawings.BELOW, slopes, strict=True) if s == 0]


def test_the_chosen_form_stands_out_among_the_others() -> None:
    found = experiment.swapped()
    for form, frame in zip(drawings.CHECKED, drawings.checkpoint_frames(), strict=True):
        for figure, what, times in zip(frame.figures, ("moved", "changed"), (1, 100), strict=True):
            chosen, others = figure["data"]
            assert chosen["marker"]["color"] == WITH and figure["layout"]["barmode"] == "overlay"
            for f, mine, other in zip(drawings.CHECKED, chosen["y"], others["y"], strict=True):
                shown, hidden = (mine, other) if f == form else (other, mine)
                assert np.isnan(hidden)
                assert shown == pytest.approx(times * found[f][what]) or (
                    what == "moved" and f == "exact" and np.isnan(shown)
                )
        assert frame.figures[1]["layout"]["title"]["text"] == "Answers that change, of 1,024"
    tanh = words(drawings.checkpoint_frames()[1].reading)
    assert (
        tanh
        == f"Run with the tanh form, the logit that moves most moves by {number(found['tanh']['moved'], 2)}. No answer changes, nor with ReLU: "
        "this model is too sure for its answers to tell the forms apart."
    )
    assert "of the answers change" in drawings.checkpoint_frames()[-1].reading
    assert OCHRE not in {
        trace["marker"]["color"] for f in drawings.checkpoint_frames()[0].figures for trace in f["data"]
    }


# ---------------------------------------------------------------------------------------------- wiring


def wiring(figure: Figure) -> tuple[str, str, list[str]]:
    """What stands at the axes, and in the legend."""
    layout = figure["layout"]
    names = [t["name"] for t in figure["data"] if t.get("showlegend", True)] if layout.get("showlegend") else []
    return layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"], names


def test_axes_and_legends_say_what_is_drawn() -> None:
    both, seeds = ["ReLU", "GELU"], f"of {training.UNITS} units, above 0 nowhere"
    (hero,) = drawings.card().figures
    assert wiring(hero)[2] == ["ReLU", "GELU = x Φ(x)", "± 1 standard error", "mean of draws", "GELU’s tangent"]
    beside, difference = drawings.family_frames()[1].figures
    assert wiring(beside) == ("input x", "output", ["exact GELU", "sigmoid form"])
    assert wiring(difference) == ("input x", "difference of outputs", [])
    assert [f["layout"]["title"]["text"] for f in (beside, difference)] == [
        "The sigmoid form beside exact GELU",
        "The sigmoid form minus exact GELU",
    ]
    gates, equal = drawings.family_frames()[-1].figures
    assert wiring(gates)[:2] == ("gate’s input g", "output GELU(g) · u") and wiring(equal)[:2] == (
        "gate’s input g",
        "output",
    )
    assert wiring(equal)[2] == ["GEGLU", "SwiGLU (SiLU)", "ReGLU (ReLU)"]
    value, slope = drawings.dip_frames()[0].figures
    assert wiring(value) == ("input x", "output", ["ReLU", "x\u00a0Φ(x\u00a0/\u00a00.05)", "lowest"])
    assert wiring(slope) == ("input x", "slope", ["ReLU", "x\u00a0Φ(x\u00a0/\u00a00.05)", "steepest"])
    curves, bars = drawings.silent_frames()[1].figures
    assert wiring(curves) == ("training step", seeds, both)
    assert wiring(bars) == ("activation", "of 2,560 units, all seeds", ["get a gradient", "get none"])
    losses, silent = drawings.live_frame(training.trained(0.003, 1)).figures
    assert wiring(losses) == ("training step", "cross-entropy, nats a token", both)
    assert wiring(silent) == ("training step", seeds, both)
    (cancels,) = drawings.cancel_frame("float32")[0].figures
    assert wiring(cancels)[:2] == ("input x", "relative error")
    assert wiring(cancels)[2][::2] == ["½ x (1 + erf(x/√2))", "½ x erfc(−x/√2)"]
    half, below = drawings.half_frames("power")[0].figures
    assert wiring(below) == ("input x", "size of the slope", ["true", "in float16", "in float16: exactly 0"])
    assert wiring(half) == ("input x", "size", ["x³", "tanh form", "its slope", "its slope: not a number"])
    logits, answers = drawings.checkpoint_frames()[2].figures
    assert wiring(logits) == ("form in the place of exact GELU", "change, powers of ten", ["chosen", "the others"])
    assert wiring(answers)[1] == "% of the answers" and answers["data"][0]["x"] == [
        "exact",
        "tanh",
        "sigmoid",
        "SiLU",
        "ReLU",
        "ReLU²",
    ]
