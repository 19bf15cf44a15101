"""Question 6's frames and readings: the right numbers in the right colour, and sentences that are true in every state."""

import itertools
import math
from dataclasses import replace

import plotly.graph_objects as go
import pytest
import torch

from core.experiments import layer_norm as norms
from core.experiments.layer_norm import FEATURES, TEXTS, WORDS
from core.say import number, percent
from core.training import layer_norm as training
from tests.test_readings import faults
from ui.drawings import layer_norm as drawings
from ui.palette import INK, MASKED, WITH, WITHOUT


def words(reading: str) -> str:
    return reading.replace("\u00a0", " ")


def titles(figure: dict) -> list[str]:
    layout = figure["layout"]
    return [layout["title"]["text"], layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]]


# ---------------------------------------------------------------------------------------------- who shares, who moves


@pytest.mark.parametrize("kind", drawings.RIVALS)
def test_lit_is_who_shares_and_the_frame_is_round_the_number(kind: norms.Kind) -> None:
    frames = drawings.block_frames(kind, 7)
    assert len(frames) == len(drawings.CELLS) == len(drawings.LABELS) == TEXTS * WORDS * FEATURES
    for cell in (0, 8, 23, 44, 71):
        text, word, feature = drawings.placed(cell)
        assert norms.block(7).flatten()[cell] == norms.block(7)[text, word, feature]
        assert drawings.LABELS[cell] == f"“{drawings.SAID[text][word]}”, feature {feature + 1}"
        for figure, who, colour in zip(frames[cell].figures, ("layer", kind), (WITH, WITHOUT), strict=False):
            lit = norms.shares(who, 7)[cell]  # type: ignore[arg-type]
            sheets = [t for t in figure["data"] if t["type"] == "heatmap"]
            assert len(sheets) == TEXTS and all(s["colorscale"][1] == [1, colour] for s in sheets)
            for sheet, b in zip(sheets, reversed(range(TEXTS)), strict=True):
                assert torch.equal(torch.from_numpy(sheet["z"]).flip(0), lit[b]), "the first word stands on top"
            (framed,) = (t for t in figure["data"] if t.get("line", {}).get("color") == INK)
            centre = [(float(framed[axis].min()) + float(framed[axis].max())) / 2 for axis in "xy"]
            sheet = sheets[TEXTS - 1 - text]
            assert centre == pytest.approx([float(sheet["x"][feature]), float(sheet["y"][WORDS - 1 - word])])
            named = [t["text"] for t in figure["data"] if t.get("mode") == "text"]
            assert [w.removeprefix("<b>").removesuffix("</b>") for w in named[0]] == [
                w for said in drawings.SAID for w in said
            ]
            bold = [w for row in named for w in row if w.startswith("<b>")]
            assert bold == [f"<b>{drawings.SAID[text][word]}</b>"]
            assert [("changes" in w) for w in named[-1]] == [b == (text + 1) % TEXTS for b in range(TEXTS)]
            table = figure["layout"]["meta"]["table"]["rows"]
            listed = [[str(f + 1) in row[2].split() for f in range(FEATURES)] for row in table]
            assert listed == lit.flatten(0, 1).bool().tolist() and table[5][:2] == ["B", "fell"]
            x = norms.block(7)
            values = (float(v.flatten()[cell]) for v in (x, norms.normalise(who, x)))  # type: ignore[arg-type]
            note = figure["layout"]["annotations"][1]
            assert note["text"] == " → ".join(number(v, 2) for v in values) and note["font"]["color"] == colour
            many = int(lit.sum())
            assert titles(figure)[0].endswith(
                "no statistics of this batch"
                if who == "kept"
                else f"{many} share one {'scale' if who == 'rms' else 'mean'}"
            )


