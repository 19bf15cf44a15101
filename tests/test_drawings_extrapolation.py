"""What question 11 makes of its experiments: every reading is its figure's own numbers, and every line says what it is."""

import math
import re

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import extrapolation as longer
from core.ops import positions
from core.say import number, percent
from core.training import extrapolation as training
from tests.test_drawings_pre_post_norm import value
from tests.test_pages import LESSONS, figures, opened
from tests.test_readings import faults
from ui.drawings import extrapolation as drawings
from ui.figures import Figure
from ui.palette import KEY, MASKED, QUERY, WITH

PAGE = next(path for path in LESSONS if path.stem.endswith("_extrapolation"))
NUMBER = r"([−\d][\d.,]*(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)"


def title(figure: Figure, axis: str) -> str:
    return figure["layout"][axis]["title"]["text"]


def lines(figure: Figure) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for trace in figure["data"]:
        found.setdefault(trace["name"], []).append(trace)
    return found


# ------------------------------------------------------------------------------------------------ the hero


@pytest.mark.parametrize("sees", longer.SEES)
def test_the_hero_draws_each_decoder_up_to_the_length_and_says_its_loss_there(sees: longer.Sees) -> None:
    for i, (n, frame) in enumerate(zip(longer.STOPS, drawings.length_frames(sees), strict=True)):
        (figure,) = frame.figures
        shown, notes = lines(figure), {note["text"] for note in figure["layout"]["annotations"]}
        for e in training.ENCODINGS:
            mean = longer.curves(e, sees).mean(0)
            (now,) = shown[drawings.NAMES[e]]
            np.testing.assert_allclose(now["y"], mean[: i + 1], rtol=1e-5)
            assert now["x"].tolist() == list(longer.STOPS[: i + 1]) and now["line"]["color"] == drawings.COLOURS[e]
            assert f"<b>{drawings.NAMES[e]} {number(float(mean[i]), 2)}</b>" in notes
            assert float(mean[i]) == pytest.approx(float(longer.lost(e, n, sees).mean()))
        assert title(figure, "xaxis") == "length of the text, in tokens" and title(figure, "yaxis") == drawings.LOSS
        assert f"trained on {training.LENGTH} tokens" in notes
        assert f"guessing: {number(longer.guessing(), 2)}" in notes
        (low, high), (rule, guess) = figure["layout"]["yaxis"]["range"], figure["layout"]["shapes"][:2]
        assert rule["x0"] == training.LENGTH and guess["y0"] == pytest.approx(longer.guessing())
        assert low < 0 and float(max(longer.curves(e).max() for e in training.ENCODINGS)) < high
        assert len(frame.reading) < 260


def test_labels_keep_apart_and_near_their_lines() -> None:
    for sees in longer.SEES:
        for frame in drawings.length_frames(sees):
            heights = sorted(n["y"] for n in frame.figures[0]["layout"]["annotations"] if n["text"].startswith("<b>"))
            assert (
                len(heights) == 6
                and min(np.diff(heights)) > drawings.GAP - 1e-9
                and heights[-1] <= drawings.TOP - drawings.GAP + 1e-9
            )
    assert drawings.apart([0.5, 0.2, 0.9], 0.1, 0, 1) == [0.5, 0.2, 0.9]
    assert drawings.apart([1.0] * 3, 0.25, 0, 1) == [0.5, 0.75, 1.0]


def test_the_hero_tells_the_story_at_its_defaults() -> None:
    frame = drawings.length_frames("whole")[-1]
    assert frame.reading.startswith(
        "At 256 tokens, 8 times the trained length, a learned table, sinusoids and RoPE lose more than guessing"
    )
    assert "; ALiBi loses least" in frame.reading and drawings.card().reading == frame.reading
    window = drawings.length_frames("window")[-1].reading
    assert (
        window.startswith("With each token seeing the last 32 only, at 256")
        and "RoPE" not in window.partition("lose more")[0]
    )
    before, after = (number(float(longer.lost("rope", sees=sees).mean()), 2) for sees in ("whole", "window"))
    assert f"RoPE falls most, from {before} to {after}." in window
    assert "sinusoids lose more" in drawings.length_frames("window")[5].reading
    afresh = drawings.length_frames("afresh")[-1].reading
    assert (
        afresh.startswith("With each answer read from its last 32 tokens as a text of their own, at 256")
        and "all lose less than guessing" in afresh
    )
    for sees in longer.SEES:  # within the trained length no window hides anything
        assert drawings.length_frames(sees)[2].reading.startswith("At 32 tokens, as in training, all lose less")


