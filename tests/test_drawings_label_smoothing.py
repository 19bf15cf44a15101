"""Question 16's frames and readings: the right numbers in the right colour and place, and sentences true in every state."""

import json
import math

import plotly.graph_objects as go
import pytest
import torch

from core.concepts.label_smoothing import concept
from core.experiments import label_smoothing as smoothing
from core.ops.losses import smoothed
from core.say import number, percent
from core.training import label_smoothing as training
from tests.test_pages import LESSONS, checked, controls, figures, opened
from tests.test_readings import faults, states
from ui.drawings import label_smoothing as drawings
from ui.figures import Figure, Frame
from ui.palette import INK, OCHRE, QUERY, WITH, WITHOUT

AT = smoothing.STOPS.index


def words(reading: str) -> str:
    return reading.replace("\u00a0", " ")


def named(figure: Figure, name: str) -> dict:
    (found,) = (trace for trace in figure["data"] if trace["name"] == name)
    return found


def notes(figure: Figure) -> list[str]:
    return [note["text"] for note in figure["layout"].get("annotations", [])]


def places(figure: Figure) -> dict[str, dict]:
    return {note["text"]: note for note in figure["layout"].get("annotations", [])}


def titles(figure: Figure) -> tuple[str, str, str]:
    layout = figure["layout"]
    return tuple(
        layout[part]["title"]["text"] if part != "title" else layout[part]["text"]
        for part in ("title", "xaxis", "yaxis")
    )  # type: ignore[return-value]


@pytest.mark.parametrize(
    "draw",
    [
        drawings.target_frames,
        drawings.example_frames,
        drawings.floor_frames,
        drawings.trained_frames,
        drawings.gap_frames,
    ],
)
def test_plotly_accepts_every_figure(draw) -> None:
    for state in list(states(draw.corners))[:3]:
        for frame in draw(**state):
            for figure in frame.figures:
                go.Figure(figure)
                assert all(titles(figure)), titles(figure)


# ---------------------------------------------------------------------------------------------- the hero


@pytest.mark.parametrize("classes", [2, 3, 10, 37_000])
def test_the_hero_draws_loss_and_targets_in_both_conventions(classes: int) -> None:
    frames = drawings.target_frames(classes)
    assert len(frames) == len(smoothing.STOPS)
    for epsilon, frame in zip(smoothing.STOPS, frames, strict=True):
        loss, bars = frame.figures
        for convention, name in drawings.SHARED.items():
            expected = smoothed(torch.tensor(0), classes, epsilon, convention)[: drawings.SHOWN]
            assert named(bars, name)["y"].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
            curve = named(loss, name)
            gaps = tuple(float(g) for g in curve["x"])
            torch.testing.assert_close(
                torch.from_numpy(curve["y"]),
                smoothing.loss_of_gap(classes, epsilon, convention, gaps).float(),
                atol=1e-4,
                rtol=1e-4,
            )
            assert curve["line"]["color"] == named(bars, name)["marker"]["color"]
        assert named(bars, "hard")["y"].tolist() == [1] + [0] * (min(classes, 10) - 1)
        hard = named(loss, "hard")
        assert (hard["y"][1:] < hard["y"][:-1]).all() and hard["line"]["color"] == WITHOUT
        assert list(named(bars, "hard")["x"])[:2] == ["right", "2"]