@pytest.mark.parametrize("kind", drawings.RIVALS)
def test_the_bars_are_how_far_the_word_moves(kind: norms.Kind) -> None:
    own, other = norms.moves("layer", 0), norms.moves(kind, 0)
    for cell in (8, 20, 44):
        text, word, _ = drawings.placed(cell)
        figure = drawings.block_frames(kind, 0)[cell].figures[2]
        last = word == WORDS - 1
        for bars, moves, colour, name in zip(
            figure["data"], (own, other), (WITH, WITHOUT), ("LayerNorm", drawings.SHORT[kind]), strict=True
        ):
            expected = [float(moves.text[text, word]), float(moves.after[text, word])]
            assert bars["y"].tolist() == pytest.approx(expected, nan_ok=True) and bars["name"] == name
            assert bars["marker"]["color"] == colour
            assert bars["x"] == [
                f"text {'ABC'[(text + 1) % TEXTS]} changes",
                "no next word" if last else "next word changes",
            ]
        values = [v for m in (own, other) for v in (float(m.text[text, word]), float(m.after[text, word]))]
        written = [note["text"] for note in figure["layout"]["annotations"]]
        assert written == [number(v, 2) for v in values if not math.isnan(v)]
        for note in figure["layout"]["annotations"]:  # on its own bar: LayerNorm’s stands on the left
            assert (round(note["x"]) > note["x"]) == (note["font"]["color"] == WITH)
        assert figure["layout"]["yaxis"]["range"][1] > max(v for v in values if not math.isnan(v))
        ranges = [drawings.block_frames(k, 0)[cell].figures[2]["layout"]["yaxis"]["range"] for k in drawings.RIVALS]
        assert ranges == ranges[:1] * len(ranges), "bars of two comparisons compare"
        assert titles(figure) == [
            f"How far all 6 numbers of “{drawings.SAID[text][word]}” move", "what gets other numbers", "move ÷ its length, after the norm",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "whose"),
    [
        ("batch", "this feature in all 12 words"),
        ("place", "this feature in the 3 words at this position"),
        ("instance", "this feature in the 4 words of its text"),
        ("group", "3 features in the 4 words of its text"),
    ],
)
def test_the_hero_says_whose_mean_and_by_how_much(kind: norms.Kind, whose: str) -> None:
    found, frames = norms.moves(kind, 0), drawings.block_frames(kind, 0)

    def by(value: float, whole: str) -> str:
        return "exactly 0" if value == 0 else words(percent(value)) + whole

    text, after = (float(v[0, 1]) for v in (found.text, found.after))
    begin = "LayerNorm’s mean is that of “cat” alone, 6 numbers: other words move “cat” by exactly 0. "
    assert words(frames[8].reading) == (
        f"{begin}{drawings.SHORT[kind]}’s is that of {whose}: “cat” moves by {by(text, ' of its length')} when text B changes, "
        f"by {by(after, '')} when the next word does."
    )
    assert frames[23].reading.endswith("when text B changes; no word comes after it.")
    # How many numbers the derivative finds, in the words that are said.
    said = {"batch": TEXTS * WORDS, "place": TEXTS, "instance": WORDS, "group": 3 * WORDS}[kind]
    assert int(norms.shares(kind, 0)[8].sum()) == said


def test_the_hero_says_what_moves_nothing() -> None:
    begin = "LayerNorm’s mean is that of “cat” alone, 6 numbers: other words move “cat” by exactly 0. "
    assert drawings.block_frames("kept", 0)[8].reading == (
        f"{begin}In evaluation BatchNorm goes by running averages of the past: other words move nothing either."
    )
    assert drawings.block_frames("rms", 0)[8].reading == (
        f"{begin}RMSNorm takes a scale from the same 6 numbers, and no mean: other words move “cat” by exactly 0, too."
    )


# ---------------------------------------------------------------------------------------------- coins


def test_the_curves_are_the_shipped_ones() -> None:
    own = training.trained("layer", 1)
    for sharing, frame in zip(training.SHARING, drawings.coin_frames(), strict=True):
        runs = training.trained("batch", sharing)
        for figure, what in zip(frame.figures, ("loss", "evaluated"), strict=False):
            for trace, run, colour in zip(
                figure["data"], (*runs, *own), [WITHOUT] * len(runs) + [WITH] * len(own), strict=True
            ):
                torch.testing.assert_close(torch.from_numpy(trace["y"]), getattr(run, what).float())
                assert trace["line"]["color"] == colour
            assert [t["name"] for t in figure["data"] if t["showlegend"]] == ["BatchNorm", "LayerNorm"]
            assert len({t["name"] for t in figure["data"]}) == 8
            assert titles(figure)[1:] == ["training step", "loss, nats a toss"]
            assert figure["layout"]["shapes"][0]["y0"] == math.log(2)
        assert [titles(f)[0] for f in frame.figures] == [
            "In training", "In evaluation, on fresh texts", "In training, at the end, by position",
        ]  # fmt: skip
        for bars, of in zip(frame.figures[2]["data"], (runs, own), strict=True):
            mean = torch.stack([run.by_position for run in of]).mean(0)
            torch.testing.assert_close(torch.from_numpy(bars["y"]), mean.float())
        highest = max(float(run.evaluated.max()) for run in runs)
        assert drawings.LOWEST < 0.69 and highest < drawings.HIGHEST


