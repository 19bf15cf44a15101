"""What question 7 makes of its experiments: every reading is its figure's own numbers, and no axis cuts them off."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.experiments import pre_post_norm as norms
from core.training import pre_post_norm as training
from tests.test_readings import faults
from ui.drawings import pre_post_norm as drawings
from ui.figures import Figure, Frame

CELLS = pytest.mark.parametrize(
    "cell", [c[1:] for c in training.CELLS if c[0] == "post"], ids=lambda c: "-".join(map(str, c))
)
NUMBER = r"([\d.,]+(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)"
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def value(said: str) -> float:
    """A number as core.say writes it, read back."""
    mantissa, _, exponent = said.rstrip(".,").replace(",", "").replace("−", "-").partition("·10")
    return float(mantissa) * 10.0 ** int(exponent.translate(RAISED) or 0)


def two(expected) -> object:
    """Equal to two significant digits, as they are said."""
    return pytest.approx(expected, rel=0.051)


def limits(figure: Figure) -> tuple[float, float]:
    """The range of the vertical axis in its own units."""
    axis = figure["layout"]["yaxis"]
    low, high = axis["range"]
    return (10.0**low, 10.0**high) if axis.get("type") == "log" else (low, high)


def inside(figure: Figure) -> bool:
    low, high = limits(figure)
    return all(((t["y"] >= low * 0.999) & (t["y"] <= high)).all() for t in figure["data"])


def curves(figure: Figure) -> dict[str, np.ndarray]:
    return {t["name"].partition(",")[0] if "slope " in t["name"] else t["name"]: t["y"] for t in figure["data"]}


def mark(figure: Figure) -> str:
    return figure["layout"]["annotations"][0]["text"]


@pytest.mark.parametrize(("width", "seed"), [(64, 0), (32, 3), (32, 14), (128, 9999)])
def test_before_the_first_step(width: int, seed: int) -> None:
    frames = drawings.start_frames(width, seed)
    assert len(frames) == len(norms.DEPTHS)
    for i, frame in enumerate(frames):
        assert all(inside(figure) for figure in frame.figures), norms.DEPTHS[i]
        profile, last, moved = map(curves, frame.figures)
        assert len(profile["Post-Norm"]) == norms.DEPTHS[i]
        assert [mark(figure) for figure in frame.figures[1:]] == [f"L = {norms.DEPTHS[i]}"] * 2
        post, pre = last["Post-Norm"][i], last["Pre-Norm"][i]
        # The last point of the profile is the point of the second figure.
        assert profile["Post-Norm"][-1] == pytest.approx(post) and profile["Pre-Norm"][-1] == pytest.approx(pre)
        said = frame.reading
        (found,) = re.findall(rf"gradient is {NUMBER} in Post-Norm and {NUMBER} in Pre-Norm", said)
        assert list(map(value, found)) == two([post, pre])
        (found,) = re.findall(rf"first layer's {NUMBER} and {NUMBER} times that", said)
        assert list(map(value, found)) == two([profile[o][0] / profile[o][-1] for o in ("Post-Norm", "Pre-Norm")])
        (found,) = re.findall(rf"output is {NUMBER} times Pre-Norm's", said)
        assert value(found) == two(moved["Post-Norm"][i] / moved["Pre-Norm"][i])
        powers = re.findall(r"to the power ([+−][\d.]+) and ([+−][\d.]+)\.$", said)[0]
        slopes = [float(norms.slope(norms.DEPTHS, torch.tensor(last[o]))) for o in ("Post-Norm", "Pre-Norm")]
        assert [value(p.lstrip("+")) for p in powers] == two(slopes)
        # The legend says the same.
        names = [t["name"] for t in frame.figures[1]["data"]]
        assert [n.rpartition(" ")[2] for n in names[:2]] == list(powers)
        # The two dotted lines are the theory's powers through the first point.
        for order, line, power in (("Post-Norm", 2, 0.0), ("Pre-Norm", 3, -0.5)):
            ours = last[order][0] * (np.array(norms.DEPTHS) / 2.0) ** power
            assert frame.figures[1]["data"][line]["y"] == pytest.approx(ours, rel=1e-5)


def test_the_sweep_shows_the_draws_of_its_seed_and_width() -> None:
    one, other, narrow = (drawings.start_frames(*a)[3].reading for a in ((64, 0), (64, 1), (32, 0)))
    assert len({one, other, narrow}) == 3


def test_the_line_that_moves_is_the_code() -> None:
    assert drawings.moved_line().split("\n") == [
        "-     return norm(x + sublayer(x))",
        "+     return x + sublayer(norm(x))",
    ]


@pytest.mark.parametrize(("width", "seed"), [(64, 0), (32, 42)])
def test_the_stream(width: int, seed: int) -> None:
    (frame,) = drawings.stream_frames(width, seed)
    assert all(inside(figure) for figure in frame.figures)
    size, change = map(curves, frame.figures)
    assert [len(y) for y in size.values()] == [48, 48] == [len(y) for y in change.values()]
    said = [value(n) for n in re.findall(r"\d[\d.]*", frame.reading)]
    per_block = (size["Pre-Norm"][-1] - float(norms.growth("pre", width, seed).size[0])) / 48
    expected = [size["Post-Norm"][-1], size["Pre-Norm"][-1], per_block, *change["Pre-Norm"][[0, -1]]]
    assert said == two([48, *expected, change["Post-Norm"][-1]])


@pytest.mark.parametrize(("width", "seed"), [(64, 0), (32, 42)])
def test_the_norm_at_the_end(width: int, seed: int) -> None:
    for i, frame in enumerate(drawings.final_norm_frames(width, seed)):
        assert all(inside(figure) for figure in frame.figures)
        assert [mark(figure) for figure in frame.figures] == [f"L = {norms.DEPTHS[i]}"] * 2
        (spreads,) = re.findall(rf"deviation of {NUMBER} without the final norm and {NUMBER} with it", frame.reading)
        (losses,) = re.findall(rf"begins at {NUMBER} and {NUMBER} nats", frame.reading)
        for said, figure in zip((spreads, losses), frame.figures, strict=True):
            shown = curves(figure)
            assert list(map(value, said)) == two([shown[n][i] for n in ("Pre-Norm, no final norm", "Pre-Norm")])
        assert "costs 4.6." in frame.reading
        assert frame.reading.endswith("all 96 runs without the final norm learned.")


def test_not_all_runs_without_the_final_norm_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "learned", lambda order, depth, rate, warmup: 3 if depth == 12 else 4)
    assert drawings.without_final_norm().endswith("90 of 96 runs without the final norm learned.")


@pytest.mark.parametrize("seed", [0, 42])
def test_encoders_and_decoders(seed: int) -> None:
    for depth, frame in zip(drawings.STACKS, drawings.profile_frames(seed), strict=True):
        assert all(inside(figure) for figure in frame.figures)
        names = [figure["layout"]["title"]["text"].partition(":")[0] for figure in frame.figures]
        assert names == ["Post-Norm", "Pre-Norm"]
        post, pre = (
            re.findall(rf"Post-Norm: encoder {NUMBER}, decoder {NUMBER}, and {NUMBER} if it looks", frame.reading)[0],
            re.findall(rf"Pre-Norm: {NUMBER}, {NUMBER} and {NUMBER}\. Two", frame.reading)[0],
        )
        for said, figure in zip((post, pre), frame.figures, strict=True):
            tilts = [y[-1] / y[0] for y in curves(figure).values()]
            assert list(map(value, said)) == two(tilts) and len(figure["data"][0]["y"]) == depth
        alike = re.findall(rf"cosine of {NUMBER} in Post-Norm and {NUMBER} in Pre-Norm", frame.reading)[0]
        expected = [norms.profile(o, "decoder", depth, seed).alike for o in norms.ORDERS]
        assert list(map(value, alike)) == pytest.approx(expected, rel=0.006)


def test_the_grid_counts_what_is_shipped() -> None:
    (frame,) = drawings.grid_frames()
    assert [figure["layout"]["title"]["text"] for figure in frame.figures] == [
        "Post-Norm, no warm-up",
        "Post-Norm, warm-up",
        "Pre-Norm, no warm-up",
        "Pre-Norm, warm-up",
    ]
    for figure, (order, warmup) in zip(frame.figures, [(o, w) for o in norms.ORDERS for w in (0, 100)], strict=True):
        counts = [[training.learned(order, d, r, warmup) for r in training.RATES] for d in training.DEPTHS]
        assert figure["data"][0]["z"].tolist() == counts
        total = sum(map(sum, counts))
        name = f"{drawings.NAMES[order]} with {'100 steps of' if warmup else 'no'} warm-up"
        assert f"{name}: {total} of 48" in frame.reading


@CELLS
def test_every_cell_can_be_scrubbed(cell: tuple) -> None:
    frames = drawings.scrub_frames(*cell)
    assert len(frames) == len(training.SNAPSHOTS)
    for i in (0, 5, len(frames) - 1):
        loss, layers, gradient, update = frames[i].figures
        assert all(inside(figure) for figure in (loss, layers, gradient, update))
        assert [len(figure["data"]) for figure in (loss, gradient, update)] == [2 * len(training.SEEDS)] * 3
        said, step = frames[i].reading, training.SNAPSHOTS[i]
        assert said.startswith(f"At step {step}. Post-Norm: loss ") and not list(faults(said)), said
        assert [mark(figure) for figure in (loss, gradient, update)] == [f"step {step}"] * 3
        for order, name in (("post", "Post-Norm"), ("pre", "Pre-Norm")):
            runs = training.trained(order, *cell)
            drawn = [t["y"] for t in loss["data"] if t["name"] == name]
            assert np.array(drawn) == pytest.approx(np.array([run.loss.numpy() for run in runs]))
            losses, times, moved = re.findall(
                rf"{name}: loss ([^,]*), last layer's gradient (more than a million|[\d.,·⁻⁰¹²³⁴-⁹]+) times "
                r"the first one's, a step of ([\d.]+) % of",
                said.replace("\u00a0", " "),
            )[0]
            ends = [run.loss[i].item() for run in runs]
            found = [value(n) for n in re.findall(NUMBER, losses)]
            assert found == pytest.approx([min(ends), max(ends)] if " to " in losses else [ends[0]], rel=0.006)
            y = next(t["y"] for t in layers["data"] if t["name"] == name)
            mean = np.mean([run.by_layer[i].numpy() for run in runs], axis=0)
            assert y == pytest.approx(mean, rel=1e-5)
            tilt = y[-1] / y[0]
            assert tilt >= 1e6 if times == "more than a million" else value(times) == two(tilt)
            assert value(moved) == two(100 * np.mean([run.update[i].item() for run in runs]))


def test_a_first_layer_without_a_gradient_gets_a_sentence_of_its_own() -> None:
    runs = {order: training.trained(order, 2, 0.003, 0) for order in norms.ORDERS}
    nothing = torch.tensor([[0.0, 0.5]])
    said = drawings.scrub_reading(0, runs, {"post": nothing, "pre": nothing + 0.5})
    assert "last layer's gradient 0.5, the first one's 0, a step" in said and not list(faults(said)), said


# ------------------------------------------------------------------------------------------------ a run of now

SHIPPED = training.trained("pre", 2, 0.003, 0)[0]


def so_far(losses: torch.Tensor) -> training.Progress:
    """A run whose losses are these; everything else is the shipped run's."""
    n = len(losses)
    p = SHIPPED
    return training.Progress(p.steps, p.at[:n], losses, p.gradient[:n], p.update[:n], p.by_layer[:n])


