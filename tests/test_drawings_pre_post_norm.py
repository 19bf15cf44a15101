"""What question 7 makes of its experiments: every reading is its figure's own numbers, and no axis cuts them off."""

import itertools
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
from ui.palette import WITH, WITHOUT, faded

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
    return {t["name"]: t["y"] for t in figure["data"]}


def mark(figure: Figure) -> str:
    return figure["layout"]["annotations"][0]["text"]


# ------------------------------------------------------------------------------------------------ the block


def boxes(figure: Figure, word: str) -> list[tuple[float, float]]:
    """The middles of the boxes with this note."""
    return [
        (float(t["x"][:2].mean()), float(t["y"][1:3].mean()))
        for t in figure["data"]
        if word in t.get("text", "") and t["mode"] == "lines" and len(t["x"]) == 5
    ]


def words(figure: Figure) -> list[str]:
    return [t["text"][0] for t in figure["data"] if t["mode"] == "text"]


@pytest.mark.parametrize(("depth", "width", "seed"), [(24, 64, 0), (2, 32, 3), (6, 128, 9999), (12, 32, 14)])
def test_the_block_and_its_gradients(depth: int, width: int, seed: int) -> None:
    begin = norms.start(depth, width, seed)
    for order, other, frame in zip(
        norms.ORDERS, reversed(norms.ORDERS), drawings.block_frames(depth, width, seed), strict=True
    ):
        block, gradient, nudged = frame.figures
        size = begin[order].size[-1].item()
        (said,) = [w for w in words(block) if w.startswith("‖x‖²")]
        assert value(re.findall(NUMBER, said.removeprefix("‖x‖²"))[0]) == two(size) and f"{depth} ×" in words(block)
        shown = curves(gradient)
        assert inside(gradient) and gradient["layout"]["yaxis"]["range"][0] == 0
        for o in norms.ORDERS:
            assert shown[drawings.NAMES[o]] == pytest.approx(begin[o].gradient.numpy(), rel=1e-5)
        thick = {t["name"]: t["line"]["width"] for t in gradient["data"]}
        assert thick[drawings.NAMES[order]] > thick[drawings.NAMES[other]]
        colours = {t["name"]: t["line"]["color"] for t in gradient["data"]}
        assert colours[drawings.NAMES[order]] == {"post": WITHOUT, "pre": WITH}[order]
        assert colours[drawings.NAMES[other]] == faded({"post": WITHOUT, "pre": WITH}[other], 0.75)
        assert all(t["x"].tolist() == list(range(1, depth + 1)) for t in gradient["data"]), "layer 1 is the first"
        notes = gradient["layout"]["annotations"]
        assert [note["x"] for note in notes] == [1, depth]
        assert [value(note["text"]) for note in notes] == two(shown[drawings.NAMES[order]][[0, -1]])
        assert [note["y"] for note in notes] == pytest.approx(shown[drawings.NAMES[order]][[0, -1]])
        found = re.findall(
            rf"= {NUMBER} d.* the last layer’s gradient is {NUMBER} \({drawings.NAMES[other]}: {NUMBER}\)\. .* moves {NUMBER} times",
            frame.reading,
        )
        (mark_at,) = nudged["layout"]["shapes"]
        assert mark_at["x0"] == mark_at["x1"] == depth
        for o, line in curves(nudged).items():
            name = {"Post-Norm": "post", "Pre-Norm": "pre"}[o]
            assert line == pytest.approx(norms.typical(norms.amplification(name)).numpy(), rel=1e-5)
        moved = {o: norms.typical(norms.amplification(o))[norms.POOLED_DEPTHS.index(depth)] for o in norms.ORDERS}
        ends = (shown[drawings.NAMES[o]][-1] for o in (order, other))
        assert list(map(value, found[0])) == two([size, *ends, float(moved["post"] / moved["pre"])])