def test_a_leak_is_called_one_only_where_it_is() -> None:
    frames = drawings.coin_frames()
    for sharing, frame in zip(training.SHARING, frames, strict=True):
        runs = training.trained("batch", sharing)
        loss, evaluated = (drawings.final(runs, what) for what in ("loss", "evaluated"))
        digits, ln2 = (3, "0.693") if sharing >= 16 else (2, "0.69")
        said = [number(loss, digits), number(evaluated, digits)]
        if sharing >= 32:
            assert f"ends at {said[0]} nats in training and {said[1]} in evaluation" in frame.reading
            assert frame.reading.endswith("about ln 2 = 0.693, so after 600 steps no leak is seen.")
            continue
        little = "a little " if sharing == 16 else ""
        assert f"ends at {said[0]} nats in training, {little}below ln 2 = {ln2}, which only a leak" in frame.reading
        assert f"and at {said[1]} in evaluation" in frame.reading
        last = sum(float(run.by_position[-1]) for run in runs) / len(runs)
        assert last > training.ENTROPY - 1e-3
        end = f"At the last position, whose next toss is not read, it has {number(last, digits)}; LayerNorm has {ln2} throughout."
        assert frame.reading.endswith(end)
    assert frames[0].reading.startswith("Normalised text by text")


def test_every_state_of_a_training_is_read_lawfully() -> None:
    shipped = training.trained("batch", 1)[0]
    label = drawings.run_label("batch", 1, 0)
    begun = replace(shipped, at=shipped.at[:3], loss=shipped.loss[:3], evaluated=shipped.evaluated[:3])
    other = replace(begun, loss=begun.loss * torch.tensor([1, 1, 1.1]))
    again = replace(shipped, loss=shipped.loss.clone())
    for state, end in (
        (shipped, "as a rule the outcome."),
        (begun, "So far it is the shipped curve."),
        (again, "It is the shipped curve again."),
        (other, "in another order."),
    ):
        frame = drawings.live_frame(shipped, label, state)
        assert not list(faults(frame.reading)), frame.reading
        assert frame.reading.endswith(end) and frame.reading.startswith("BatchNorm over 1 text, seed 0: after step ")
        for figure, what in zip(frame.figures, ("loss", "evaluated"), strict=True):
            go.Figure(figure)
            assert [t["line"]["color"] for t in figure["data"]] == ([MASKED] if state is shipped else [MASKED, WITH])
            torch.testing.assert_close(torch.from_numpy(figure["data"][-1]["y"]), getattr(state, what).float())
    assert "From step 3 on" in drawings.live_frame(shipped, label, other).reading
    assert drawings.run_label("place", 64, 2) == "BatchNorm at each position over 64 texts, seed 2"
    assert drawings.run_label("rms", 1, 3) == "RMSNorm, seed 3"


# ---------------------------------------------------------------------------------------------- noise