@pytest.mark.parametrize("classes", [2, 3, 10, 37_000])
def test_the_dots_stand_where_the_curves_are_least(classes: int) -> None:
    for epsilon, frame in zip(smoothing.STOPS, drawings.target_frames(classes), strict=True):
        loss = frame.figures[0]
        dots = [trace for trace in loss["data"] if trace["mode"].startswith("markers")]
        if epsilon == 0:
            assert not dots and notes(loss) == ["no best gap"]
            continue
        for convention, name in drawings.SHARED.items():
            dot, best = named(loss, f"least, {name}"), smoothing.best(classes, epsilon, convention)
            assert float(dot["x"][0]) == pytest.approx(best.gap, abs=1e-5) and float(dot["y"][0]) == pytest.approx(
                best.loss, rel=1e-5
            )
            assert float(dot["y"][0]) <= named(loss, name)["y"].min() + 1e-5
            assert dot["marker"]["color"] == drawings.TINTS[convention]
            low, high = loss["layout"]["xaxis"]["range"]
            assert low <= best.gap < high, "in the picture"
        price, best = named(loss, "plain loss at the best gap"), smoothing.best(classes, epsilon)
        assert float(price["x"][0]) == pytest.approx(best.gap, rel=1e-5) and float(price["y"][0]) == pytest.approx(
            best.plain, rel=1e-5
        )
        assert price["marker"]["color"] == WITHOUT and [said.strip() for said in price["text"]] == [
            number(best.plain, 2) if classes <= 10 else ""
        ]
        rule, flat = loss["layout"]["shapes"]
        assert rule["x0"] == rule["x1"] == best.gap and rule["y0"] == best.plain
        assert flat["y0"] == flat["y1"] == best.loss and (flat["x0"] + flat["x1"]) / 2 == pytest.approx(best.gap)
        assert f"best gap {number(drawings.tidy(best.gap))}: gradient 0" in notes(loss)


def test_the_hero_says_its_numbers() -> None:
    frame = drawings.target_frames(3)[AT(0.1)]
    assert words(frame.reading) == (
        "With ε = 0.1 the loss is least at a gap of 3.33: there its gradient is 0, and the right class gets 0.933. "
        "The price is a plain loss of 0.069, which a hard target would push on towards 0."
    )
    assert (
        "no finite one is best" in drawings.target_frames(2)[0].reading
        and "2 classes" in drawings.target_frames(2)[0].reading
    )
    loss, bars = frame.figures
    assert titles(loss) == ("The loss of one example", "logit gap: right class less each wrong", "loss, nats")
    assert titles(bars) == ("What the network is asked for, 3 classes", "class", "target")
    assert named(bars, "all share ε")["text"] == ["0.93", "0.033", "0.033"]
    assert named(bars, "the wrong share ε")["text"] == ["0.9", "0.05", "0.05"]
    assert drawings.TINTS == {"all": WITH, "wrong": OCHRE}
    assert "the first 10 of 37,000 classes" in titles(drawings.target_frames(37_000)[2].figures[1])[0]
    assert drawings.card().reading == frame.reading


def test_the_hero_does_not_give_the_prediction_away() -> None:
    """Its defaults are three classes; the prediction asks for ten."""
    assert concept.prediction is not None and concept.short is not None
    shown = drawings.target_frames(3)[AT(0.1)].reading + concept.short.text
    assert "0.91" not in shown and "0.91" in drawings.target_frames(10)[AT(0.1)].reading


# ---------------------------------------------------------------------------------------------- example and floor


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_example_is_marked_at_both_epsilons(classes: int) -> None:
    for right, frame in zip(drawings.RIGHTS, drawings.example_frames(classes), strict=True):
        bars, lines = frame.figures
        assert bars["data"][0]["y"].tolist() == pytest.approx(
            [right] + [(1 - right) / (classes - 1)] * (classes - 1), abs=1e-6
        )
        dots = [trace for trace in lines["data"] if trace["mode"] == "markers"]
        for dot, (convention, name) in zip(dots, drawings.SHARED.items(), strict=True):
            epsilon = float(dot["x"][0])
            assert float(smoothed(torch.tensor(0), classes, min(epsilon, 1), convention)[0]) == pytest.approx(
                right, abs=1e-6
            )
            assert dot["marker"]["color"] == named(lines, name)["line"]["color"]
            if right < 1:
                assert f"ε = {number(drawings.tidy(smoothing.needed(right, classes, convention)))}" in frame.reading
        assert notes(lines) == [f"the example: {number(right)}"]


