"""What question 15 makes of the counts: areas, bars, tables and sentences, for every published model; and its page."""

import re
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.experiments import parameters
from core.models import built_counts
from core.ops import counting
from core.ops.counting import Architecture
from core.presets import PRESETS, preset
from tests.test_readings import faults
from ui.drawings import parameters as drawings
from ui.sweep.packing import pack

FILE = Path(__file__).parent.parent / "pages" / "15_parameters.py"
GPT, LLAMA = preset("GPT-2 small"), preset("Llama 3 8B")
every_model = pytest.mark.parametrize("name", PRESETS)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


# ------------------------------------------------------------------------------------------------ one layer, and the whole


@every_model
def test_the_areas_are_the_parameters(name: str) -> None:
    a = preset(name)
    drawn = [t for t in drawings.tiles(a) if not t.outline]
    matrices = sum(t.per_block for t in a.terms if t.place != "model" and t.matrix)
    assert sum(t.wide * t.high for t in drawn) * a.d_model**2 == pytest.approx(matrices)
    assert len({t.at for t in drawn}) == len(drawn), "two matrices in one place"
    (rule,) = [t for t in drawings.tiles(a) if t.outline]
    assert (rule.wide, rule.high) == (4, 3)
    top = max(t.at[1] + t.high for t in drawn if t.at)
    assert rule.at is not None and rule.at[1] + rule.high == top, "the rule begins where the matrices do"
    assert min(t.at[1] for t in drawn if t.at) == 0
    query = next(t for t in drawn if t.name == "W_Q")
    assert query.at == (0, top - 1), "reading begins at the top left, with W_Q"


def test_no_two_matrices_of_a_layer_look_alike() -> None:
    for name in parameters.SHOWN:
        colours = {t.name: t.colour for t in drawings.tiles(preset(name)) if not t.outline}
        assert len(set(colours.values())) == len(colours) >= 6, name


@every_model
def test_the_readings_of_a_model(name: str) -> None:
    a = preset(name)
    (own,), (whole,) = drawings.own_frames(a, name), drawings.whole_frames(a, name)
    said, layer = plain(own.reading), [t for t in a.terms if t.place != "model"]
    total, matrices = sum(t.per_block for t in layer), sum(t.per_block for t in layer if t.matrix)
    assert f"layer of {name}" in said and f" has {total:,} parameters: " in said
    assert ("too few" in said) == (12 * a.d_model**2 < total)
    assert ("too many" in said) == (12 * a.d_model**2 > total)
    # “about” unless both numbers are exact.
    about, squares, linear = re.search(
        r"parameters: (about )?([\d.]+) d² in matrices and (?:([\d.]+) d in|nothing else)", said
    ).groups()
    assert float(squares) == pytest.approx(matrices / a.d_model**2, rel=0.005)
    assert float(linear or 0) == pytest.approx((total - matrices) / a.d_model, rel=0.005)
    exact = Fraction(squares) * a.d_model**2 == matrices and Fraction(linear or 0) * a.d_model == total - matrices
    if not about:
        assert exact, said
    biased = any((a.qkv_bias, a.key_bias, a.out_bias, a.ffn_bias, a.sinks))
    assert ("biases" in said, "norms" in said) == (biased, a.norm != "no parameters")
    assert ("with cross-attention" in said) == bool(a.decoder_layers)
    assert f"{a.parameters:,} parameters" in whole.reading
    assert sum(whole.figures[0]["data"][0]["y"]) == pytest.approx(a.parameters, rel=1e-6)
    (bars,) = whole.figures[0]["data"]
    heights = dict(zip(bars["x"], (float(y) for y in bars["y"]), strict=True))
    assert heights == pytest.approx(
        {drawings.PART_LABELS.get(p, p): n for p, n in counting.by_part(a).items()}, rel=1e-6
    )
    for frame in (own, whole):
        assert not list(faults(frame.reading)), frame.reading
    words = written(own.figures[1])
    assert words[0] == f"{total:,}" and words[-1] == f"d = {a.d_model:,}; formula and built module: the same"


def beside(figure: dict) -> list[dict]:
    """The notes of the hero's figure that are no names of matrices and no ticks."""
    found = [note for note in figure["layout"]["annotations"] if "xanchor" in note]
    return [{**note, "text": plain(note["text"])} for note in found]


