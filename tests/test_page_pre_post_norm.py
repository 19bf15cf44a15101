"""What question 7's page makes of its experiments: every reading is its figure's own numbers, and no axis cuts them off."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from core.concepts import pre_post_norm as norms
from core.training import pre_post_norm as training
from tests.page_functions import functions_of
from ui.figures import Figure

CELLS = pytest.mark.parametrize(
    "cell", [c[1:] for c in training.CELLS if c[0] == "post"], ids=lambda c: "-".join(map(str, c))
)


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    return functions_of("07_pre_post_norm.py")


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


@pytest.mark.parametrize(("width", "seed"), [(64, 0), (32, 3), (32, 14), (128, 9999)])
def test_before_the_first_step(page: SimpleNamespace, width: int, seed: int) -> None:
    frames = page.start_frames(width, seed)
    assert len(frames) == len(norms.DEPTHS)
    for i, frame in enumerate(frames):
        assert all(inside(figure) for figure in frame.figures), norms.DEPTHS[i]
        profile, last, moved = map(curves, frame.figures)
        last = {name.partition(",")[0]: y for name, y in last.items()}
        assert len(profile["Post-Norm"]) == norms.DEPTHS[i]
        post, pre = last["Post-Norm"][i], last["Pre-Norm"][i]
        # The last point of the profile is the point of the second figure.
        assert profile["Post-Norm"][-1] == pytest.approx(post) and profile["Pre-Norm"][-1] == pytest.approx(pre)
        said = [float(n) for n in re.findall(r"gradient is ([\d.]+) in Post-Norm and ([\d.]+) in", frame.reading)[0]]
        assert said == pytest.approx([post, pre], rel=1e-3)
        first = [float(n) for n in re.findall(r"first layer's is ([\d.]+) and ([\d.]+) times", frame.reading)[0]]
        assert first == pytest.approx([profile[o][0] / profile[o][-1] for o in ("Post-Norm", "Pre-Norm")], rel=1e-3)
        (ratio,) = re.findall(r"noise is ([\d.]+) times as large", frame.reading)
        assert float(ratio) == pytest.approx(moved["Post-Norm"][i] / moved["Pre-Norm"][i], rel=1e-3)


def test_the_line_that_moves_is_the_code(page: SimpleNamespace) -> None:
    assert page.moved_line().split("\n") == ["-     return norm(x + sublayer(x))", "+     return x + sublayer(norm(x))"]


@pytest.mark.parametrize("seed", [0, 42])
def test_the_other_figures_of_the_start(page: SimpleNamespace, seed: int) -> None:
    for frame in (*page.stream_frames(64, seed), *page.final_norm_frames(32, seed), *page.profile_frames(seed)):
        assert all(inside(figure) for figure in frame.figures), frame.reading
    assert "they recover: 96 of 96 runs" in page.final_norm_frames(64, seed)[0].reading
    for frame in page.profile_frames(seed):
        post, pre = map(curves, frame.figures)
        said = re.findall(r"Post-Norm: encoder ([\d.]+), decoder ([\d.]+);", frame.reading)[0]
        tilt = [post[name][-1] / post[name][0] for name in ("encoder", "decoder on its encoder")]
        assert [float(n) for n in said] == pytest.approx(tilt, rel=1e-3)
        assert float(re.findall(r"Pre-Norm: ([\d.]+),", frame.reading)[0]) == pytest.approx(
            pre["encoder"][-1] / pre["encoder"][0], rel=1e-3
        )


def test_the_grid_counts_what_is_shipped(page: SimpleNamespace) -> None:
    (frame,) = page.grid_frames()
    assert [figure["layout"]["title"]["text"] for figure in frame.figures] == [
        "Post-Norm, no warm-up",
        "Post-Norm, warm-up",
        "Pre-Norm, no warm-up",
        "Pre-Norm, warm-up",
    ]
    for figure, (order, warmup) in zip(frame.figures, [(o, w) for o in ("post", "pre") for w in (0, 100)], strict=True):
        for d, row in zip(training.DEPTHS, figure["data"][0]["z"], strict=True):
            assert list(row) == [training.learned(order, d, r, warmup) for r in training.RATES]
    assert "Post-Norm with no warm-up: 32 of 48" in frame.reading


@CELLS
def test_every_cell_can_be_scrubbed(page: SimpleNamespace, cell: tuple) -> None:
    frames = page.scrub_frames(*cell)
    assert len(frames) == len(training.SNAPSHOTS)
    for i in (0, 5, len(frames) - 1):
        loss, layers, gradient, update = frames[i].figures
        assert all(inside(figure) for figure in (loss, layers, gradient, update))
        assert len(loss["data"]) == 2 * len(training.SEEDS)
        said, step = frames[i].reading, training.SNAPSHOTS[i]
        assert said.startswith(f"At step {step}. Post-Norm: loss ")
        assert not re.search(r"[1-9]\d{5}|\de[+-]", said), said
        for order, name in (("post", "Post-Norm"), ("pre", "Pre-Norm")):
            runs = training.trained(order, *cell)
            (times,) = re.findall(
                rf"{name}: loss [^,]*, last layer's gradient (more than a million|[\d.,]+) times", said
            )
            mean = np.mean([run.by_layer[i].numpy() for run in runs], axis=0)
            tilt = mean[-1] / mean[0]
            if times == "more than a million":
                assert tilt >= 1e6
            else:
                assert float(times.replace(",", "")) == pytest.approx(tilt, rel=0.01)


def test_before_the_button_nothing_is_called_now(page: SimpleNamespace) -> None:
    shipped = training.trained("pre", 2, 0.003, 0)[0]
    before = page.live_frame(shipped, "A run", shipped)
    assert all([t["name"] for t in f["data"]] == ["shipped"] for f in before.figures)
    assert "This is the shipped run" in before.reading and "differs" not in before.reading
    again = next(training.train("pre", 2, 0.003, 0, 0))
    live = page.live_frame(shipped, "A run", again)
    assert all([t["name"] for t in f["data"]] == ["shipped", "now"] for f in live.figures)
    assert live.reading.startswith("A run: after step 1 the loss is ") and "differs" in live.reading
