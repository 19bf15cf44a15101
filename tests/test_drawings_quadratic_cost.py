"""Question 1's frames and readings: areas and lines are the counted FLOPs, and sentences are true in every state."""

import math
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import quadratic_cost as cost
from core.experiments.quadratic_cost import BLOCKS, LENGTHS, MODELS, TOKENS, Timings
from core.presets import CONTEXTS
from tests.test_pages import figures, opened
from tests.test_readings import faults
from ui.drawings import quadratic_cost as drawings
from ui.palette import OCHRE, ROSE, WITH, WITHOUT


def words(reading: str) -> str:
    return reading.replace("\u00a0", " ")


def area(trace: dict) -> float:
    """Of all closed outlines of a trace, by the shoelace formula."""
    x, y = (np.append(np.asarray(trace[axis], dtype=np.float64), np.nan) for axis in "xy")
    ends, start, total = np.flatnonzero(np.isnan(x)), 0, 0.0
    for end in ends:
        a, b = x[start:end], y[start:end]
        total += abs(float(np.sum(a[:-1] * b[1:] - a[1:] * b[:-1]))) / 2
        start = end + 1
    return total


# ---------------------------------------------------------------------------------------------- one layer


@pytest.mark.parametrize(("d_model", "n_heads"), [(512, 1), (1024, 4), (16_384, 16)])
def test_areas_are_flops(d_model: int, n_heads: int) -> None:
    for n, frame in zip(LENGTHS, drawings.layer_frames(d_model, n_heads), strict=True):
        picture, lines = frame.figures
        traces = {t["name"]: t for t in picture["data"]}
        weights = sum(area(traces[name]) for name in ("W_Q", "W_K", "W_V", "W_O", "W_up", "W_down"))
        made = cost.work(n, d_model)
        assert weights == pytest.approx(12, rel=1e-5)
        per_token = 2 * d_model**2  # of one unit of area, the same at every length
        assert area(traces["K, V"]) * per_token == pytest.approx(4 * n * d_model, rel=1e-3)
        assert weights * per_token == pytest.approx(made.weights / n, rel=1e-5)
        assert np.isnan(traces["K, V"]["x"]).sum() == n_heads - 1, "a square for every head"
        assert area(traces["N = 6 d"]) == pytest.approx(12, rel=1e-5)
        right, top = (max(float(np.nanmax(t[axis])) for t in picture["data"]) for axis in "xy")
        assert right <= picture["layout"]["xaxis"]["range"][1] and top <= picture["layout"]["yaxis"]["range"][1]
        assert "One token’s" in picture["layout"]["title"]["text"]
        drawn = (("weights: 24 N d²", OCHRE, (24, 1, 2)), ("scores and sums: 4 N² d", WITH, (4, 2, 1)))
        for trace, (name, colour, (factor, p, q)) in zip(lines["data"], drawn, strict=True):
            assert (trace["name"], trace["line"]["color"]) == (name, colour)
            expected = [factor * float(m) ** p * float(d_model) ** q for m in LENGTHS]
            np.testing.assert_allclose(trace["y"], expected, rtol=1e-6)
        assert [s["x0"] for s in lines["layout"]["shapes"]] == [n, 6 * d_model]


def test_squares_do_not_overlap_and_stand_beside_the_weights() -> None:
    picture = drawings.layer_frames(512, 16)[LENGTHS.index(4096)].figures[0]
    square = next(t for t in picture["data"] if t["name"] == "K, V")
    corners = {
        (round(float(x), 4), round(float(y), 4)) for x, y in zip(square["x"][::6], square["y"][::6], strict=True)
    }
    side = float(square["x"][1] - square["x"][0])
    assert len(corners) == 16 and min(x for x, _ in corners) > 4
    assert {round((x - 4.4) / side) for x, _ in corners} == {round(y / side) for _, y in corners} == {0, 1, 2, 3}