def written(figure: dict) -> list[str]:
    """The words of a diagram, in their order."""
    return [plain(trace["text"][0]) for trace in figure["data"]]


def test_the_count_beside_the_picture() -> None:
    gpt2 = ["7,087,872", "= 12 d² + 13 d", "attention", "4 d²", "feed-forward", "8 d²"]
    gpt2 += ["biases and norms", "13 d, too thin to draw", "d = 768; formula and built module: the same"]
    assert written(drawings.tally(GPT, 7_087_872)) == gpt2
    assert written(drawings.tally(GPT, 7_087_873))[-1] == "d = 768; built module: 7,087,873, not the same"
    assert written(drawings.tally(LLAMA, 218_112_000))[1] == "= 13 d² + 2 d"
    assert written(drawings.tally(preset("Gemma 7B"), 1))[1] == "≈ 29.3 d² + 2 d"
    olmo = written(drawings.tally(preset("OLMo 7B"), 202_375_168))
    assert olmo[1] == "≈ 12.1 d²" and "too thin to draw" not in " ".join(olmo)
    for name in parameters.SHOWN:
        a = preset(name)
        rows = dict(drawings.tally(a, parameters.built_block(a).parameters)["layout"]["meta"]["table"]["rows"])
        assert rows.pop("one layer by formula") == rows.pop("one layer as built") == sum(rows.values()) == a.block


def test_the_readings_of_some_models_word_for_word() -> None:
    def layer(a: Architecture) -> str:
        return plain(drawings.layer_reading(a, "it"))

    assert layer(GPT) == (
        "One layer of it has 7,087,872 parameters: 12 d² in matrices and 13 d in biases and norms, at d = 768. The rule 12 d² "
        "counts 0.14 % too few."
    )
    assert "about 29.3 d²" in layer(preset("Gemma 7B")) and "counts 59 % too few" in layer(preset("Gemma 7B"))
    assert "about 4 d²" in layer(replace(GPT, d_ff=1)), "rounded, and said so"
    mixtral = layer(preset("Mixtral 8x7B"))
    assert (
        "about 86.5 d² in matrices and 2 d in norms, at d = 4,096; a token, sent to 2 of 8 experts, uses about 23.5 d²."
        in mixtral
    )
    assert "a token" not in layer(LLAMA)
    assert "and nothing else" in layer(preset("OLMo 7B"))
    plain_gpt = replace(GPT, norm="no parameters", qkv_bias=False, out_bias=False, ffn_bias=False)
    assert layer(plain_gpt).endswith("The rule 12 d² is exact.")
    assert "9 d in biases," in layer(replace(GPT, norm="no parameters"))
    assert layer(preset("T5 small")).startswith("One decoder layer of it")
    whole = plain(drawings.whole_frames(preset("ALBERT base v2"), "it")[0].reading)
    assert "12 d² × 12 layers is 630 % too many" in whole
    assert "whose 12 layers share the parameters of one." in whole
    mixture = drawings.whole_frames(preset("Mixtral 8x7B"), "it")[0].reading
    assert "meets 2 of 8 experts and uses 12,879,925,248, embeddings counted whole." in mixture
    assert "experts" not in drawings.whole_frames(GPT, "it")[0].reading


# ------------------------------------------------------------------------------------------------ the hero


def test_one_frame_for_each_model_and_it_is_the_models() -> None:
    frames = drawings.layer_frames("as published", "as published")
    for name, frame in zip(parameters.SHOWN, frames, strict=True):
        a, (drawn,) = preset(name), frame.figures
        assert plain(frame.reading) == plain(drawings.layer_reading(a, name))
        table = drawn["layout"]["meta"]["table"]["rows"]
        assert sum(row[-1] for row in table) == sum(t.per_block for t in a.terms if t.place == "block" and t.matrix)
        labels, total = beside(drawn)[:-4], beside(drawn)[-4:]
        assert [note["text"] for note in total][:2] == [f"{a.block:,}", written(drawings.tally(a, a.block))[1]]
        assert total[-1]["text"] == f"d = {a.d_model:,}<br>formula and built module:<br>the same"
        of = drawings.added_up(a)
        assert [note["text"].split("<b>")[1][:-4] for note in labels] == [
            n.replace("\u00a0", " ") for _, n in drawings.rows_of(of)
        ]
        # Labels stand right of the matrices, at the height of their rows; the count right of all that a phone shows.
        across, high = drawings.extent(a)
        assert all(across < note["x"] < drawn["layout"]["xaxis"]["range"][1] for note in labels), name
        assert labels[0]["y"] == high - 0.5 and labels[1]["y"] == (high - 1) / 2, name
        pixels = (drawings.HERO - 62) / np.ptp(drawn["layout"]["yaxis"]["range"])  # of d, where the height decides
        for note in total:
            assert (
                note["x"] > drawn["layout"]["xaxis"]["range"][1]
                and drawings.COUNT <= note["x"] * pixels + 1e-9 <= drawings.COUNT + 10
            ), name
        # All of the layer, and of the dotted frame, is in view.
        for axis, range_ in ((axis, drawn["layout"][f"{axis}axis"]["range"]) for axis in "xy"):
            drawn_at = np.concatenate([np.asarray(trace[axis], float) for trace in drawn["data"]])
            assert range_[0] <= np.nanmin(drawn_at) and np.nanmax(drawn_at) <= range_[1], (name, axis)
    assert len(pack(frames)) < 1_000_000
    assert drawings.card().reading == frames[0].reading