def test_the_norm_slides() -> None:
    """The same parts in both frames; in each the norm stands where the other order's dashed place is in the other."""
    post, pre = (frame.figures[0] for frame in drawings.block_frames(2, 32, 0))
    kinds = [[(t["mode"], len(t["x"])) for t in figure["data"]] for figure in (post, pre)]
    assert kinds[0] == kinds[1] and post["layout"]["transition"]["duration"] > 0
    on_path, on_branch = (
        boxes(figure, f"{name}: the norm stands") for figure, name in ((post, "Post-Norm"), (pre, "Pre-Norm"))
    )
    assert on_path == boxes(pre, "Post-Norm: the norm stands") and on_branch == boxes(post, "Pre-Norm: the norm stands")
    assert (
        len(on_path) == 2
        and {x for x, _ in on_path} == {drawings.PATH}
        and {x for x, _ in on_branch} == {drawings.BRANCH}
    )
    branches = boxes(pre, "the branch F")
    assert all(norm[1] < branch[1] for norm, branch in zip(on_branch, branches, strict=True)), "before its sublayer"
    joins = [t["y"][0] for t in post["data"] if t.get("text") == ["⊕"]]
    ends = [t["y"][-1] for t in post["data"] if len(t["x"]) == 3 and t["x"][-1] == drawings.PATH + 3]
    assert joins == ends, "where a branch comes back"
    assert all(norm[1] > join for norm, join in zip(on_path, joins, strict=True)), "after the addition"
    high = post["layout"]["yaxis"]["range"][1]
    (last_pre,), (last_post,) = (boxes(figure, "one more norm") for figure in (pre, post))
    assert on_path[-1][1] < last_pre[1] < high < last_post[1], "only Pre-Norm has a norm at the end"


def test_no_line_runs_through_a_norm() -> None:
    for frame in drawings.block_frames(2, 32, 0):
        figure = frame.figures[0]
        filled = [t for t in figure["data"] if t.get("fill") == "toself"]
        for line in (t for t in figure["data"] if t.get("fill") is None and len(t["x"]) in (2, 3)):
            for box in filled:
                x, y = (box["x"].min(), box["x"].max()), (box["y"].min(), box["y"].max())
                for (x0, y0), (x1, y1) in itertools.pairwise(zip(line["x"], line["y"], strict=True)):
                    across = max(x0, x1) > x[0] + 0.01 and min(x0, x1) < x[1] - 0.01
                    assert not (across and max(y0, y1) > y[0] + 0.01 and min(y0, y1) < y[1] - 0.01), (line, box)


def test_the_hero_shows_the_draws_of_its_controls() -> None:
    said = {drawings.block_frames(*a)[1].reading for a in ((6, 64, 0), (6, 64, 1), (6, 32, 0), (2, 64, 0))}
    assert len(said) == 4


# ------------------------------------------------------------------------------------------------ stream and nudge


def said_power(text: str) -> float:
    return value(text.lstrip("+"))


@pytest.mark.parametrize(("width", "seed"), [(64, 0), (32, 42)])
def test_the_stream(width: int, seed: int) -> None:
    (frame,) = drawings.stream_frames(width, seed)
    assert all(inside(figure) for figure in frame.figures)
    size, last = map(curves, frame.figures)
    for order, name in drawings.NAMES.items():
        assert size[name] == pytest.approx(norms.growth(order, width, seed).size[1:].numpy(), rel=1e-5)
        each = norms.last_gradients(order, width, seed, norms.draws(width), norms.DEPTHS)
        assert last[name] == pytest.approx(each.mean(-1).numpy(), rel=1e-5)
    assert last["falling like 1/√L"] == pytest.approx(
        last["Pre-Norm"][0] * (2 / np.array(norms.DEPTHS)) ** 0.5, rel=1e-5
    )
    sizes = re.findall(rf"stream has ‖x‖² = {NUMBER} d, Post-Norm’s {NUMBER} d", frame.reading)[0]
    assert list(map(value, sizes)) == two([size["Pre-Norm"][-1], size["Post-Norm"][-1]])
    powers = re.findall(r"to the power ([+−][\d.]+) in Pre-Norm and ([+−][\d.]+) in Post-Norm\.$", frame.reading)[0]
    slopes = [float(norms.slope(norms.DEPTHS, torch.tensor(last[n]))) for n in ("Pre-Norm", "Post-Norm")]
    assert [said_power(p) for p in powers] == two(slopes)
    assert "After 48 layers" in frame.reading and "From 2 to 48 layers" in frame.reading