def test_the_reading_says_the_share_and_what_doubling_does() -> None:
    frames = dict(zip(LENGTHS, drawings.layer_frames(512, 1), strict=True))
    assert words(frames[1024].reading) == (
        "At N = 1,024 and d = 512, 25 % of the layer’s FLOPs are quadratic in N: N tokens meet N keys and values. Doubling N "
        "multiplies them by 4, the rest by 2, and the layer by 2.5."
    )
    assert words(frames[3072].reading).startswith("At N = 3,072 = 6 d and d = 512, exactly half, 50 % of")
    assert words(frames[3072].reading).endswith("the layer by 3.")
    notes = [[n["text"] for n in frames[n].figures[0]["layout"]["annotations"]] for n in (1024, 131_072)]
    for said in (
        "weights 6.29 MFLOPs × N = 6.44 GFLOPs",
        "K and V 2.10 MFLOPs × N = 2.15 GFLOPs",
        "h N² scores in 16 bits, if stored: 2.10 MB",
    ):
        assert said in words(" | ".join(notes[0]))
    assert "N = 6 d: half the work" in notes[0] and "N = 6 d: half the work" not in notes[1]


def test_heads_multiply_what_is_stored_and_nothing_else() -> None:
    one, many = (drawings.layer_frames(1024, h)[LENGTHS.index(2048)] for h in (1, 16))
    assert one.reading == many.reading.replace(", in 16 heads as in one", "") != many.reading
    stored = [
        next(a["text"] for a in f.figures[0]["layout"]["annotations"] if "stored" in a["text"]) for f in (one, many)
    ]
    assert words(stored[0]).endswith("8.39 MB") and words(stored[1]).endswith("134 MB")
    tables = [f.figures[0]["layout"]["meta"]["table"]["rows"] for f in (one, many)]
    assert tables[0] == tables[1] and sum(row[1] for row in tables[0]) == cost.work(2048, 1024).total


# ---------------------------------------------------------------------------------------------- block by block


@pytest.mark.parametrize("rescale", [True, False])
def test_blocks_are_drawn_and_read(rescale: bool) -> None:
    off = {p: cost.blockwise_errors(3, rescale, p) for p in ("float64", "float32")}  # type: ignore[arg-type]
    for i, (block, frame) in enumerate(zip(BLOCKS, drawings.block_frames(rescale, 3), strict=True)):
        square, errors = frame.figures
        assert area(square["data"][0]) == block * TOKENS and area(square["data"][1]) == TOKENS**2
        assert float(square["data"][0]["x"].max()) <= TOKENS
        for trace, values in zip(errors["data"], off.values(), strict=True):
            np.testing.assert_allclose(trace["y"], values.numpy(), rtol=1e-6)
            assert trace["line"]["color"] == (WITH if rescale else WITHOUT)
        assert errors["layout"]["shapes"][0]["x0"] == block
        last = block == TOKENS
        assert ("bug" in frame.reading) == (not rescale and not last) and (": rounding." in frame.reading) == (
            rescale and not last
        )
        assert last or f"{block * TOKENS:,} scores exist at once, of 65,536" in frame.reading
        assert ("forgetting" in frame.reading) == (last and not rescale), i


def test_saved_bytes_are_read() -> None:
    (frame,) = drawings.saved_frames()
    assert words(frame.reading) == (
        "For 2,048 tokens autograd keeps 18.4 MB of plain attention and 2.11 MB of the fused. The last doubling of N multiplied "
        "the first by 3.68, the second by 2."
    )
    for trace, way, colour in zip(frame.figures[0]["data"], ("plain", "fused"), (WITHOUT, WITH), strict=True):
        assert trace["name"].startswith(way) and trace["line"]["color"] == colour
        kept = [cost.saved_for_backward(way, n) for n in cost.SAVED]  # type: ignore[arg-type]
        np.testing.assert_allclose(trace["y"], kept, rtol=1e-6)


# ---------------------------------------------------------------------------------------------- on the clock


def clock(powers: tuple[float, float, float] = (2, 1.9, 1), crooked: float = 1.0) -> Timings:
    lengths = (512, 1024, 2048)
    n = torch.tensor(lengths).double()
    best = torch.stack([n**power for power in powers]) * 1e-9 * torch.tensor([1.0, crooked, 1.0])
    return Timings(lengths, torch.stack([best, 1.2 * best, 1.2 * best], dim=-1), 8)


def test_the_clock_is_read() -> None:
    frame = drawings.clock_frame(clock(crooked=1.1))
    (figure,) = frame.figures
    go.Figure(figure)
    assert [t["line"]["color"] for t in figure["data"]] == [WITHOUT, WITH, OCHRE]
    np.testing.assert_allclose(figure["data"][2]["y"], [512e-6, 1024e-6, 2048e-6], rtol=0.2)
    assert words(frame.reading) == (
        "Time grew like N to the power 2 ± 0.08 in plain attention, 1.9 ± 0.08 in fused attention and 1 ± 0.08 in the "
        "feed-forward layer (± the standard error of the fit). The work’s powers are 2, 2 and 1: costs that grow more slowly "
        "than the work make a slope smaller, and noise moves it either way."
    )
    assert "shortest of 3 runs" in figure["layout"]["title"]["text"]