@pytest.mark.parametrize(
    ("worse", "begins"),
    [((2.0, 0.1), "RoPE loses more"), ((2.0, 3.0), "RoPE and ALiBi lose more"), ((0.1, 0.2), "all lose less")],
)
def test_the_reading_counts_who_is_worse(worse: tuple[float, float], begins: str) -> None:
    text = drawings.length_reading("whole", 64, dict(zip(("rope", "alibi"), worse, strict=True)))
    assert begins in text and text.startswith("At 64 tokens, 2 times the trained length,") and not list(faults(text))


# ------------------------------------------------------------------------------------------------ beyond


def test_what_is_met_is_what_the_model_has() -> None:
    frames = dict(zip(drawings.MET, drawings.beyond_frames(), strict=True))
    (row,) = frames["learned"].figures[0]["data"]
    np.testing.assert_allclose(row["y"], longer.rows_of_table(), rtol=1e-5)
    for e, d in (("sinusoidal", training.WIDTH), ("rope", training.WIDTH // training.HEADS)):
        omega, place = longer.frequencies(d).numpy(), np.arange(longer.FAR)
        turns = {f"{number(float(t), 2)} turns in training": w for t, w in zip(longer.turns(d, 32), omega, strict=True)}
        traces = frames[e].figures[0]["data"]
        assert len(traces) == 3
        for trace in traces:
            np.testing.assert_allclose(trace["y"], np.cos(place * turns[trace["name"]]), atol=1e-4)
        assert title(frames[e].figures[0], "xaxis") == ("position" if e == "sinusoidal" else "distance")
    for e in ("t5", "alibi"):
        for trace, bias in zip(frames[e].figures[0]["data"], longer.biases(e), strict=True):
            np.testing.assert_allclose(trace["y"], bias, rtol=1e-5, atol=1e-6)
        assert title(frames[e].figures[0], "xaxis") == "distance"
    for e, frame in frames.items():
        found, figure = training.outcome(e, "next", "whole"), frame.figures[1]
        for seed, (trace, run) in enumerate(zip(figure["data"], found, strict=True)):
            np.testing.assert_allclose(trace["y"], run, rtol=1e-5)
            assert trace["name"] == f"seed {seed}" and trace["x"][0] == 3.5
            assert trace["y"].max() < figure["layout"]["yaxis"]["range"][1]
        near, far = re.search(
            f"loss is {NUMBER} at trained positions and {NUMBER} at the last 32", frame.reading
        ).groups()
        assert value(near) == pytest.approx(float(found[:, :4].mean()), rel=0.051)
        assert value(far.rstrip(".")) == pytest.approx(float(found[:, -4:].mean()), rel=0.051)
        for one in frame.figures:
            assert one["layout"]["shapes"][-1]["x1"] == training.LENGTH
            go.Figure(one)


def test_what_never_turns_and_what_was_never_trained_is_counted() -> None:
    said = {e: frame.reading for e, frame in zip(drawings.MET, drawings.beyond_frames(), strict=True)}
    assert said["rope"].startswith("6 of 8 pairs never complete") and said["sinusoidal"].startswith(
        "26 of 32 pairs never"
    )
    assert said["t5"].startswith("10 of 32 buckets") and "Rows 32 to 255 were never trained" in said["learned"]
    assert "−1.0 in the flattest head and −64 in the steepest" in said["alibi"]
    table = training.trained("learned")["table"].square().sum(-1).sqrt()
    untrained, rows = re.search(
        f"their length is {NUMBER}, as drawn, that of trained rows {NUMBER} on", said["learned"]
    ).groups()
    assert value(untrained) == pytest.approx(float(table[32:].mean()), rel=0.051)
    assert value(rows) == pytest.approx(float(table[:32].mean()), rel=0.051)


@pytest.mark.parametrize("offset", drawings.OFFSETS)
def test_the_worst_rounded_score_is_said(offset: int) -> None:
    (frame,) = drawings.precision_frames(offset, 2)
    found = longer.precision(offset, seed=2)
    shown = lines(frame.figures[0])
    np.testing.assert_allclose(shown["turned in bfloat16"][0]["y"], found.rough, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(shown["turned in float64"][0]["y"], found.exact, rtol=1e-5, atol=1e-6)
    worst, at, near = re.search(
        f"bfloat16 it is {NUMBER} at position {NUMBER}, and up to position 256 it is off by up to {NUMBER} already",
        frame.reading,
    ).groups()
    i = found.at.tolist().index(int(value(at)))
    assert value(worst) == pytest.approx(float(found.rough[i]), rel=0.006)
    off = [float(abs(r - e)) for p, r, e in zip(found.at, found.rough, found.exact, strict=True) if p <= 256]
    assert value(near) == pytest.approx(max(off), rel=0.051)
    assert float((found.rough - found.exact).abs().max()) == float((found.rough - found.exact).abs()[i])


# ------------------------------------------------------------------------------------------------ RoPE's arrows


def arrows(figure: Figure) -> list[tuple[float, float]]:
    """The angles of each query and key, in the order of the circles."""
    tips = [
        math.atan2(t["y"][-1] - t["y"][0], t["x"][-1] - t["x"][0])
        for t in figure["data"]
        if t.get("mode") == "lines+markers"
    ]
    assert [t["line"]["color"] for t in figure["data"] if t.get("mode") == "lines+markers"] == [QUERY, KEY] * 3
    return list(zip(tips[::2], tips[1::2], strict=True))


@pytest.mark.parametrize("which", drawings.HEADS_OF)
@pytest.mark.parametrize("remedy", training.REMEDIES)
def test_both_arrows_turn_and_the_angle_between_them_stays(which: int, remedy: training.Remedy) -> None:
    rotary = longer.ROTARIES[which]
    frames = drawings.turning_frames(which, remedy, 4, "beyond")
    base, divide = longer.read_as(rotary, remedy, 4)
    omega = (longer.frequencies(rotary.d, base) / divide).tolist()
    pairs, distance = drawings._pairs(rotary), round(1.5 * rotary.length)
    first = arrows(frames[0].figures[0])
    for key_at, frame in zip(drawings.KEY_AT, frames, strict=True):
        for (query, key), (_, key_0), i in zip(arrows(frame.figures[0]), first, pairs, strict=True):
            assert math.cos(key - query - omega[i] * distance) == pytest.approx(1, abs=1e-4)
            assert math.cos(key_0 - key - omega[i] * key_at) == pytest.approx(1, abs=1e-4)
    assert [t["type"] for t in frames[0].figures[0]["data"]] == [t["type"] for t in frames[-1].figures[0]["data"]]


def test_an_angle_is_within_training_if_some_trained_distance_has_it() -> None:
    ours = longer.ROTARIES[0]
    trained = longer.frequencies(ours.d)
    for distance in (16, 31, 48, 64, 255):
        known = drawings._seen(ours, trained, trained, distance)
        for w, seen in zip(trained.tolist(), known, strict=True):
            angles = np.linspace(0, 32 * w, 20_000)  # all angles below the trained length
            nearest = np.abs(np.angle(np.exp(1j * (angles - w * distance)))).min()
            assert seen == (nearest < 1e-3), (distance, w)
    assert not drawings._seen(ours, trained, trained, 32)[-1] and drawings._seen(ours, trained, trained, 31)[-1]
    reading = drawings.turning_frames(0, "nothing", 8, "beyond")[0].reading
    assert "6 of 8 pairs never complete a turn" in reading and "at distance 48, 6 of 8 stand outside" in reading
    labels = [
        t["text"][0]
        for t in drawings.turning_frames(0, "nothing", 8, "beyond")[0].figures[0]["data"]
        if t.get("mode") == "text"
    ]
    assert labels.count("within training") == 1 and labels.count("never seen") == 2


@pytest.mark.parametrize("which", drawings.HEADS_OF)
@pytest.mark.parametrize("stretch", drawings.STRETCHED)
def test_interpolation_brings_back_every_distance_of_the_text_and_nothing_does_not(which: int, stretch: int) -> None:
    rotary, pairs = longer.ROTARIES[which], longer.ROTARIES[which].d // 2
    far = stretch * rotary.length - 1
    assert drawings.distance_of(rotary, "most", stretch) == far
    for at in drawings.FARS:
        assert drawings.distance_of(rotary, at, stretch) <= far, "a distance that the text has"
        text = drawings.turning_frames(which, "interpolation", stretch, at)[0].reading
        assert f"none of {pairs} stand outside" in text
    within, last = (drawings.turning_frames(which, "nothing", stretch, a)[0].reading for a in ("within", "most"))
    assert f"none of {pairs}" in within and f"at distance {far:,}, {pairs} of" not in last and "none of" not in last
    own = drawings.turning_frames(which, "base 500,000", stretch, "most")[0].reading
    assert ("nothing changes" in own) == (rotary.base == 500_000)
    assert not own.startswith("This") or own.partition(". ")[2] == last.partition(". ")[2]


def test_turns_are_those_of_training_and_of_the_longer_text() -> None:
    for which, rotary in enumerate(longer.ROTARIES):
        _, figure = drawings.turning_frames(which, "NTK-aware", 8, "beyond")[0].figures
        shown = lines(figure)
        np.testing.assert_allclose(
            shown[f"in training, {rotary.length:,} tokens"][0]["y"],
            longer.turns(rotary.d, rotary.length, rotary.base),
            rtol=1e-5,
        )
        read = shown[f"on {8 * rotary.length:,} tokens"][0]["y"]
        base = positions.ntk_base(8, rotary.d, rotary.base)
        np.testing.assert_allclose(read, longer.turns(rotary.d, 8 * rotary.length, base), rtol=1e-5)
        low, high = (10**x for x in figure["layout"]["yaxis"]["range"])
        assert low < min(t["y"].min() for t in figure["data"]) and max(t["y"].max() for t in figure["data"]) < high


def test_remedies_stand_over_their_names_with_every_seed_in_the_whisker() -> None:
    (frame,) = drawings.remedy_frames()
    (figure,) = frame.figures
    for trace, (stretch, tuned) in zip(figure["data"], ((2, False), (4, False), (8, False), (8, True)), strict=True):
        assert trace["name"] == f"{stretch * 32} tokens" + ", tuned" * tuned
        for i, remedy in enumerate(training.REMEDIES):
            runs = longer.remedy_lost(remedy, stretch, tuned)
            assert trace["x"][i] == remedy and trace["y"][i] == pytest.approx(float(runs.mean()), rel=1e-5)
            assert trace["y"][i] + trace["error_y"]["array"][i] == pytest.approx(float(runs.max()), rel=1e-4)
            assert trace["y"][i] - trace["error_y"]["arrayminus"][i] == pytest.approx(float(runs.min()), rel=1e-3)
    go.Figure(figure)
    for remedy in training.REMEDIES:
        assert float(longer.remedy_lost(remedy, 8).max()) < figure["layout"]["yaxis"]["range"][1]


def test_the_remedies_reading_and_the_words_say_the_runs() -> None:
    """With the control: as many steps, and nothing stretched."""
    mean = {(r, t): float(longer.remedy_lost(r, 8, t).mean()) for r in training.REMEDIES for t in (False, True)}
    best, plain, tuned_best, steps = re.fullmatch(
        f"Untuned, on 256 tokens, the best is base 500,000 with {NUMBER} nats, against {NUMBER} with nothing. After 100 steps on "
        f"such texts the best is base 500,000 with {NUMBER}, and nothing but the steps gets {NUMBER}.",
        drawings.remedy_reading(),
    ).groups()
    assert min(mean[r, False] for r in training.REMEDIES) == pytest.approx(value(best), rel=0.051)
    assert min(mean[r, True] for r in training.REMEDIES) == pytest.approx(value(tuned_best), rel=0.051)
    assert mean["nothing", False] == pytest.approx(value(plain), rel=0.051)
    assert mean["nothing", True] == pytest.approx(value(steps), rel=0.051)
    rounded = [number(mean[k], 2) for k in (("nothing", False), ("nothing", True), ("interpolation", True))]
    assert rounded == ["1.0", "0.082", "0.22"]
    assert [round(mean[r, True], 2) for r in ("base 500,000", "NTK-aware")] == [0.04, 0.05]
    none = training.outcome("none", "next", "whole").mean(0)
    assert round(float(none[3]), 1) == 0.3 and round(float(none[-1]), 1) == 0.7
    halfway = [float(longer.lost("rope", n).mean()) / longer.guessing() for n in (96, 128)]
    assert all(0.5 < share < 1 for share in halfway)


def test_decay_says_where_each_is_largest() -> None:
    (frame,) = drawings.decay_frames(1)
    equal, other = (t["y"] for t in frame.figures[0]["data"])
    np.testing.assert_allclose(equal, longer.by_distance(True), atol=1e-5)
    np.testing.assert_allclose(other, longer.by_distance(False, seed=1), atol=1e-5)
    assert f"random pair it is largest at distance {int(other.argmax()):,}" in frame.reading
    (end,) = re.search(f"with ripples, to {NUMBER} at 4,095", frame.reading).groups()
    assert value(end) == pytest.approx(float(equal[-1]), rel=0.051) and min(equal) < value(end) - 0.01


# ------------------------------------------------------------------------------------------------ slopes


@pytest.mark.parametrize("n", drawings.HEADS)
def test_slopes_of_formula_and_code(n: int) -> None:
    frame = drawings.slope_frames()[drawings.HEADS.index(n)]
    slopes, reach = frame.figures
    formula, code = slopes["data"]
    np.testing.assert_allclose(formula["y"], positions.alibi_slopes(n), rtol=1e-5)
    np.testing.assert_allclose(code["y"], sorted(positions.alibi_slopes_as_released(n).tolist())[::-1], rtol=1e-5)
    assert ("formula and code agree" in frame.reading) == (n & (n - 1) == 0)
    low, high = (10**x for x in slopes["layout"]["yaxis"]["range"])
    assert low < min(code["y"].min(), formula["y"].min()) and max(code["y"].max(), formula["y"].max()) < high
    steep, flat = (trace["y"] for trace in reach["data"])
    assert flat[-1] == pytest.approx(math.exp(-256 * float(code["y"].min())), rel=1e-4)
    assert steep[1] == pytest.approx(math.exp(-float(code["y"].max())), rel=1e-4)
    if n == 12:
        assert (
            "the slopes of 8 heads, then every other slope of 16: 8 of its 12 slopes are not the formula’s"
            in frame.reading
        )
    left = math.exp(-256 * min(positions.alibi_slopes_as_released(n).tolist()))
    assert f"256 tokens back keeps {percent(left)} in the flattest head" in frame.reading


# ------------------------------------------------------------------------------------------------ another task


@pytest.mark.parametrize("sees", drawings.TASK_SEES)
def test_every_seed_of_both_tasks_is_drawn(sees: longer.Sees) -> None:
    for e, frame in zip(training.ENCODINGS, drawings.task_frames(sees), strict=True):
        left, right = frame.figures
        what = "right" if sees == "whole" else "right in window"
        for figure, rows in ((left, longer.curves(e, sees)), (right, training.outcome(e, "recall", what))):
            shown = lines(figure)
            assert len(shown["the other five"]) == 15 and shown["the other five"][0]["line"]["color"] == MASKED
            for trace, row in zip(shown[f"{drawings.NAMES[e]}, 3 seeds"], rows, strict=True):
                np.testing.assert_allclose(trace["y"], row, rtol=1e-5)
                assert trace["line"]["color"] == drawings.COLOURS[e]
        assert right["data"][0]["x"][0] == training.BIN
        assert right["data"][0]["x"][-1] == (training.LONGEST["recall"] if sees == "whole" else longer.FAR)
        at_one = [
            drawings.NAMES[o] for o in training.ENCODINGS if o != e and training.outcome(o, "recall", what).min() == 1
        ]
        notes = [n["text"] for n in right["layout"]["annotations"] if n["text"].startswith("always 1")]
        assert notes == ([f"always 1: {', '.join(at_one)}"] if at_one else [])
        ranked = sorted(training.ENCODINGS, key=lambda o: float(longer.lost(o, 256, sees).mean()))
        assert ("loses least of the six" in frame.reading) == (ranked[0] == e)
        assert ("loses most of the six" in frame.reading) == (ranked[-1] == e)
        assert ("last 32 only" in frame.reading) == (sees == "window")
        middle = longer.recalled(e, 512) if sees == "whole" else None
        assert ("(at 512: " in frame.reading) == (middle is not None)
        assert middle is None or f"(at 512: {drawings.between(middle)})" in frame.reading


def test_a_run_of_now_lies_over_the_shipped_one() -> None:
    shipped = training.trained_run("rope", "recall", 0)
    still = drawings.live_frame(shipped, "rope", 0, shipped)
    assert list(lines(still.figures[0])) == ["shipped"] and "the button trains it again" in still.reading
    part = training.Progress(shipped.steps, shipped.losses[:60], shipped.asked_at[:2], shipped.excess[:2])
    moving = drawings.live_frame(shipped, "rope", 0, part)
    assert list(lines(moving.figures[0])) == ["shipped", "now"] and "So far it is the shipped curve" in moving.reading
    assert "after step 50 it loses" in moving.reading and f"knowing nothing: {number(math.log(8), 2)}" in moving.reading
    assert moving.figures[1]["layout"]["shapes"][0]["y0"] == pytest.approx(math.log(8))
    np.testing.assert_allclose(lines(moving.figures[1])["now, after step 50"][0]["y"], shipped.excess[1], rtol=1e-5)
    over = training.Progress(shipped.steps, shipped.losses * 1.001, shipped.asked_at, shipped.excess)
    assert "It is the shipped curve" in drawings.live_frame(shipped, "rope", 0, over).reading
    other = training.Progress(shipped.steps, shipped.losses * 1.1, shipped.asked_at, shipped.excess)
    assert "adds in another order" in drawings.live_frame(shipped, "rope", 0, other).reading
    worse = training.Progress(shipped.steps, shipped.losses + 2, shipped.asked_at, shipped.excess + 9)
    assert "It ends elsewhere" in drawings.live_frame(shipped, "rope", 0, worse).reading
    for frame in (still, moving):
        assert not list(faults(frame.reading))


def test_no_colour_of_an_encoding_means_two_of_them() -> None:
    styles = {(drawings.COLOURS[e], drawings.DASHES.get(e, "solid")) for e in training.ENCODINGS}
    assert len(styles) == 6 and drawings.COLOURS["alibi"] == WITH


def test_the_page_hands_its_controls_on() -> None:
    def readings(**query: str) -> dict[str, list[str]]:
        return {head["key"]: head["readings"] for head, _ in figures(opened(PAGE, **query))}

    shown = readings(
        sees="the last 32",
        look="turns",
        rope_head="Llama 2 7B (L = 4,096)",
        rope_remedy="NTK-aware",
        rope_far="end of text",
        rope_stretch="4 L",
        decay_seed="3",
    )
    assert shown["test_length"] == [f.reading for f in drawings.length_frames("window")]
    assert shown["key_at"] == [f.reading for f in drawings.turning_frames(1, "NTK-aware", 4, "most")]
    assert shown["decay"] == [drawings.decay_frames(3)[0].reading]
    shown = readings(look="beyond", bf16_offset="10", bf16_seed="4")
    assert shown["bf16_rope"] == [drawings.precision_frames(10, 4)[0].reading]
    shown = readings(look="task", task_sees="the last 32", task_encoding="rope", far_seed="1")
    assert shown["task_encoding"] == [f.reading for f in drawings.task_frames("window")]
    assert shown["recall_run:figure"][0].startswith("RoPE, seed 1: after step 150")


def test_tensors_of_the_shipped_file_are_not_changed() -> None:
    before = training.outcome("alibi", "next", "whole").clone()
    drawings.beyond_frames(), drawings.length_frames("afresh"), drawings.task_frames("whole")
    assert torch.equal(before, training.outcome("alibi", "next", "whole"))