def test_the_controls_beside_the_hero_do_what_they_say() -> None:
    def said(name: str, heads: str, gate: str) -> tuple[str, int]:
        a, called = drawings.varied(name, heads, gate)
        return called, a.block

    published = "as published"
    assert said("Llama 3 8B", published, published) == ("Llama 3 8B", LLAMA.block)
    full = "Llama 3 8B with a key/value head for every query head"
    assert said("Llama 3 8B", "one per query", published) == (full, replace(LLAMA, n_kv_heads=32).block)
    alone = replace(LLAMA, n_kv_heads=1, gated=False).block
    bare = "Llama 3 8B with one key/value head and no gate (d_ff unchanged)"
    assert said("Llama 3 8B", "one for all", "not gated") == (bare, alone)
    assert said("GPT-2 small", "one per query", "not gated") == ("GPT-2 small", GPT.block)
    gated = GPT.block + 4 * 768**2 + 4 * 768  # one more matrix, and its bias
    assert said("GPT-2 small", published, "gated") == ("GPT-2 small with a gate (d_ff unchanged)", gated)
    assert said("Falcon 7B", "one for all", published)[0] == "Falcon 7B"


@pytest.mark.parametrize("gate", drawings.GATES)
@pytest.mark.parametrize("kv_heads", drawings.KV_HEADS)
def test_the_picture_is_of_the_layer_that_the_controls_ask_for(kv_heads: str, gate: str) -> None:
    """Its table, its areas, the count beside it and the sentence below: all of the same design, not of the published one."""
    for name, frame in zip(parameters.SHOWN, drawings.layer_frames(kv_heads, gate), strict=True):
        a, called = drawings.varied(name, kv_heads, gate)
        (drawn,) = frame.figures
        rows = drawn["layout"]["meta"]["table"]["rows"]
        of = {row[0]: row[-1] for row in rows}
        assert sum(of.values()) == a.block_matrices, name
        assert of["W_K"] == of["W_V"] == a.kv_heads * a.d_head * a.d_model and ("W_gate" in of) == a.gated, name
        area = 0.0
        for trace in drawn["data"]:
            if trace["name"] in of:
                x, y = np.asarray(trace["x"], float), np.asarray(trace["y"], float)
                gaps = np.flatnonzero(np.isnan(x))
                for one, other in zip(np.split(x, gaps), np.split(y, gaps), strict=True):
                    area += float(np.ptp(one[~np.isnan(one)]) * np.ptp(other[~np.isnan(other)]))
        assert area * a.d_model**2 == pytest.approx(a.block_matrices, rel=1e-4), name
        assert f"{a.block:,}" in [
            note["text"] for note in beside(drawn)
        ] and f"{called} has {a.block:,} parameters" in plain(frame.reading)


@every_model
def test_the_tables_to_take_away_are_the_counts(name: str) -> None:
    """Not the corners of rectangles: matrix, part, rows, columns, copies, parameters, as plain numbers and words."""
    a = preset(name)
    for frames, total in (
        (drawings.own_frames(a, name), sum(t.per_block for t in a.terms if t.place != "model" and t.matrix)),
        (drawings.whole_frames(a, name), a.parameters),
    ):
        table = frames[0].figures[0]["layout"]["meta"]["table"]
        assert table["columns"][1:] == ["part", "rows", "columns", "copies", "parameters"]
        assert all([type(cell) for cell in row] == [str, str, int, int, int, int] for row in table["rows"])
        assert all(r * c * n == product for *_, r, c, n, product in table["rows"])
        assert sum(row[-1] for row in table["rows"]) == total
        assert len({row[0] for row in table["rows"]}) == len(table["rows"])
        pack(frames)  # it can be sent