def test_the_usual_example_is_three_tenths_or_two() -> None:
    frame = drawings.example_frames(3)[drawings.RIGHTS.index(0.8)]
    assert "ε = 0.3 if all of them share it, and ε = 0.2 if only the wrong ones take it" in frame.reading
    assert "0.933 or 0.9" in frame.reading
    assert (
        drawings.example_frames(3)[0].reading == "A target of 1 for the right class is hard: ε = 0 in both conventions."
    )


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
@pytest.mark.parametrize("loss", [1.4, 0.0, 4.0])
def test_a_loss_is_split_at_its_floor(epsilon: float, loss: float) -> None:
    for classes, frame in zip(drawings.VOCABULARIES, drawings.floor_frames(epsilon, loss), strict=True):
        lines, bars = frame.figures
        floor = smoothing.floor(classes, epsilon)
        parts = [float(named(bars, name)["y"][0]) for name in ("the floor", "above it", "missing")]
        assert parts[0] + parts[1] == pytest.approx(loss, abs=1e-6)
        assert parts[0] + parts[2] == pytest.approx(floor, abs=1e-6)
        assert parts[0] <= floor + 1e-6 and (parts[1] == 0 or parts[2] == 0)
        assert ("lies below" in frame.reading) == (loss < floor) and number(floor) in frame.reading
        chosen = named(lines, f"ε = {drawings.EPSILONS[epsilon]}")
        assert chosen["line"]["color"] == WITH and float(
            chosen["y"][drawings.VOCABULARIES.index(classes)]
        ) == pytest.approx(floor, rel=1e-5)
        for e, name in drawings.EPSILONS.items():  # each label on its own curve, between K = 100 and 1,000
            drawn = named(lines, f"ε = {name}")["y"]
            assert places(lines)[f"ε = {name}"]["y"] == pytest.approx(float(drawn[3:5].mean()), abs=1e-5)
            assert drawn[3] == pytest.approx(smoothing.floor(100, e), abs=1e-5)
        assert places(lines)[f"K = {classes:,}"]["x"] == pytest.approx(math.log10(classes))
        assert places(bars)[f"floor {number(floor)}"]["y"] == pytest.approx(max(floor, loss), abs=1e-6)
        assert f"K = {classes:,}" in notes(lines) and f"floor {number(floor)}" in notes(bars)
        top = bars["layout"]["yaxis"]["range"][1]
        assert top >= max(floor, loss)


def test_the_floor_says_its_numbers() -> None:
    at = drawings.VOCABULARIES.index(37_000)
    assert drawings.floor_frames(0.1, 1.4)[at].reading == (
        "With 37,000 classes and ε = 0.1 the least loss is 1.38 nats, where the plain loss is 0.11. A loss of 1.4 lies 0.023 above "
        "it, and at most that can still be learned: uncertain data leave a part of it."
    )
    assert "entropy 0" in drawings.floor_frames(0.0, 1.4)[at].reading
    ten = drawings.VOCABULARIES.index(10)
    assert "To the digits given, that floor is your loss of 0.5." in drawings.floor_frames(0.1, 0.5)[ten].reading
    assert "lies below" in drawings.floor_frames(0.1, 0.4)[ten].reading
    assert "infinite gap" in drawings.floor_frames(0.0, 0.0)[at].reading


# ---------------------------------------------------------------------------------------------- trained


