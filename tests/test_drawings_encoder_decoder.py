"""Question 5: each figure shows the numbers of its experiment, under the names that stand there, and its reading says them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.experiments import encoder_decoder as families
from core.training import encoder_decoder as training
from tests.test_readings import faults
from ui import palette
from ui.drawings import encoder_decoder as drawings
from ui.figures import Figure

SIX, TARGET = families.SENTENCE, families.TARGET


def title(figure: Figure) -> str:
    return figure["layout"]["title"]["text"]


def said(figure: Figure) -> list[str]:
    return [note["text"] for note in figure["layout"].get("annotations", [])]


def curves(figure: Figure) -> list[tuple[float, float, float, float, float, str]]:
    """Where each curved line begins and ends, how wide it is, and its colour."""
    found = []
    for shape in figure["layout"].get("shapes", []):
        if shape["type"] == "path":
            numbers = [float(x) for x in re.findall(r"-?[\d.]+", shape["path"])]
            found.append((*numbers[:2], *numbers[-2:], shape["line"]["width"], shape["line"]["color"]))
    return found


def named(figure: Figure, words: Sequence[str], places: Sequence[float]) -> None:
    """Each word stands under its own dot."""
    notes = [n for n in figure["layout"]["annotations"] if n["y"] == drawings.WORDS - 0.1]
    assert sorted((n["x"], re.sub("</?b>", "", n["text"])) for n in notes) == sorted(zip(places, words, strict=True))


def told_over_its_dots(figure: Figure, places: Sequence[float], strengths: torch.Tensor) -> None:
    """“exactly 0” over the middle of the rings, “outputs” over the middle of the others."""
    over = {n["text"]: n["x"] for n in figure["layout"]["annotations"] if n["y"] == drawings.OUTPUTS + 0.1}
    silent = [x for x, s in zip(places, strengths.tolist(), strict=True) if s == 0]
    others = [x for x in places if x not in silent]
    expected = {"exactly 0": silent, "output" if len(others) == 1 else "outputs": others}
    assert over == {text: pytest.approx(sum(xs) / len(xs)) for text, xs in expected.items() if xs}


def dots(figure: Figure) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace["type"] == "scatter"]


def wide(strength: float, found: families.Reach) -> float:
    most = max(float(each.max()) for each in (found.encoder, found.decoder, found.source, found.own))
    return pytest.approx(1 + 6 * strength / most, abs=0.006)


# ------------------------------------------------------------------------------------------------ what a token reaches


@pytest.mark.parametrize(
    ("sentence", "target", "seed"), [(SIX, TARGET, 0), ("a b", "oui", 3), ("no no no", "x y z w", 1)]
)
def test_a_line_for_each_output_that_answers_and_none_for_an_exact_0(sentence: str, target: str, seed: int) -> None:
    found = families.reach(sentence, target, seed)
    n, m = len(found.words), len(found.target)
    frames = drawings.reach_frames(sentence, target, seed)
    assert len(frames) == n
    for token, frame in enumerate(frames):
        encoder, decoder, both = frame.figures
        for figure, influence, name in (
            (encoder, found.encoder, "Encoder-only (BERT)"),
            (decoder, found.decoder, "Decoder-only (GPT)"),
        ):
            column = influence[:, token]
            assert title(figure) == f"{name}: reaches {int((column != 0).sum())} of {n}"
            lines = curves(figure)
            assert [line[2] for line in lines] == column.nonzero().flatten().tolist()
            for x0, y0, x1, y1, width, colour in lines:
                assert (x0, y0, y1) == (token, drawings.WORDS, drawings.OUTPUTS) and colour == palette.WITH
                assert width == wide(float(column[int(x1)]), found)
            outputs, inputs = dots(figure)
            assert outputs["marker"]["symbol"] == ["circle" if x else "circle-open" for x in column.tolist()]
            assert outputs["y"].tolist() == [drawings.OUTPUTS] * n and inputs["y"].tolist() == [drawings.WORDS] * n
            assert inputs["marker"]["color"] == [palette.WITH if j == token else palette.WITHOUT for j in range(n)]
            assert ("exactly 0" in said(figure)) == bool((column == 0).any())
            named(figure, found.words, list(range(n)))
            told_over_its_dots(figure, list(range(n)), column)
            for i, x in enumerate(column.tolist()):
                assert outputs["text"][i].startswith(f"output of {found.words[i]}: answers to {found.words[token]} by")
                assert outputs["text"][i].endswith("exactly 0") == (x == 0)
            table = figure["layout"]["meta"]["table"]
            assert [row[2] for row in table["rows"]] == column.tolist() and table["columns"][2].startswith("‖∂output")
        assert title(both) == f"Encoder-decoder (T5): reaches {m} of {m}"
        places = [n + drawings.GAP + t for t in range(m)]
        named(both, (*found.words, *found.target), [*range(n), *places])
        told_over_its_dots(both, places, found.source[:, token])
        encoded, outputs, _, _ = dots(both)
        assert encoded["marker"]["symbol"] == ["circle"] * n and outputs["marker"]["symbol"] == ["circle"] * m
        go.Figure(both)


def test_the_third_panel_is_two_stacks_and_a_rectangle() -> None:
    found = families.reach(SIX, TARGET, 0)
    for token, frame in enumerate(drawings.reach_frames(SIX, TARGET, 0)):
        figure = frame.figures[2]
        places = [6.5, 7.5, 8.5]
        own = [line for line in curves(figure) if line[5] == palette.faded(palette.WITHOUT, 0.5)]
        assert [(places.index(a), places.index(b)) for a, _, b, *_ in own] == [
            (s, t) for s in range(3) for t in range(3) if t >= s
        ]
        for a, y0, b, y1, width, _ in own:
            assert width == wide(float(found.own[places.index(b), places.index(a)]), found)
            assert (y0, y1) == (drawings.WORDS, drawings.OUTPUTS)
        up = [line for line in curves(figure) if line[3] == drawings.ENCODED]
        assert [int(line[2]) for line in up] == list(range(6)) and all(line[0] == token for line in up)
        straight = [s for s in figure["layout"]["shapes"] if s["type"] == "line"]
        for line, stalk, strength in zip(up, straight, found.encoder[:, token].tolist(), strict=True):
            assert line[4] == stalk["line"]["width"] == wide(strength, found)
            assert (stalk["y0"], stalk["y1"]) == (drawings.ENCODED, drawings.GRID)
        grid = next(trace for trace in figure["data"] if trace["type"] == "heatmap")
        assert grid["z"].tolist() == [[1] * 6] * 3 and (grid["zmin"], grid["zmax"]) == (0, 1), "all alike: seen"
        rows = [grid["y0"] + t * grid["dy"] for t in range(3)]
        out = [line for line in curves(figure) if line[0] == 5.5]
        assert [line[1] for line in out] == pytest.approx(rows), "each row of the rectangle has its line"
        assert [line[2] for line in out] == places and all(line[3] == drawings.OUTPUTS for line in out)
        for line, strength in zip(out, found.source[:, token].tolist(), strict=True):
            assert line[4] == wide(strength, found) and line[5] == palette.WITH
        assert len(curves(figure)) == 6 + 6 + 3
        words = said(figure)
        assert "cross-attention:<br>18 of 18 seen" in words and {"source", "target", "le", "chat", "dort"} <= set(words)
        colour = {n["text"]: n["font"]["color"] for n in figure["layout"]["annotations"]}
        assert colour["source"] == palette.KEY and colour["target"] == palette.QUERY
        beside = {n["text"]: n["y"] for n in figure["layout"]["annotations"] if n.get("xanchor") == "right"}
        assert [beside[word] for word in ("le", "chat", "dort")] == pytest.approx(rows), "each row has its name"
        assert grid["text"][2][3] == "dort sees the encoder’s output of on"
        rows_told = figure["layout"]["meta"]["table"]["rows"]
        assert [row[2] for row in rows_told[:3]] == found.source[:, token].tolist() and len(rows_told) == 3 + 9


@pytest.mark.parametrize(
    ("sentence", "target", "token", "reading"),
    [
        (SIX, TARGET, 2, "“sat” reaches all 6 outputs of the encoder, 4 of the decoder, its own and what comes after, and all 3 outputs of the target, through cross-attention. For the 2 outputs before it in the decoder the derivative is exactly 0."),
        (SIX, TARGET, 0, "“the” (word 0) reaches all 6 outputs of the encoder, all 6 of the decoder too, as nothing stands before it, and all 3 outputs of the target, through cross-attention."),
        (SIX, TARGET, 5, "“mat” reaches all 6 outputs of the encoder, only its own in the decoder, as nothing comes after it, and all 3 outputs of the target, through cross-attention. For the 5 outputs before it in the decoder the derivative is exactly 0."),
        ("a b", "oui", 1, "“b” reaches both outputs of the encoder, only its own in the decoder, as nothing comes after it, and the one output of the target, through cross-attention. For the output before it in the decoder the derivative is exactly 0."),
        ("a b", "x y", 0, "“a” reaches both outputs of the encoder, both of the decoder too, as nothing stands before it, and both outputs of the target, through cross-attention."),
    ],
)  # fmt: skip
def test_what_is_said_of_a_word(sentence: str, target: str, token: int, reading: str) -> None:
    assert drawings.reach_frames(sentence, target, 0)[token].reading == reading


def test_the_rectangle_shows_what_is_hidden() -> None:
    """Were cross-attention causal, six cells would be filled, and said to be."""
    seen = families.sight(cross="past").across.all(0)
    figure = drawings.both_figure(families.reach(cross="past"), seen, 2, 1.0)
    grid = next(trace for trace in figure["data"] if trace["type"] == "heatmap")
    np.testing.assert_array_equal(grid["z"], np.tril(np.ones((3, 6))))
    assert "cross-attention:<br>6 of 18 seen" in said(figure) and "does not see" in grid["text"][0][5]
    assert grid["colorscale"][0][1] != grid["colorscale"][1][1]


def test_each_panel_says_what_its_model_is_for() -> None:
    encoder, decoder, both = drawings.reach_frames(SIX, TARGET, 0)[0].figures
    assert "trained to fill gaps" in said(encoder) and "trained to continue a text" in said(decoder)
    place = {note["text"]: note["x"] for note in both["layout"]["annotations"]}
    assert place["source"] == 2.5 < place["becomes"] < place["target"] == 7.5


def test_a_reading_counts_what_is_there() -> None:
    """Were the masks others, the sentence would be another."""
    wrong = families.reach(encoder="past", cross="none")
    reading = drawings.reach_reading(wrong, 2)
    assert "reaches 4 of 6 outputs of the encoder" in reading and "0 of 3 outputs of the target" in reading
    assert "through" not in reading


def test_words_stand_alike_in_all_panels() -> None:
    for sentence, target, angle in (
        (SIX, TARGET, 0),
        (SIX, "supercalifragilistic", -90),
        ("a b c d e f g h i j k long", "x", -90),
    ):
        frame = drawings.reach_frames(sentence, target, 0)[0]
        for figure in frame.figures:
            turned = {note.get("textangle") for note in figure["layout"]["annotations"] if "textangle" in note}
            assert turned == {angle}


def test_a_readers_words_are_text() -> None:
    hostile = "<b>&amp;</b> x"
    for figure in drawings.reach_frames(hostile, "<i>", 0)[0].figures:
        texts = said(figure) + [text for trace in dots(figure) for text in trace["text"]]
        assert not [text for text in texts if "<b>&amp;</b>" in text or "<i>" in text]
        assert any("&lt;b&gt;&amp;amp;&lt;/b&gt;" in text for text in texts)
    (frame,) = drawings.append_frames(hostile, "<i>", "<u>", "target", 0)
    assert all("<i>" not in str(figure["layout"]["xaxis"]["ticktext"]) for figure in frame.figures)


# ------------------------------------------------------------------------------------------------ one more word


@pytest.mark.parametrize("to", ["target", "source"])
def test_appending_shows_what_changes(to: families.To) -> None:
    (frame,) = drawings.append_frames(SIX, TARGET, "today", to, 2)
    found = families.append(SIX, TARGET, "today", to, 2)
    expected = {
        "encoder": "Encoder-only (BERT): keeps layer 1",
        "decoder": "Decoder-only (GPT): keeps all",
        "encoder-decoder": "Encoder-decoder (T5): keeps all"
        if to == "target"
        else "Encoder-decoder: keeps target’s layer 1",
    }
    limits = set()
    for family, figure in zip(families.FAMILIES, frame.figures, strict=True):
        change, cells = found.of(family), figure["data"][0]
        both = family == "encoder-decoder"
        words = (TARGET if both else SIX).split()
        if both:
            change, words = torch.cat([found.source.amax(1, keepdim=True), change], 1), ["source", *words]
        axes = figure["layout"]["xaxis"], figure["layout"]["yaxis"]
        for axis, names in zip(axes, (words, list(drawings.ROWS)), strict=True):
            assert list(zip(axis["tickvals"], axis["ticktext"], strict=True)) == list(enumerate(names))
        assert axes[1]["range"] == [2.5, -0.5], "the first row on top"
        np.testing.assert_array_equal(cells["z"], change.numpy().astype(np.float32))
        assert title(figure) == expected[family]
        for told, value in zip(np.ravel(cells["text"]), change.flatten().tolist(), strict=True):
            assert (told == "0") == (value == 0)
            assert told in ("0", "<.01") or float(told) == pytest.approx(value, rel=0.06)
        assert axes[0]["title"]["text"] == ("the source, or a target word" if both else "word")
        assert figure["layout"]["yaxis"]["title"]["text"] == "largest change of"
        assert [row.replace("<br>", " ").replace("keys, values", "keys and values") for row in drawings.ROWS] == list(
            families.KEPT
        )
        assert figure["layout"]["meta"]["columns"] == words
        limits.add((cells["zmin"], cells["zmax"]))
    assert limits == {(0, max(float(found.of(f).max()) for f in families.FAMILIES))}, "one scale"


@pytest.mark.parametrize(
    ("sentence", "to", "said"),
    [
        (SIX, "target", "With “today” appended, the decoder keeps all it had, exactly, and so does the target’s half of the encoder-decoder. The encoder keeps only the keys and values of layer 1: all 6 outputs change by up to 0.58."),
        (SIX, "source", "With “today” appended, the decoder keeps all it had, exactly. The encoder keeps only the keys and values of layer 1: all 6 outputs change by up to 0.58; appended to the source, it changes cross-attention’s keys and values by up to 0.54 and the target’s outputs by up to 0.44."),
        ("a b", "target", "both outputs change by up to 0.54."),
    ],
)  # fmt: skip
def test_what_is_said_of_appending(sentence: str, to: families.To, said: str) -> None:
    (frame,) = drawings.append_frames(sentence, TARGET, "today", to, 0)
    assert frame.reading.endswith(said)


def test_what_is_kept_is_counted() -> None:
    assert drawings.kept_words(torch.ones(3, 2)) == "keeps nothing"
    half = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1e-30]], dtype=torch.float64)
    assert drawings.kept_words(half) == "keeps only the keys and values of layer 1 and keys and values of layer 2"
    assert drawings.kept_words(half, short=True) == "keeps layer 1 and layer 2"


# ------------------------------------------------------------------------------------------------ both sides


def test_every_run_is_drawn_under_its_name() -> None:
    progress = training.trained()
    frame = drawings.sides_frame(progress)
    losses, sight = frame.figures
    for trace, curve in zip(losses["data"], progress.losses.flatten(0, 1), strict=True):
        np.testing.assert_array_equal(trace["y"], curve.numpy().astype(np.float32))
        assert trace["x"].tolist() == progress.at.tolist()
    names = [trace["name"] for trace in losses["data"] if trace["showlegend"]]
    assert names == ["bidirectional", "causal", "causal, asked at the end"]
    colours = [trace["line"]["color"] for trace in losses["data"][::5]]
    assert colours == [palette.WITH, palette.WITHOUT, palette.OCHRE]
    assert losses["layout"]["shapes"][0]["y0"] == training.FLOOR and said(losses) == ["ln 8 = 2.08: guessing"]
    assert losses["layout"]["yaxis"]["range"][1] > float(progress.losses.max())
    assert (losses["layout"]["xaxis"]["title"]["text"], losses["layout"]["yaxis"]["title"]["text"]) == (
        "training step",
        "loss in nats",
    )
    assert "5 seeds" in title(losses)
    words = [trace["text"][0] for trace in sight["data"] if trace.get("mode") == "text"]
    assert [w.replace("\u00a0", " ") for w in words if w.startswith("gets")] == [
        "gets 99.7 %",
        "gets 12.5 %",
        "gets 99.6 %",
    ]
    assert [w for w in words if w in "56?"] == ["5", "?", "6", "5", "?", "6", "5", "6", "?"]
    heights = {w: float(trace["y"][0]) for trace in sight["data"] if trace.get("mode") == "text" for w in trace["text"]}
    asked = [float(t["y"][0]) for t in sight["data"] if t.get("mode") == "text" and t["text"][0] == "?"]
    for name, gap in zip(names, asked, strict=True):
        assert 0 < heights[name] - gap < 34 - 10, "the name of an arm stands over its own boxes"


def test_an_arrow_for_each_neighbour_that_the_gap_sees() -> None:
    _, sight = drawings.sides_frame(training.trained()).figures
    arrows = [t for t in sight["data"] if (t.get("marker") or {}).get("symbol") == "arrow"]
    assert [t["line"]["color"] for t in arrows] == [palette.WITH] * 2 + [palette.WITHOUT] + [palette.OCHRE] * 2
    starts = [(float(t["x"][0]), float(t["x"][-1])) for t in arrows]
    assert starts[0][0] < starts[0][1] < starts[1][1] < starts[1][0], "from both sides"
    assert starts[2][0] < starts[2][1] and all(begin < end for begin, end in starts[3:]), "from the left"
    dotted = [t for t in sight["data"] if (t.get("line") or {}).get("dash") == "dot"]
    assert len(dotted) == 1 and dotted[0]["line"]["color"] == palette.MASKED


def test_the_training_reads_well_from_its_first_step() -> None:
    frames = [drawings.sides_frame(p) for p in training.train(seeds=(9999,), steps=8)]
    assert frames[0].reading.startswith("Before the first step the loss is") and "seed" in title(frames[0].figures[0])
    assert frames[2].reading.startswith("After 4 steps the loss is")
    for frame in frames:
        assert not list(faults(frame.reading)), frame.reading
        assert "cannot average less than ln 8 = 2.08 here" in frame.reading
    shipped = drawings.sides_frame(training.trained()).reading
    assert "is 0.0024 to 0.0038 nats if both sides are seen, and 2.08 under the causal mask" in shipped
    assert shipped.endswith("but asked at the end, it is 0.0031 to 0.0052.")


# ------------------------------------------------------------------------------------------------ the ledger


def test_the_ledger_shows_every_layer_in_its_own_unit() -> None:
    frames = drawings.ledger_frames()
    assert len(frames) == len(families.SHOWN)
    for name, frame in zip(families.SHOWN, frames, strict=True):
        layers, modules = frame.figures
        own, cross, feed = layers["data"]
        assert [t["name"] for t in layers["data"]] == ["self-attention", "cross-attention", "feed-forward"]
        assert [t["marker"]["color"] for t in layers["data"]] == [palette.WITHOUT, palette.WITH, palette.OCHRE]
        rows = dict(
            zip(own["y"], zip(own["x"].tolist(), cross["x"].tolist(), feed["x"].tolist(), strict=True), strict=True)
        )
        assert rows["BERT base"] == rows["GPT-2 small"] == pytest.approx((4, 0, 8), abs=0.01)
        assert rows["T5 base, decoder"] == pytest.approx((4, 4, 8), abs=1e-6)
        assert rows["T5 base, encoder"] == pytest.approx((4, 0, 8), abs=1e-6)
        assert rows["Llama 3 8B"] == pytest.approx((2.5, 0, 10.5), abs=1e-6)
        assert len(rows) == 10
        for trace in layers["data"]:
            counts = {n: parts[trace["name"]] for _, n, parts, _ in drawings.named_layers()}
            assert trace["customdata"] == [f"{counts[n]:,}" for n in trace["y"]], "under the mouse its own number"
            full = [label for label, o in zip(trace["y"], trace["marker"]["opacity"], strict=True) if o == 1]
            assert full and all(label.startswith(name) for label in full)
        many = {t["name"]: dict(zip(t["y"], t["x"].tolist(), strict=True)) for t in modules["data"]}
        for model in families.SHOWN:
            one = families.ledger(model)
            assert many["self-attention"][model] == one.self_attentions
            assert many["cross-attention"][model] == one.cross_attentions
        assert modules["data"][1]["text"] == [str(families.ledger(m).cross_attentions) for m in families.SHOWN]
        assert [o == 1 for o in modules["data"][0]["marker"]["opacity"]] == [m == name for m in families.SHOWN]
        assert (
            layers["layout"]["xaxis"]["title"]["text"].startswith("in units of d²")
            and title(layers) == "Parameters of one layer"
        )
        assert modules["layout"]["xaxis"]["title"]["text"] == "modules"
        for row in layers["layout"]["meta"]["table"]["rows"]:
            assert sum(row[2:]) in {sum(parts.values()) for m in families.SHOWN for parts in families.ledger(m).stacks}
        assert drawings.PURPOSES[name] in frame.reading


def test_what_is_said_of_a_model() -> None:
    said = dict(zip(families.SHOWN, (frame.reading for frame in drawings.ledger_frames()), strict=True))
    assert said["GPT-2 small"].startswith(
        "GPT-2 small is decoder-only: a layer has 7,087,872 parameters, and none of its 12 layers has cross-attention."
    )
    assert said["BERT base"].startswith("BERT base is encoder-only: a layer has 7,087,872 parameters, and none")
    assert said["T5 base"].startswith(
        "T5 base: an encoder layer has 7,079,424 parameters, a decoder layer 2,360,064 more for cross-attention, 4 d² + d: four matrices (4 d²) and a norm (d), no biases."
    )
    for name, more in (("Transformer base (2017)", "1,051,648"), ("BART large", "4,200,448")):
        formula = "4 d² + 6 d: four matrices (4 d²), their biases (4 d) and a LayerNorm (2 d)."
        assert f"{more} more for cross-attention, {formula}" in said[name]
    assert "(2.5 d² for attention, whose heads share keys and values, 10.5 d² for a gated" in said["Llama 3 8B"]


def test_the_card_is_the_hero_at_its_defaults() -> None:
    assert drawings.card().reading == drawings.reach_frames(SIX, TARGET, 0)[2].reading