def test_thousands_of_experts_are_few_traces() -> None:
    for experts, gated in ((1024, True), (4096, True), (4096, False)):
        a = replace(GPT, experts=experts, n_layers=2, gated=gated)
        (frame,) = drawings.own_frames(a, "it")
        picture = frame.figures[0]
        assert len(picture["data"]) == 4 + 1 + (3 if gated else 2) + 1, (
            "W_Q … W_O, the router, one per matrix, the rule"
        )
        assert len(picture["layout"].get("annotations", [])) < 40
        up = next(trace for trace in picture["data"] if trace["name"] == "W_up")
        assert np.isnan(up["x"]).sum() == np.isnan(up["y"]).sum() == experts - 1
        assert up["text"] == f"W_up: feed-forward, 3,072 × 768 = 2,359,296, one of {experts:,}"
        assert len(pack([frame])) < 1_000_000, "small enough to be kept"
        # What the browser draws: a node for each outline, and one for a trace of areas.
        outlines = [np.isnan(t["x"]).sum() + 1 for t in picture["data"] if t["mode"] == "lines"]
        assert sum(outlines) < 20


def test_the_table_compares_two_counts() -> None:
    a = preset("T5 small")
    _, built = built_counts(a)

    def rows(counts: dict) -> list[list[str]]:
        lines = drawings.table(a, counts).splitlines()
        return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]

    same = [row[2] for row in rows(built)]
    assert len(same) == len(a.terms) and not any("≠" in cell for cell in same)
    assert len({row[0] for row in rows(built)}) == len(same)
    wrong = [row[2] for row in rows({**built, "attention.query.weight": 1})]
    assert ["≠" in cell for cell in wrong].count(True) == 1
    assert rows(built)[2][1] == "d · h·dₕ: 12 × 512 × 512"
    assert sum(int(cell.replace(",", "")) for cell in same) == a.parameters


# ------------------------------------------------------------------------------------------------ controls


@pytest.mark.parametrize(
    ("key", "word", "changed"),
    [
        ("gated", "gated, three", {"gated": True}),
        ("gated", "two matrices", {"gated": False}),
        ("norm", "RMSNorm", {"norm": "rms"}),
        ("norm", "LayerNorm without bias", {"norm": "layer, no bias"}),
        ("head", "a matrix of its own", {"head": "untied"}),
        ("head", "tied to the embedding", {"head": "tied"}),
        ("sharing", "one block, shared", {"shared_layers": True}),
    ],
)
def test_a_switch_does_what_it_says(key: str, word: str, changed: dict) -> None:
    assert drawings.SWITCHES[key][word] == changed


def test_every_choice_begins_with_what_is_published_and_is_legal() -> None:
    for key, words in drawings.SWITCHES.items():
        assert next(iter(words)) == "as published" and words["as published"] == {}
        for name in ("GPT-2 small", "BERT base", "T5 small", "GPT-J 6B", "gpt-oss 20B"):
            for change in words.values():
                assert parameters.changed(preset(name), change).parameters > 0, key


def test_any_combination_of_biases_can_be_chosen() -> None:
    """By which biases the words leave in a block: all eight combinations, and all but the key's."""
    found = {}
    for word, change in drawings.SWITCHES["biases"].items():
        a = parameters.changed(preset("Llama 2 7B"), change)
        labels = {t.label for t in a.terms if t.label.startswith("b_")}
        found[word] = (
            {"b_Q", "b_K", "b_V"} <= labels, {"b_Q", "b_V"} <= labels, "b_O" in labels, {"b_gate", "b_up", "b_down"} <= labels
        )  # fmt: skip
    assert found.pop("as published") == found["none"] == (False,) * 4
    assert found.pop("everywhere but on k") == (False, True, True, True)
    assert found["everywhere"] == (True,) * 4
    assert found["on q, k, v only"] == (True, True, False, False)
    assert found["everywhere but on q, k, v"] == (False, False, True, True)
    assert found["in attention only"] == (True, True, True, False)
    assert found["in the feed-forward layer only"] == (False, False, False, True)
    assert found["on attention’s output only"] == (False, False, True, False)
    assert len(set(found.values())) == len(found) == 8
    neo = parameters.changed(GPT, {"positions": 2048, **drawings.SWITCHES["biases"]["everywhere but on q, k, v"]})
    assert neo.parameters == 125_198_592