@pytest.mark.parametrize(
    ("noise", "n", "stop"), [("low", 8000, "loss"), ("high", 500, "end"), ("low", 500, "accuracy")]
)
def test_the_diagram_and_the_grids_show_the_cells(noise, n, stop) -> None:
    cell, found = smoothing.cell(noise, n, stop), smoothing.reliability(noise, n, stop)
    row = [(a, b) for a in ("low", "high") for b in (500, 2000, 8000)].index((noise, n))
    for e, frame in enumerate(drawings.trained_frames(noise, n, stop)):
        diagram, *grids = frame.figures
        epsilon = training.SMOOTHINGS[e]
        kept = found.size[e] >= drawings.FEWEST
        drawn = named(diagram, f"ε = {epsilon:g}" if e else "hard targets")
        assert drawn["x"].tolist() == pytest.approx(found.confidence[e][kept].tolist(), abs=1e-6)
        assert drawn["y"].tolist() == pytest.approx(found.right[e][kept].tolist(), abs=1e-6)
        assert drawn["line"]["color"] == (WITH if e else WITHOUT)
        assert named(diagram, "as sure as right")["x"].tolist() == named(diagram, "as sure as right")["y"].tolist()
        unsure, sure = (places(diagram)[said] for said in ("above the line: too unsure", "below: too sure"))
        assert unsure["y"] > unsure["x"] and sure["y"] < sure["x"]  # upwards: more right than sure
        assert titles(diagram)[1:] == ("confidence: probability of the class named", "share that is right")
        for grid, name, times in zip(grids, ("ece", "nll", "accuracy"), (1, 1, 100), strict=True):
            shown = torch.from_numpy(grid["data"][0]["z"])
            values = getattr(cell, name).mean(0)
            expected = values if name == "ece" else times * (values - values[0])
            torch.testing.assert_close(shown[row], expected.float(), atol=1e-4, rtol=1e-4)
            assert shown.shape == (6, 5)
            frame_of_the_row = grid["layout"]["shapes"][0]
            assert (frame_of_the_row["y0"] + frame_of_the_row["y1"]) / 2 == row and frame_of_the_row["line"][
                "color"
            ] == QUERY
        for which in {0, e}:
            assert f"{percent(float(cell.sure.mean(0)[which]))} sure" in frame.reading
            assert f"{percent(float(cell.accuracy.mean(0)[which]))} right" in frame.reading
            assert f"calibration error {number(float(cell.ece.mean(0)[which]), 2)}" in frame.reading
        assert frame.reading.startswith(f"{drawings.NAMED[noise]}, {n:,} examples, {drawings.WHEN[stop]}")


def test_the_page_draws_the_cell_that_its_controls_name() -> None:
    page = next(path for path in LESSONS if path.stem.endswith("label_smoothing"))

    def said(app) -> str:
        return str([head.get("readings") for head, _ in figures(app)])

    app = opened(page, look="trained")
    for key, named_so in (
        ("smooth_stop", drawings.WHEN),
        ("smooth_overlap", drawings.NAMED),
        ("smooth_examples", {n: f"{n:,} examples, stopped" for n in drawings.EXAMPLES}),
    ):
        for value, expected in reversed(named_so.items()):
            widget = next(w for w in controls(app) if w.key == key)
            label = {**drawings.STOPPED, **drawings.NOISES, **drawings.EXAMPLES}[value]
            app = checked(widget.set_value(label if label in widget.options else value).run())
            assert expected in said(app), (key, value)


def test_rows_and_columns_of_the_grids_are_named() -> None:
    _, *grids = drawings.trained_frames("low", 8000, "loss")[2].figures
    assert [bool(grid["data"][0].get("reversescale")) for grid in grids] == [False, False, True]  # one colour for worse
    for grid, digits in zip(grids[1:], (3, 1), strict=True):
        for words_, values in zip(grid["data"][0]["text"], grid["data"][0]["z"].tolist(), strict=True):
            assert words_[0] == "0" and values[0] == 0
            assert [float(w.replace("−", "-")) for w in words_] == pytest.approx(values, abs=0.51 * 10**-digits)
            assert all(w[0] in "+−" for w in words_[1:])
    for grid in grids:
        assert grid["layout"]["meta"]["rows"] == [
            "little, 500", "little, 2,000", "little, 8,000", "much, 500", "much, 2,000", "much, 8,000",
        ]  # fmt: skip
        assert grid["layout"]["meta"]["columns"] == ["0", "0.05", "0.1", "0.2", "0.3"]
    assert [titles(g)[0] for g in grids] == [
        "Calibration error", "Plain test loss, minus hard targets’", "Accuracy, minus hard targets’, points",
    ]  # fmt: skip


