"""Question 9: what the drawings show is what was measured, and their readings say what they show."""

import math
import re

import numpy as np
import pytest
import torch

from core.experiments import padding
from core.say import number, percent
from tests.test_pages import LESSONS, opened
from tests.test_pages import figures as sent
from tests.test_readings import faults
from ui import figures, palette
from ui.drawings import padding as drawings
from ui.drawings.masking import shown
from ui.figures import Figure

THREE = padding.SENTENCES
DRAWINGS = (
    drawings.batch_frames,
    drawings.ways_frames,
    drawings.sides_frames,
    drawings.convention_frames,
    drawings.waste_frames,
    drawings.packed_frames,
)


def title(figure: Figure) -> str:
    return figure["layout"]["title"]["text"]


def named(figure: Figure, name: str) -> dict:
    return next(trace for trace in figure["data"] if trace.get("name") == name)


def boxes(trace: dict) -> np.ndarray:
    """Rectangles of a line with gaps: left, right, bottom, top."""
    x, y = (trace[axis].reshape(-1, 6)[:, :5] for axis in "xy")
    return np.stack([x.min(1), x.max(1), y.min(1), y.max(1)], 1)


# ------------------------------------------------------------------------------------------------ the hero


@pytest.mark.parametrize("pad", tuple(drawings.PAD_NAMES))
@pytest.mark.parametrize("sentences", [THREE, ("no", "a b c d e f g h", "no no"), ("a b", "c d", "e f")])
def test_the_batch_is_drawn_as_it_is(pad: padding.Pad, sentences: tuple[str, str, str]) -> None:
    frames = drawings.batch_frames(*sentences, pad, 3)
    assert len(frames) == len(padding.EXTRA)
    for extra, frame in zip(padding.EXTRA, frames, strict=True):
        made, (picture, _) = padding.padded(sentences, extra, pad, 3), frame.figures
        assert title(picture) == "Keep-mask 1 or 0; below, each last word’s weight on pads"
        words, pads = boxes(named(picture, "word: keep 1")), boxes(named(picture, "pad: keep 0"))
        assert len(words) == int(made.keep.sum()) and len(pads) == int((~made.keep).sum())
        assert named(picture, "word: keep 1")["line"]["color"] == palette.INK
        assert "dash" not in named(picture, "word: keep 1")["line"] and named(picture, "pad: keep 0")["line"]["dash"]
        texts = [trace for trace in picture["data"] if trace["mode"] == "text"]
        told = [text for trace in texts[:2] for text in trace["text"]]
        assert told.count("1") == len(words) and len(texts[0]["text"]) == len(words)
        assert texts[3]["text"] == ["0"] * len(pads)
        assert texts[2]["text"] == ["pads" if one > 1 else "pad" for one in made.pads if one]
        # Strips: as long as the weights of the last words, to scale.
        free, masked = (boxes(named(picture, f"weights with{way}")) for way in ("out a mask", " the pads masked"))
        whole = max(masked[:, 1])
        assert whole < picture["layout"]["xaxis"]["range"][1] * 0.75  # no number is written over a strip
        wide = np.concatenate(
            [(weights[keep] * whole).numpy() for weights, keep in zip(made.weights, made.keep, strict=True)]
        )
        np.testing.assert_allclose(free[:, 1] - free[:, 0], wide, atol=2e-4)
        ends = [masked[np.isclose(masked[:, 2], low), 1].max() for low in (2.05, 1.05, 0.05)]
        np.testing.assert_allclose(ends, [whole] * 3, rtol=1e-5)
        lost = boxes(named(picture, "weight that goes to pads"))
        shares = [float(made.weights[b][~made.keep[b]].sum()) for b in range(3)]
        np.testing.assert_allclose(lost[:, 1] - lost[:, 0], [share * whole for share in shares if share], atol=2e-4)
        notes = texts[4]["text"]
        assert notes[0::2] == [f"no mask: {percent(s)}" for s in shares]
        assert notes[1::2] == [f"masked: {percent(0)}"] * 3
        assert min(texts[4]["x"]) > whole
        # The pointer is told the weight of the word it is over.
        hints = next(trace for trace in picture["data"] if trace.get("hoverinfo") == "text")["text"]
        said = [
            f"{word}: {shown(float(weights[b][j]))}"
            for b, words_ in enumerate(made.words)
            for weights in (made.weights, made.masked)
            for j, word in enumerate(words_)
        ]
        assert hints == said
        assert named(picture, "weights without a mask")["line"]["color"] == palette.faded(palette.WITHOUT, 0.6)
        table = picture["layout"]["meta"]["table"]
        assert [row[2] for row in table["rows"]] == made.keep.int().flatten().tolist()
        for column, wanted in (
            ("weight without a mask", made.weights),
            ("weight with the pads masked", made.masked),
            ("difference without a mask", made.off),
            ("with the pads masked", made.off_masked),
        ):
            cells = [row[table["columns"].index(column)] for row in table["rows"]]
            np.testing.assert_array_equal(np.array(cells, float), wanted.flatten().numpy())