def test_refusals_use_the_letters_of_the_boxes_and_leave_words_alone() -> None:
    names = {f.name for f in fields(Architecture)}
    boxes = {**drawings.BOXES, **drawings.MORE}
    assert set(drawings.LETTERS) <= set(boxes) <= names
    for field, letter in drawings.LETTERS.items():
        assert re.search(rf"\b{letter.strip('“”')}\b", boxes[field]), f"{letter} does not stand at the box of {field}"
        assert drawings.worded(ValueError(f"`{field}` = 2")) == f"{letter} = 2"
    assert drawings.worded(
        ValueError("`experts` = 9: a token cannot be sent to experts and positions of n_heads.")
    ) == ("E = 9: a token cannot be sent to experts and positions of n_heads.")
    with pytest.raises(ValueError, match="kind") as refused:
        parameters.changed(preset("T5 small"), {"decoder_layers": 0})
    assert drawings.worded(refused.value) == (
        "“Decoder layers” = 0 in an encoder-decoder: it needs at least one. Take “Decoder layers” = 1 or more."
    )
    for typed in ({"d_model": 770}, {"n_kv_heads": 5}, {"experts_used": 3}, {"experts": 10**6}, {"positions": -1}):
        with pytest.raises(ValueError, match="`") as refused:
            parameters.changed(GPT, typed)
        said = drawings.worded(refused.value)
        assert "`" not in said and "_" not in re.sub(r"\bd_(model|ff|h|e)\b", "", said), said


@pytest.mark.parametrize(
    ("off", "written"), [(0.0, "exact"), (-0.0769, "7.7 % too few"), (0.2, "20 % too many"), (-0.99987, "over 99.9 % too few")]
)  # fmt: skip
def test_judged(off: float, written: str) -> None:
    assert plain(drawings.judged(off)) == written


# ------------------------------------------------------------------------------------------------ memory, work, cache


def shown(frames: list, name: str) -> tuple[dict[str, np.ndarray], str, dict]:
    """Of the frame of one model: its traces by name, its reading, its layout."""
    frame = frames[parameters.SHOWN.index(name)]
    (figure,) = frame.figures
    return (
        {trace["name"]: np.asarray(trace["y"], float) for trace in figure["data"]},
        plain(frame.reading),
        figure["layout"],
    )


@pytest.mark.parametrize("name", parameters.SHOWN)
def test_the_memory_of_training(name: str) -> None:
    frames = drawings.memory_frames()
    bars, said, _ = shown(frames, name)
    for trace in frames[parameters.SHOWN.index(name)].figures[0]["data"]:
        assert list(trace["x"]) == ["float32", "mixed", "bfloat16", "int8"], "in the order of the numbers below"
    n = preset(name).parameters / 1e9
    assert list(bars) == ["weights", "gradients", "Adam’s moments", "float32 copy"]
    # float32, mixed, bfloat16, int8: bytes per parameter
    for series, each in zip(bars.values(), ([4, 2, 2, 1], [4, 2, 2, 0], [8, 8, 4, 0], [0, 4, 0, 0]), strict=True):
        assert series == pytest.approx([n * b for b in each], rel=1e-5)
    assert "16 bytes per parameter" in said and "in mixed precision, with its float32 copy," in said
    title = plain(frames[parameters.SHOWN.index(name)].figures[0]["layout"]["title"]["text"])
    assert title == f"Training memory of {name}, without activations"
    units = {"M": 1e-3, "G": 1.0, "T": 1e3}
    sizes = [float(number) * units[unit] for number, unit in re.findall(r"([\d.]+) ([MGT])B", said)]
    assert sizes == pytest.approx([16 * n, 16 * n, 8 * n, 2 * n, n], rel=0.005)