@pytest.mark.parametrize(("texts", "lengths"), [*itertools.product(drawings.BATCHES, drawings.SPREAD)])
def test_the_noise_is_measured_beside_its_law(texts: int, lengths: norms.Lengths) -> None:
    for rho, frame in zip(drawings.ALIKE, drawings.noise_frames(texts, lengths, 0), strict=True):
        found = norms.noise(texts, rho, lengths, 0)
        spread, worth = frame.figures
        for trace, values in zip(spread["data"], (found.independent, found.law, found.measured), strict=True):
            torch.testing.assert_close(torch.from_numpy(trace["y"]), values.float())
        even = texts * torch.tensor(norms.LENGTHS).float()
        for trace, values in zip(worth["data"], (even, found.law**-2, found.measured**-2), strict=True):
            torch.testing.assert_close(torch.from_numpy(trace["y"]), values.float())
        for figure in frame.figures:
            assert [t["line"]["color"] for t in figure["data"]] == [MASKED, WITH, WITHOUT]
            low, high = (10**v for v in figure["layout"]["yaxis"]["range"])
            assert all(low < t["y"].min() and t["y"].max() < high for t in figure["data"])
        assert spread["data"][2]["name"] == f"measured on {norms.POOL // texts:,} batches"


def test_what_the_noise_says() -> None:
    frames = drawings.noise_frames(8, "equal", 0)
    assert frames[0].reading.endswith("at 512 words by 0.016. Longer texts help.")
    half = frames[drawings.ALIKE.index(0.5)].reading
    assert (
        "ρ = 0.5, the mean of 8 texts of 128 words strays by 0.251, at 512 words by about as much: longer texts hardly help"
        in half
    )
    assert half.endswith("1,024 words are worth 16 independent ones.")
    for rho, end in (
        (0.01, "at 512 words by 0.039: longer texts still help. 1,024 words are worth 451 independent ones."),
        (0.03, "at 512 words by 0.0631: longer texts hardly help. 1,024 words are worth 213 independent ones."),
        (1.0, "at 512 words by as much: longer texts do not help. 1,024 words are worth 8 independent ones."),
    ):
        assert frames[drawings.ALIKE.index(rho)].reading.endswith(end)
    assert "128 words on average" in drawings.noise_frames(8, "mixed", 0)[5].reading
    assert drawings.noise_frames(1, "equal", 0)[-1].reading.endswith("128 words are worth 1 independent one.")


# ---------------------------------------------------------------------------------------------- pads and running averages


@pytest.mark.parametrize(("mean", "std"), [(2.0, 1.5), (-3.0, 0.5), (0.0, 3.0)])
def test_pads_counted_are_grey_and_left_out_purple(mean: float, std: float) -> None:
    found = norms.pads(mean, std, 0)
    for i, frame in enumerate(drawings.pads_frames(mean, std, 0)):
        for j, (figure, measured) in enumerate(zip(frame.figures, (found.mean, found.variance), strict=False)):
            for trace, values, colour in zip(
                figure["data"], (found.law[:, j], measured, found.own[:, j]), (WITHOUT, WITHOUT, WITH), strict=True
            ):
                torch.testing.assert_close(torch.from_numpy(trace["y"]), values.float())
                assert trace["line"]["color"] == colour
            low, high = figure["layout"]["yaxis"]["range"]
            assert all(low <= t["y"].min() and t["y"].max() <= high for t in figure["data"])
            assert figure["layout"]["shapes"][0]["x0"] == pytest.approx(100 * norms.SHARES[i])
        for trace, values in zip(frame.figures[2]["data"], (found.counted[i], found.masked[i]), strict=True):
            torch.testing.assert_close(torch.from_numpy(trace["y"])[:-1], values.float())
    quarter = norms.SHARES.index(0.25)
    said = words(drawings.pads_frames(mean, std, 0)[quarter].reading)
    own, law = ([number(float(v)) for v in row[quarter]] for row in (found.own, found.law))
    centre, spread = (number(round(float(v), 3)) for v in found.output[quarter])
    assert said == (
        f"With 25 % of pads, counted, the mean is {number(float(found.mean[quarter]))} and the variance "
        f"{number(float(found.variance[quarter]))} (by the law {law[0]} and {law[1]}); of the real words alone {own[0]} and {own[1]}. "
        f"So the real words come out with mean {centre} instead of 0 and standard deviation {spread} instead of 1."
    )


def test_a_mean_of_0_is_not_said_to_be_another() -> None:
    found = norms.pads(0.0, 1.5, 0)
    exact = replace(found, output=torch.tensor([[2e-4, 1.0001]]).expand_as(found.output))
    assert drawings.pads_reading(5, exact).endswith("So the real words come out with mean 0 and standard deviation 1.")