@pytest.mark.parametrize("pad", tuple(drawings.PAD_NAMES))
def test_points_lie_on_the_law_and_masked_ones_at_0(pad: padding.Pad) -> None:
    frames = drawings.batch_frames(*THREE, pad, 5)
    ends = [len(sentence.split()) - 1 for sentence in THREE]
    made = [padding.padded(THREE, extra, pad, 5) for extra in padding.EXTRA]
    for i, frame in enumerate(frames):
        chart = frame.figures[1]
        assert title(chart) == "How far each last word’s output is from the sentence run alone"
        assert chart["layout"]["xaxis"]["title"]["text"] == "P, pads of the sentence"
        assert chart["layout"]["yaxis"]["title"]["text"] == "difference ÷ output alone"
        line, free, masked, free_now, masked_now, labels = chart["data"]
        assert line["name"] == ("law: weight on pads" if pad == "zeros" else "law with the pad’s own logit")
        assert (free["name"], masked["name"]) == ("no mask", "pads masked")
        assert (free["marker"]["color"], masked["marker"]["color"]) == (palette.WITHOUT, palette.WITH)
        off = [float(one.off[b, end]) for b, end in enumerate(ends) for one in made]
        np.testing.assert_allclose(free["y"], np.float32(off))
        assert float(np.abs(masked["y"]).max()) < 1e-10 and masked["x"].tolist() == free["x"].tolist()
        assert free_now["x"].tolist() == masked_now["x"].tolist() == made[i].pads
        assert float(np.abs(masked_now["y"]).max()) < 1e-10 and masked_now["marker"]["color"] == palette.WITH
        np.testing.assert_allclose(free_now["y"], [np.float32(made[i].off[b, end]) for b, end in enumerate(ends)])
        # The line passes through every point, sentence by sentence.
        pieces = np.split(line["y"], np.flatnonzero(np.isnan(line["y"])) + 1)[:3]
        for b, piece in enumerate(pieces):
            at = (np.array([one.pads[b] for one in made]) / drawings.STEP).astype(int)
            np.testing.assert_allclose(piece[at], np.float32([float(one.off[b, ends[b]]) for one in made]), atol=1e-6)
            assert piece[0] == 0
        assert [text.strip() for text in labels["text"]] == ["…mat", "…bark", "…dawn"]
        assert set(labels["x"]) == {max(free["x"])}
        heights = np.sort(labels["y"])
        assert (np.diff(heights) > 0.07 * max(np.nanmax(line["y"]), 1e-9)).all()
        low, high = chart["layout"]["yaxis"]["range"]
        assert low < 0 and high > float(np.nanmax(line["y"])) and high > max(free["y"])