def test_a_training_is_drawn_over_the_shipped_one() -> None:
    shipped = training.trained("low", 2000, 1)
    begun = next(training.train("low", 2000, 1))
    for progress in (shipped, begun):
        frame = drawings.live_frame(shipped, "Little overlap, 2,000 examples, seed 1", progress)
        (figure,) = frame.figures
        go.Figure(figure)
        assert not list(faults(frame.reading)), frame.reading
        for e, epsilon in enumerate(training.SMOOTHINGS):
            now = named(figure, f"ε = {epsilon:g}" if e else "hard")
            assert now["y"].tolist() == pytest.approx(progress.plain[:, e].tolist(), rel=1e-5)
            kept = named(figure, f"shipped, ε = {epsilon:g}")
            assert (
                kept["y"].tolist() == pytest.approx(shipped.plain[:, e].tolist(), rel=1e-5) and not kept["showlegend"]
            )
    assert "those that were shipped" in frame.reading and "5 steps" in frame.reading
    off = training.Progress(*(v if k != "plain" else v + 0.2 for k, v in vars(begun).items()))
    assert "at most 0.2" in drawings.live_frame(shipped, "x", off).reading


# ---------------------------------------------------------------------------------------------- gap and features


def test_the_gap_and_the_features_are_those_of_the_run() -> None:
    frames = drawings.gap_frames(3)
    run = training.followed(3)
    assert len(frames) == len(training.TIMES)
    for i, frame in enumerate(frames):
        gap, *planes = frame.figures
        for arm, (name, colour) in enumerate((("Hard targets", WITHOUT), ("ε = 0.1", WITH))):
            line = named(gap, name)
            assert (
                line["y"].tolist() == pytest.approx(run.gap[:, arm].tolist(), rel=1e-5)
                and line["line"]["color"] == colour
            )
            assert sum(t["name"] == f"{name}, another run" for t in gap["data"]) == 4
            plane = planes[arm]
            for k in range(3):
                for which, points in (("trained on", run.seen), ("fresh", run.fresh)):
                    dots = named(plane, f"class {k + 1}, {which}" if k else which)
                    assert dots["x"].tolist() == pytest.approx(points[i, arm, k, :, 0].tolist(), rel=1e-5)
                    assert dots["y"].tolist() == pytest.approx(points[i, arm, k, :, 1].tolist(), rel=1e-5)
                    assert dots["marker"]["symbol"] == ("circle" if which == "trained on" else "circle-open")
            seen, fresh = (number(float(training.scatter(p[i, arm])), 2) for p in (run.seen, run.fresh))
            assert notes(plane) == [f"scatter {seen}, fresh {fresh}"]
            assert seen in frame.reading and fresh in frame.reading and number(float(run.gap[i, arm])) in frame.reading
            assert titles(plane)[0] == f"{name}: features, 3 classes"
        assert places(gap)[f"t = {training.TIMES[i]:,}"]["x"] == pytest.approx(math.log10(training.TIMES[i]))
        assert places(gap)["best gap 4.51"]["y"] == pytest.approx(4.5109, abs=1e-3)
        straight = gap["layout"]["shapes"]
        assert any(line["x0"] == line["x1"] == training.TIMES[i] for line in straight)
        assert any(line["y0"] == line["y1"] == pytest.approx(4.5109, abs=1e-3) for line in straight)
        assert named(gap, "Hard targets")["y"].max() < gap["layout"]["yaxis"]["range"][1]
        assert f"step {training.TIMES[i]:,} " in frame.reading
    assert INK in drawings.CLASS_TINTS


def test_a_training_that_runs_is_drawn_at_its_last_snapshot() -> None:
    steps = training.follow(0)
    progress = [next(steps) for _ in range(3)][-1]
    frame = drawings.following_frame(progress)
    assert isinstance(frame, Frame) and "step 3 " in frame.reading
    json.dumps([figure["layout"] for figure in frame.figures])