@pytest.mark.parametrize(("momentum", "drift"), [*itertools.product(drawings.MOMENTA, drawings.DRIFTS)])
def test_running_averages_are_purple_and_batches_grey(momentum: float, drift: float) -> None:
    found = norms.follow(momentum, drift, 0)
    frames = drawings.running_frames(momentum, drift, 0)
    for k, frame in zip(drawings.STOPS, frames, strict=True):
        drawn = (
            ((found.batch[:, 0], WITHOUT), (found.true, MASKED), (found.kept[:, 0], WITH)),
            ((found.batch[:, 1], WITHOUT), (found.kept[:, 1], WITH)),
            ((found.output[:, 0], WITH), (found.output[:, 1], WITH)),
        )
        for figure, expected in zip(frame.figures, drawn, strict=True):
            low, high = figure["layout"]["yaxis"]["range"]
            for trace, (values, colour) in zip(figure["data"], expected, strict=True):
                torch.testing.assert_close(torch.from_numpy(trace["y"]), values.float(), equal_nan=True)
                assert trace["line"]["color"] == colour
                seen = values[~values.isnan()]
                assert low <= seen.min() and seen.max() <= high
            assert {s["x0"] for s in figure["layout"]["shapes"] if s["x0"] == s["x1"]} == {float(k)}
        if k:
            mean, std = (number(round(float(v), 12), 2) for v in found.output[k])
            assert (
                f"gives it mean {mean} and standard deviation {std}" in frame.reading and "·10⁻¹" not in frame.reading
            )
            assert (momentum == 1) == ("mean 0 and standard deviation 0.99, just below" in frame.reading)
            if momentum < 1:
                kept, true = number(float(found.kept[k, 0])), number(float(found.true[k]))
                assert f"the running mean is {kept}, the true one {true};" in frame.reading
            weighs = (1 - momentum) ** k
            assert ("started from still weighs" in frame.reading) == (weighs > 0.01)
            if weighs > 0.01:
                assert words(frame.reading).endswith(f"still weighs {words(percent(weighs))}.")
    assert frames[0].reading.startswith("Before the first batch")
    ends = {0.1: "in 9 batches, ", 0.5: "in 1 batch, "}
    trails = "now trails the true one by what that drifts" in frames[-1].reading
    assert trails == (momentum in ends and drift > 0)
    if trails:
        late = {0.1: 9, 0.5: 1}[momentum] * drift
        assert frames[-1].reading.endswith(f"{ends[momentum]}{number(float(found.true[-1] - found.law[-1]), 2)}.")
        assert float(found.true[-1] - found.law[-1]) == pytest.approx(late, rel=0.01)


def test_what_the_axes_say() -> None:
    spread, worth = drawings.noise_frames(8, "equal", 0)[0].figures
    assert titles(spread) == [
        "Spread of the mean of 8 texts",
        "words of a text, T",
        "standard deviation; a word’s is 1",
    ]
    assert titles(worth) == ["Worth so many independent words", "words of a text, T", "1 ÷ variance of the mean"]
    assert titles(drawings.noise_frames(1, "mixed", 0)[0].figures[0])[:2] == [
        "Spread of the mean of 1 text", "words of a text on average, T",
    ]  # fmt: skip
    mean, variance, words_ = drawings.pads_frames(2.0, 1.5, 0)[0].figures
    for figure, name in ((mean, "Mean"), (variance, "Variance")):
        assert titles(figure) == [f"{name} of one feature of a batch", "places that hold a pad, %", name.lower()]
    assert titles(words_) == ["The real words, normalised", "normalised number", "share of the words"]
    assert [t["name"] for t in words_["data"]] == ["pads counted", "pads left out"]
    kept, spread, used = drawings.running_frames(0.1, 0.05, 0)[0].figures
    assert titles(kept) == ["Mean of one feature", "batches seen", "mean"]
    assert titles(spread) == ["Its variance", "batches seen", "variance"]
    assert titles(used) == ["Each batch, normalised as in evaluation", "batches seen", "mean, standard deviation"]
    assert [t["name"] for t in kept["data"]] == ["of each batch", "true", "running"]
    assert [t["name"] for t in used["data"]] == ["mean", "standard deviation"]