def live(losses: torch.Tensor, shipped: training.Progress = SHIPPED) -> Frame:
    frame = drawings.live_frame(shipped, "Pre-Norm, 2 layers", so_far(losses))
    assert not list(faults(frame.reading)), frame.reading
    assert all(inside(figure) for figure in frame.figures)
    assert all([t["name"] for t in f["data"]] == ["shipped", "now"] for f in frame.figures)
    return frame


def test_before_the_button_nothing_is_called_now() -> None:
    before = drawings.live_frame(SHIPPED, "A run", SHIPPED)
    assert all([t["name"] for t in f["data"]] == ["shipped"] for f in before.figures)
    assert "This is the shipped run" in before.reading and "So far" not in before.reading
    assert "same kind" in before.reading and "another kind" in before.reading
    assert not list(faults(before.reading)), before.reading


def test_a_run_that_has_just_begun() -> None:
    again = next(training.train("pre", 2, 0.003, 0, 0))
    frame = drawings.live_frame(SHIPPED, "A run", again)
    assert frame.reading.startswith("A run: after step 1 the loss is ")
    assert frame.reading.endswith("So far it is the shipped curve, in all three digits that are shipped.")
    assert [len(t["y"]) for t in frame.figures[0]["data"]] == [len(training.SNAPSHOTS), 1]
    assert not list(faults(frame.reading)), frame.reading