@pytest.mark.parametrize("name", parameters.SHOWN)
def test_the_work_of_a_token(name: str) -> None:
    lines, said, layout = shown(drawings.work_frames(), name)
    a = preset(name)
    alone = replace(a, head="none")
    for i, n in enumerate(parameters.CONTEXTS):
        flops = counting.flops_per_token(alone, n)
        assert (lines["through their weights"][i], lines["between positions (attention)"][i]) == pytest.approx(
            (flops.weights, flops.attention), rel=1e-6
        )
    layers, whole = counting.even_context(alone), counting.even_context(a)
    times, sign, n = re.search(r"as large when it sees ([\d.]+) d ([=≈]) ([\d,]+) tokens", said).groups()
    assert float(n.replace(",", "")) == pytest.approx(layers, rel=0.005 if sign == "≈" else 1e-12)
    assert float(times) * a.d_model == pytest.approx(layers, rel=0.005 if sign == "≈" else 1e-12)
    digits = re.search(r"equal at about ([\d,]+) tokens\.$", said)[1].replace(",", "")
    assert float(digits) == pytest.approx(whole, rel=0.005) and not digits[3:].strip("0"), (
        "three digits, for every model"
    )
    assert float(digits) > float(n.replace(",", "")), "what the head costs is not rounded away"
    at = float(np.interp(np.log(layers), np.log(parameters.CONTEXTS), np.log(lines["between positions (attention)"])))
    assert at == pytest.approx(np.log(lines["through their weights"][0]), abs=0.05), "where the lines cross"
    marks = [plain(note["text"]) for note in layout["annotations"]]
    assert marks[0] == f"equal at {times} d {sign} {n}" and (len(marks) == 2) == bool(a.positions)
    usable = {"GPT-2 small": 1024, "GPT-2 XL": 1024, "OPT 175B": 2048}.get(name)  # OPT never uses 2 of its 2,050
    assert marks[1:] == ([f"{usable:,} learned positions"] if usable else [])
    assert re.findall(r"more than the ([\d,]+) that it has positions for", said) == ([f"{usable:,}"] if usable else [])
    each = counting.flops_per_token(a, 0).weights / a.parameters
    assert ("instead of 2" in said) == (abs(each - 2) >= 0.005), said
    assert float(re.findall(r"([\d.]+) per parameter", said)[0]) == pytest.approx(each, rel=0.006)
    assert (f"it meets {a.experts_used} of {a.experts} experts" in said) == (a.experts > a.experts_used)
    low, high = (10**x for x in layout["yaxis"]["range"])
    assert low < lines["through their weights"][0] < high
    spoken = [drawings.amount(counting.flops_per_token(one, 0).weights) + "FLOPs" for one in (alone, a)]
    assert [said.index(plain(flops)) for flops in spoken] == sorted(said.index(plain(flops)) for flops in spoken)


def test_why_a_token_pays_less_is_said_of_what_there_is() -> None:
    said = {
        name: plain(drawings.per_parameter(preset(name)))
        for name in ("Gemma 7B", "Llama 3 8B", "OLMo 7B", "GPT-2 small")
    }
    assert said["Gemma 7B"] == "2.00 per parameter"
    assert said["Llama 3 8B"] == "1.87 per parameter instead of 2, since lookups and norms multiply no matrix"
    assert said["OLMo 7B"] == "1.94 per parameter instead of 2, since lookups multiply no matrix"
    assert said["GPT-2 small"].endswith("since lookups, biases and norms multiply no matrix")
    tied = replace(preset("OLMo 7B"), head="tied")
    assert drawings.per_parameter(tied) == "2 per parameter", "nothing is left to explain"
    experts = replace(tied, experts=8, experts_used=2)
    assert drawings.per_parameter(experts).endswith("instead of 2, since it meets 2 of 8 experts")


def test_the_figure_of_the_work_shows_what_its_headline_says() -> None:
    _, said, layout = shown(drawings.work_frames(), "GPT-2 small")
    assert plain(layout["annotations"][0]["text"]) == "equal at 6 d = 4,608"
    assert (
        said.endswith("and the two are equal at about 6,700 tokens.")
        and "more than the 1,024 that it has positions for" in said
    )


@pytest.mark.parametrize("name", parameters.SHOWN)
def test_the_cache(name: str) -> None:
    lines, said, layout = shown(drawings.cache_frames(), name)
    a = preset(name)
    per_token, times = counting.kv_cache_bytes(a), a.n_heads // a.kv_heads
    assert lines["keys and values of one text"] == pytest.approx(
        [n * per_token / 1e9 for n in parameters.CONTEXTS], rel=1e-6
    )
    assert lines["the weights"] == pytest.approx(2 * a.parameters / 1e9, rel=1e-6)
    full = "with a key/value head per query head"
    assert (full in lines) == (times > 1) == (f"it would be {times} times as much" in said)
    if times > 1:
        assert lines[full] == pytest.approx(times * lines["keys and values of one text"], rel=1e-6)
    low, high = (10**x for x in layout["yaxis"]["range"])
    assert low < lines["keys and values of one text"][0] and max(map(max, lines.values())) < high, "all in view"