def test_the_clock_names_no_cause_that_was_not_measured() -> None:
    steeper = drawings.clock_frame(clock((2.1, 2.05, 1.1))).reading
    assert "2.1 ± under 0.01" in words(steeper) or "2.1 ± 0" in words(steeper)
    assert "below" not in steeper and not list(faults(steeper))
    spiked = drawings.clock_frame(clock(crooked=4.0)).reading
    assert spiked.endswith("That is too noisy to tell: measure again.") and not list(faults(spiked))


# ---------------------------------------------------------------------------------------------- published models


def test_models_are_drawn_at_their_own_length() -> None:
    for name, frame in zip(MODELS, drawings.length_frames(), strict=True):
        lines, bars = frame.figures
        assert [t["line"]["color"] for t in lines["data"]] == [OCHRE, ROSE, WITHOUT]
        assert lines["layout"]["shapes"][0]["x0"] == CONTEXTS[name].tokens
        s = cost.sizes(name)
        expected = {
            "weights": torch.full_like(s.cache, s.weights),
            "keys and values": s.cache,
            "one layer’s scores, if stored": s.scores,
        }
        assert [t["name"] for t in lines["data"]] == list(expected)
        for trace in lines["data"]:
            np.testing.assert_allclose(trace["y"], expected[trace["name"]], rtol=1e-6)
        mine, others = (np.asarray(t["y"]) for t in bars["data"])
        assert mine[MODELS.index(name)] == CONTEXTS[name].tokens and np.isnan(mine).sum() == len(MODELS) - 1
        assert np.isnan(others[MODELS.index(name)]) and np.isnan(others).sum() == 1
        assert ("learned positions end" in frame.reading) == name.startswith("GPT")
    assert words(drawings.length_frames()[MODELS.index("Llama 2 7B")].reading).endswith(
        "Such a text takes 2.15 GB of keys and values beside 13.5 GB of weights; one layer’s scores, if stored, 1.07 GB."
    )


# ---------------------------------------------------------------------------------------------- writing


def test_writing_is_drawn_as_counted() -> None:
    frames = drawings.writing_frames()
    for n, frame in zip(drawings.WRITTEN, frames, strict=True):
        without, with_cache, totals = frame.figures
        for figure, cached in ((without, False), (with_cache, True)):
            z = np.asarray(figure["data"][0]["z"])
            times = cost.write(n, cached).times.numpy()
            rows, columns = np.tril_indices(n)
            assert np.array_equal(z[:n, :n][rows, columns], times[rows, columns])
            assert np.isnan(z).sum() == z.size - n * (n + 1) // 2, (
                "nothing is drawn of what is hidden or not written yet"
            )
            assert ("with a cache" in figure["layout"]["title"]["text"]) == cached
            assert len(figure["data"][1]["x"]) == 66
        assert [t["line"]["color"] for t in totals["data"]] == [WITHOUT, WITH]
        slopes = [
            float(np.diff(np.log(np.asarray(t["y"], dtype=np.float64)))[-1]) / math.log(2) for t in totals["data"]
        ]
        assert slopes == pytest.approx([3, 2], abs=0.01)
    assert frames[0].reading == "One token has one score, with a cache or without."
    assert "78 scores per head and layer with a KV cache, each once, and 364 without" in frames[-1].reading
    assert frames[-1].reading.endswith("12 tokens went through the weights, without a cache 78.")


def test_the_card_is_the_hero() -> None:
    assert drawings.card().reading == drawings.layer_frames(512, 1)[LENGTHS.index(1024)].reading


@pytest.mark.parametrize(("forget", "bug"), [("false", False), ("true", True)])
def test_the_page_shows_the_bug_only_where_it_is_asked_for(forget: str, bug: bool) -> None:
    page = Path(__file__).parent.parent / "pages" / "01_quadratic_cost.py"
    app = opened(page, look="blocks", forget_factor=forget)
    heads = [head for head, _ in figures(app) if head.get("parameter") == "block"]
    assert heads and ("a bug, not rounding" in str(heads)) == bug