def test_the_same_curve_to_its_end() -> None:
    said = live(SHIPPED.loss.clone() * 1.0001).reading
    assert "It is the shipped curve" in said and said.endswith("The outcome is the same: both have learned.")


def test_a_curve_that_parts_late_and_one_that_parts_at_once() -> None:
    late, early = SHIPPED.loss.clone(), SHIPPED.loss.clone()
    late[9:20] += 0.1234
    early[1] += 0.5
    said = live(late[:15]).reading
    assert "From step 30 on it leaves the shipped curve, by up to 0.12 nats" in said, said
    assert "another kind of processor" in said and "outcome" not in said
    said = live(early[:3]).reading
    assert "From step 2 on" in said and "rounding alone does not explain" in said, said
    assert live(late).reading.endswith("The outcome is the same: both have learned.")


@pytest.mark.parametrize("ours", [True, False])
def test_another_outcome_is_called_one(ours: bool) -> None:
    learned, failed = SHIPPED.loss.clone(), SHIPPED.loss.clone()
    failed[-1] = 2.5
    shipped = replace(SHIPPED, loss=failed if ours else learned)
    said = live(learned if ours else failed, shipped).reading
    assert said.endswith(
        "here the run has learned, the shipped one has not."
        if ours
        else "here the run has not learned, the shipped one has."
    )
    assert "The outcome is another one" in said


def test_neither_has_learned() -> None:
    failed = SHIPPED.loss.clone()
    failed[-1] = 2.5
    assert live(failed, replace(SHIPPED, loss=failed)).reading.endswith("The outcome is the same: neither has learned.")


def test_rounding_to_three_digits_is_no_difference() -> None:
    shipped = so_far(torch.tensor([2.9, 0.001, 0.0999, 0.0]))
    ours = so_far(torch.tensor([2.9049, 0.0010049, 0.09995, 0.0]))
    assert drawings.apart(shipped, ours).tolist() == [False] * 4
    ours = so_far(torch.tensor([2.92, 0.00102, 0.1002]))
    assert drawings.apart(shipped, ours).tolist() == [True] * 3


def test_a_run_says_which_it_is() -> None:
    said = drawings.run_label("post", 12, 0.003, 100, 2)
    assert said == "Post-Norm, 12 layers, learning rate 0.003, 100 steps of warm-up, seed 2"
    assert drawings.run_label("pre", 2, 0.01, 0, 0) == "Pre-Norm, 2 layers, learning rate 0.01, no warm-up, seed 0"