def test_readings_of_the_batch() -> None:
    frames = drawings.batch_frames(*THREE, "zeros", 0)
    made = padding.padded()
    off = made.off[made.keep]
    low, high = percent(float(off.min())), percent(float(off.max()))
    assert (
        f"the 12 words beside pads differ from the sentence alone by {low} to {high} without a mask"
        in frames[4].reading
    )
    assert number(float(made.off_masked[made.keep].max()), 2) in frames[4].reading
    assert "the 6 words beside pads" in frames[0].reading  # the longest sentence has none yet
    even = drawings.batch_frames("a b", "c d", "e f", "zeros", 0)[0].reading
    assert "nobody needs a pad" in even and "law" not in even
    one = drawings.batch_frames("a b", "c d", "no", "zeros", 0)[0].reading
    assert "the one word beside pads has an output that differs" in one and "it differs" in one
    words = ("supercalifragilistic x", "x", "x y")  # the one word beside a pad is exact; one without is off by rounding
    far = padding.padded(words, 0)
    assert far.off_masked[1, 0] == 0 < far.off_masked[0, :2].max()
    assert "it differs by exactly 0" in drawings.batch_frames(*words, "zeros", 0)[0].reading
    assert "own logit" in drawings.batch_frames(*THREE, "own", 0)[4].reading


def test_long_words_are_cut_until_they_fit() -> None:
    last = padding.padded(("extraordinary " * 8, "a", "b"), padding.EXTRA[-1])
    said, edges = drawings.columns_of(last)
    assert edges[-1] <= drawings.ROOM and all(word.endswith("…") for word in said[0])
    short, wide = drawings.columns_of(padding.padded(THREE, padding.EXTRA[-1]))
    assert short == [sentence.split() for sentence in THREE] and (np.diff(wide) > 0).all()


# ------------------------------------------------------------------------------------------------ the looks


@pytest.mark.parametrize("empty", tuple(drawings.EMPTY))
def test_columns_and_rows_are_drawn(empty: padding.Empty) -> None:
    (frame,) = drawings.ways_frames("dogs bark", empty, 2)
    *grids, told = frame.figures
    assert [title(grid) for grid in grids] == [
        "Pads masked as rows",
        "Pads masked as columns",
        "Pads masked as rows and columns",
    ]
    for way, grid in zip(("rows", "columns", "both"), grids, strict=True):
        made = padding.mask_as(way, empty, "dogs bark", 2)  # type: ignore[arg-type]
        assert np.array_equal(grid["data"][0]["customdata"], figures.numbers(made.weights), equal_nan=True)
        cells = np.zeros((6, 6), bool)
        cells[grid["data"][1]["y"].astype(int), grid["data"][1]["x"].astype(int)] = True
        assert np.array_equal(cells, (~made.seen & (made.weights == 0)).numpy())
        assert len(grid["data"]) == (3 if made.weights.isnan().any() else 2)
    values = told["data"][0]["customdata"]
    for row, way in zip(values, drawings.WAYS, strict=True):
        made = padding.mask_as(way, empty, "dogs bark", 2)
        assert np.array_equal(row, np.float32([*made.off.tolist(), made.pads]), equal_nan=True)
    assert told["layout"]["yaxis"]["ticktext"] == list(drawings.WAYS.values())
    assert told["layout"]["xaxis"]["ticktext"] == ["words<br>layer 1", "words<br>layer 2", "pads<br>size"]
    assert ("make the pads NaN" in frame.reading) == (empty == "written")
    assert ("exactly 0" in frame.reading) == (empty == "sdpa") and ("plain average" in frame.reading) == (
        empty == "lowest"
    )
    assert drawings.alike(float(padding.mask_as("columns", empty, "dogs bark", 2).off.max())) in frame.reading