@pytest.mark.parametrize("seed", [0, 42])
def test_the_nudge(seed: int) -> None:
    (frame,) = drawings.nudge_frames(seed)
    (figure,) = frame.figures
    moved = curves(figure)
    assert inside(figure)
    for order, name in drawings.NAMES.items():
        each = norms.amplification(order, seed=seed)
        assert moved[name] == pytest.approx(norms.typical(each).numpy(), rel=1e-5)
    assert figure["layout"]["xaxis"].get("type") != "log", "like L is a straight line"
    straight, bent = moved["growing like L"], moved["growing like log L"]
    assert bent[[0, -1]] == pytest.approx(moved["Pre-Norm"][[0, -1]], rel=1e-5)
    log = np.log(norms.POOLED_DEPTHS)
    assert np.diff(bent) / np.diff(log) == pytest.approx(
        np.full(len(log) - 1, (bent[-1] - bent[0]) / (log[-1] - log[0])), rel=1e-3
    )
    assert all(t["x"].tolist() == list(norms.POOLED_DEPTHS) for t in figure["data"])
    assert straight == pytest.approx(moved["Post-Norm"][0] * np.array(norms.POOLED_DEPTHS) / 2, rel=1e-5)
    (found,) = re.findall(rf"grows {NUMBER}-fold in Post-Norm and {NUMBER}-fold in Pre", frame.reading)
    assert list(map(value, found)) == two([moved[n][-1] / moved[n][0] for n in ("Post-Norm", "Pre-Norm")])
    (found,) = re.findall(rf"Post-Norm’s is {NUMBER} times Pre-Norm’s", frame.reading)
    assert value(found) == two(moved["Post-Norm"][-1] / moved["Pre-Norm"][-1])


# ------------------------------------------------------------------------------------------------ the shipped training


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
        assert (figure["data"][0]["zmin"], figure["data"][0]["zmax"]) == (0, len(training.SEEDS)), "full is dark"
        axes = figure["layout"]
        assert axes["yaxis"]["ticktext"] == [str(d) for d in training.DEPTHS], "as the rows of z"
        assert axes["xaxis"]["ticktext"] == [f"{r:g}" for r in training.RATES]
        assert axes["yaxis"]["tickvals"] == list(range(4)) and axes["xaxis"]["tickvals"] == list(range(3))
    lost = {
        w: [4 - training.learned("post", d, r, w) for d in training.DEPTHS for r in training.RATES] for w in (0, 100)
    }
    assert all(training.learned("pre", d, r, w) == 4 for d in training.DEPTHS for r in training.RATES for w in (0, 100))
    assert lost[100] == [0] * 11 + [4]
    assert frame.reading == (
        f"Of 96 Pre-Norm runs 96 learn. Post-Norm loses {sum(lost[0])} of 48 without a warm-up; with one it loses 4, at "
        "12 layers and 0.01."
    )


@CELLS
def test_every_cell_can_be_scrubbed(cell: tuple) -> None:
    frames = drawings.step_frames(*cell)
    assert len(frames) == len(training.SNAPSHOTS)
    for i in (0, 6, len(frames) - 1):
        layers, loss = frames[i].figures
        assert inside(layers) and inside(loss) and len(loss["data"]) == 2 * len(training.SEEDS)
        said, step = frames[i].reading, training.SNAPSHOTS[i]
        assert said.startswith(f"At step {step} the last layer’s gradient is ") and not list(faults(said)), said
        assert all(t["x"].tolist() == list(training.SNAPSHOTS) for t in loss["data"])
        assert all(t["x"].tolist() == list(range(1, cell[0] + 1)) for t in layers["data"])
        assert "about more" not in said and not re.search(r"(?<![\d.,])1 times", said), said
        at_step, guessing, learned = loss["layout"]["shapes"]
        assert at_step["x0"] == at_step["x1"] == step
        assert (guessing["y0"], learned["y0"]) == (training.NOTHING, training.LEARNED)
        assert mark(loss) == f"step {step}" and f"at step {step}," in layers["layout"]["title"]["text"]
        shown, _, costs = said.partition(". The loss is ")
        for order, name in drawings.NAMES.items():
            runs = training.trained(order, *cell)
            for figure, expected in ((loss, [run.loss for run in runs]), (layers, [run.by_layer[i] for run in runs])):
                drawn = [t["y"] for t in figure["data"] if t["name"] == name]
                assert np.array(drawn) == pytest.approx(torch.stack(expected).numpy(), rel=1e-5)
            tilts = [float(run.by_layer[i, -1] / run.by_layer[i, 0]) for run in runs]
            assert all(0 < tilt < np.inf for tilt in tilts)
            ends = [run.loss[i].item() for run in runs]
            said_of = (
                rf"(?:^|is |and )((?:about )?(?:more than a million|{NUMBER})(?: to (?:more than a million|{NUMBER}))?)"
            )
            for text, each, what in ((shown, tilts, " times the first one’s"), (costs, ends, "")):
                (found,) = re.findall(rf"{said_of}{what} in {name}", text)
                numbers = [
                    1e6 if n == "more than a million" else value(n)
                    for n in re.findall(rf"more than a million|{NUMBER.replace('(', '(?:', 1)}", found[0])
                ]
                low, high = (min(tilt, 1e6) for tilt in (min(each), max(each)))
                assert numbers == two([low, high] if len(numbers) == 2 else [(low + high) / 2]), said


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