def test_the_cache_of_llama_3_word_for_word() -> None:
    said = plain(drawings.cache_reading(LLAMA, "Llama 3 8B"))
    assert said == (
        "Each token in Llama 3 8B keeps 131 kB (128 KiB) of keys and values: 8,192 positions would take 1.07 GB, beside "
        "16.1 GB of weights. With a key/value head for every query head it would be 4 times as much."
    )
    assert "a text of 1,024 takes" in drawings.cache_reading(GPT, "GPT-2 small"), "as long as it can read"
    assert "a text of 2,048 takes" in drawings.cache_reading(preset("OPT 175B"), "OPT 175B")
    assert "4.72 MB (4.5 MiB)" in plain(drawings.cache_reading(preset("OPT 175B"), "OPT 175B"))
    opt = drawings.cache_frames()[parameters.SHOWN.index("OPT 175B")].figures[0]["layout"]["annotations"]
    assert [note["text"] for note in opt] == ["2,048 learned positions"]
    assert "positions" not in drawings.work_reading(replace(GPT, positions=10_000), "it"), "it can read so far"


@pytest.mark.parametrize(
    ("value", "written"),
    [(999_960, "1.00 M"), (131_072, "131 k"), (12, "12 "), (2e9, "2 G"), (999, "999 "), (4096, "4.10 k"), (1e21, "1,000 E")],
)  # fmt: skip
def test_amounts(value: float, written: str) -> None:
    assert plain(drawings.amount(value)) == written


# ------------------------------------------------------------------------------------------------ the page


def page(**boxes: object) -> AppTest:
    app = AppTest.from_file(str(FILE), default_timeout=60)
    for name, value in {"look": "whole", **boxes}.items():
        app.query_params[name] = str(value)
    app.run()
    assert not app.exception
    return app


def counts(app: AppTest) -> list[str]:
    """The two counts of the whole model, by formula and in the module."""
    (label,) = (one.label for one in app.expander if "in the built module" in one.label)
    return re.findall(r"[\d,]*\d", label)


def test_a_blank_box_shows_what_holds() -> None:
    grey = {box.key: box.proto.placeholder for box in page().number_input}
    assert grey["n_kv_heads"] == "12" and grey["head_dim"] == "64" and grey["embedding_width"] == "768"
    assert "decoder_layers" not in grey
    app = page(model="T5 small", d_model=1024)
    grey = {box.key: box.proto.placeholder for box in app.number_input}
    assert [grey[key] for key in ("n_heads", "n_kv_heads", "d_ff", "head_dim")] == ["16", "16", "4,096", "64"]
    assert "decoder_layers" in grey


def test_the_page_shows_both_counts_of_what_was_asked() -> None:
    asked = {"n_layers": 48, "experts": 128, "experts_used": 8, "d_ff": 768, "n_heads": 32, "n_kv_heads": 4}
    app = page(model="Qwen3 8B", head_dim=128, d_model=2048, **asked)
    assert counts(app) == ["30,532,122,624"] * 2 and not app.error
    assert counts(page(n_layers=13)) == [f"{replace(GPT, n_layers=13).parameters:,}"] * 2


def test_a_wrong_box_says_what_to_do_and_what_is_shown() -> None:
    app = page(d_model=770)
    (error,) = app.error
    assert error.value.startswith("d = 770 cannot be split into h = 12 equal heads")
    assert "Take d = 768 or 780, or h = 11 or 14, or" in error.value
    assert "GPT-2 small is shown as published" in error.value
    assert counts(app) == ["124,439,808"] * 2
    assert app.number_input(key="d_model").value == 770, "nothing that was typed is lost"


def test_the_page_says_what_is_counted_and_what_it_cannot_count() -> None:
    said = " ".join(caption.value for caption in page(model="Transformer base (2017)").caption)
    assert "as torch.nn.Transformer builds it" in said
    assert "Not counted: models of pictures and sound" in said