def test_sides_are_drawn_in_their_order() -> None:
    for scheme in drawings.ADDED:
        (frame,) = drawings.sides_frames("dogs bark", scheme, 1)
        values = frame.figures[0]["data"][0]["customdata"]
        for row, setup in zip(values, padding.SETUPS, strict=True):
            wanted = [padding.side(setup, c, way, "dogs bark", 1) for way in (scheme, "rope") for c in (True, False)]  # type: ignore[arg-type]
            np.testing.assert_allclose(row, np.float32(wanted))  # NaN where NaN is wanted
        assert frame.figures[0]["layout"]["yaxis"]["ticktext"] == list(drawings.SIDES)
        assert frame.figures[0]["layout"]["xaxis"]["ticktext"][0] == "added<br>causal"
        shifted = max(padding.side("left, mask", c, scheme, "dogs bark", 1) for c in (True, False))
        assert f"up to {percent(shifted)} off by the mask alone" in frame.reading
        right = max(padding.side("right, nothing", True, way, "dogs bark", 1) for way in (scheme, "rope"))  # type: ignore[arg-type]
        assert f"no mask (off by {number(right, 2)})" in frame.reading
        full = max(padding.side("left, mask and ids", c, scheme, "dogs bark", 1) for c in (True, False))
        assert f"{number(full, 2)} with position ids too" in frame.reading
        nobody = frame.figures[0]["data"][0]["customdata"][padding.SETUPS.index("left, mask and ids, written")]
        assert np.isnan(nobody).tolist() == [True, False, True, False] and "makes each word NaN" in frame.reading
    assert [side.startswith("left") for side in drawings.SIDES] == [
        setup.startswith("left") for setup in padding.SETUPS
    ]
    assert ["ids" in side for side in drawings.SIDES] == ["ids" in setup for setup in padding.SETUPS]
    for side, setup in zip(drawings.SIDES, padding.SETUPS, strict=True):
        assert ("mask" in side and "no mask" not in side) == ("mask" in setup or setup == "end")


def test_conventions_are_drawn_in_their_order() -> None:
    found = padding.conventions("dogs bark", 4, pad="own")
    (frame,) = drawings.convention_frames("dogs bark", "own", 4)
    right, wrong, told = frame.figures
    assert np.array_equal(right["data"][0]["customdata"], figures.numbers(found.right))
    assert np.array_equal(wrong["data"][0]["customdata"], figures.numbers(found.wrong))
    assert len(right["data"][1]["x"]) == 16 and sorted(set(right["data"][1]["x"].tolist())) == [2, 3, 4, 5]
    assert sorted(zip(wrong["data"][1]["y"].tolist(), wrong["data"][1]["x"].tolist(), strict=True)) == [
        (r, c) for r in (0, 1, 3) for c in (0, 1)
    ]
    assert np.array_equal(
        told["data"][0]["customdata"], figures.numbers(torch.stack([found.off_right, found.off_wrong], 1))
    )
    for grid, wants in (
        (right, ["True = pad", "True = word", "0 or −∞, added", "1 = word"]),
        (wrong, ["True = word", "True = pad", "1 or 0, added", "1 = pad"]),
    ):
        names = ["nn.MultiheadAttention", "torch SDPA, bool", "torch SDPA, float", "Hugging Face"]
        assert grid["layout"]["yaxis"]["ticktext"] == [f"{a}<br>{b}" for a, b in zip(names, wants, strict=True)]
    assert "“bark”" in title(right) and percent(float(found.wrong[2, 2:].sum())) in frame.reading
    (hostile,) = drawings.convention_frames("<b>", "zeros", 0)
    assert "&lt;b&gt;" in title(hostile.figures[0])


def test_rows_are_drawn_to_scale() -> None:
    for frame, how in zip(drawings.waste_frames((5, 3, 2, 2), 2), padding.BATCHINGS, strict=True):
        picture, shares = frame.figures
        one = padding.cost((5, 3, 2, 2), how, 2)
        real = boxes(named(picture, "tokens"))
        assert int((real[:, 1] - real[:, 0]).sum().round()) == one.real == 12
        pads = named(picture, "pads")
        gone = boxes(pads) if len(pads["x"]) else np.zeros((0, 4))
        assert int((gone[:, 1] - gone[:, 0]).sum().round()) == one.slots - one.real
        assert f"{one.slots} places" in title(picture)
        tokens, pairs = named(shares, "tokens"), named(shares, "pairs of tokens")
        assert tokens["y"][padding.BATCHINGS.index(how)] == pytest.approx(one.real / one.slots)
        assert pairs["y"][padding.BATCHINGS.index(how)] == pytest.approx(one.pairs / one.scores)
        wasted = one.slots > one.real or one.scores > one.pairs
        assert (percent(one.real / one.slots) in frame.reading and f"{one.scores:,} scores" in frame.reading) == wasted
    assert "only a kernel" in drawings.waste_frames((5, 3, 2, 2), 2)[2].reading
    assert all("nothing is wasted" in frame.reading for frame in drawings.waste_frames((7, 7), 2)[:2])


def test_packed_sentences_and_losses_are_drawn() -> None:
    (frame,) = drawings.packed_frames(*THREE, (4, 2), 1)
    grid, bars = frame.figures
    weights, seen = padding.packed_weights(THREE, 1)
    assert np.array_equal(grid["data"][0]["customdata"], figures.numbers(weights))
    assert len(grid["data"][1]["x"]) == int((~seen).sum())
    loss = padding.losses((4, 2), seed=1)
    np.testing.assert_allclose(bars["data"][0]["y"], np.float32([loss[one] for one in padding.DENOMINATORS]))
    assert bars["data"][0]["text"] == [number(loss[one]) for one in padding.DENOMINATORS]
    beside = dict(zip(drawings.LOSSES, padding.DENOMINATORS, strict=True))
    assert beside == {
        "pads skipped": "tokens",
        "pads skipped, ÷ all places": "slots",
        "sequence by sequence": "sequences",
        "pads as targets": "pads too",
    }
    assert bars["data"][0]["x"] == [name.replace(" ", "<br>", 1) for name in beside]
    for key, said in (
        ("tokens", "per real token"),
        ("slots", "divided by"),
        ("sequences", "averaged sequence"),
        ("pads too", "with pads as"),
    ):
        assert f"{number(loss[key])} {'nats ' if key == 'tokens' else ''}{said}" in frame.reading  # type: ignore[index]
    assert drawings.alike(padding.pack(True, True, THREE, "sinusoidal", 1)) in frame.reading
    (even,) = drawings.packed_frames(*THREE, (3, 3), 1)
    assert "however it is averaged" in even.reading


@pytest.mark.parametrize("seed", [1, 17, 4321])
def test_readings_are_lawful_for_any_seed(seed: int) -> None:
    frames = [*drawings.batch_frames("a b", "c", "d e f", "own", seed), *drawings.sides_frames("a", "sinusoidal", seed)]
    frames += [*drawings.ways_frames("a", "lowest", seed), *drawings.convention_frames("a", "zeros", seed)]
    for frame in frames:
        assert not list(faults(frame.reading)), frame.reading
        assert not re.search(r"\bnan\b", frame.reading)


def test_the_card_is_the_hero_at_its_defaults() -> None:
    assert drawings.card().reading == drawings.batch_frames(*THREE, "zeros", 0)[4].reading
    assert not math.isnan(padding.padded().rounding)


@pytest.mark.parametrize("look", ["", "columns", "sides", "conventions", "waste"])
def test_every_look_is_drawn_with_the_seed_of_the_page(look: str) -> None:
    (page,) = (path for path in LESSONS if path.name == "09_padding.py")
    app = opened(page, look=look, padding_seed="7")
    read = [reading for head, _ in sent(app) for reading in head["readings"]]
    (frame, *_) = {
        "": lambda: drawings.batch_frames(*THREE, "zeros", 7),
        "columns": lambda: drawings.ways_frames("dogs bark", "written", 7),
        "sides": lambda: drawings.sides_frames("dogs bark", "table", 7),
        "conventions": lambda: drawings.convention_frames("dogs bark", "zeros", 7),
        "waste": lambda: drawings.packed_frames(*THREE, (512, 64, 32, 16), 7),
    }[look]()
    assert frame.reading in read
