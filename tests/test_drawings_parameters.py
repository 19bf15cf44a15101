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


# ------------------------------------------------------------------------------------------------ one block, and the whole


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


@every_model
def test_the_readings_of_a_model(name: str) -> None:
    a = preset(name)
    (block,), (whole,) = drawings.block_frames(a, name), drawings.whole_frames(a, name)
    said = plain(block.reading)
    matrices = sum(t.per_block for t in a.terms if t.place != "model" and t.matrix)
    assert f"{matrices:,} weights in matrices" in said
    assert ("too few" in said) == (12 * a.d_model**2 < matrices)
    assert ("too many" in said) == (12 * a.d_model**2 > matrices)
    assert ("12 d² is exact" in said) == (12 * a.d_model**2 == matrices)
    # “2.5 d² (attention) + 10.5 d² (feed-forward) = 13 d²”: an equals sign only where every number is exact.
    sum_of, sign, total = re.split(r" (=|≈) ", said.partition(": ")[2].partition(" d²: ")[0], maxsplit=1)
    parts, there = [Fraction(n) for n in re.findall(r"([\d.]+) d²", sum_of)], Fraction(matrices, a.d_model**2)
    assert (sign == "=") == (sum(parts) == Fraction(total) == there)
    assert float(sum(parts)) == pytest.approx(float(there), rel=0.01)
    biased = any((a.qkv_bias, a.key_bias, a.out_bias, a.ffn_bias, a.sinks))
    normed = a.norm != "no parameters"
    assert ("Its biases and norms add" in said) == (biased and normed)
    assert ("Its norms add" in said) == (normed and not biased)
    assert f"{a.parameters:,} parameters" in whole.reading
    assert sum(whole.figures[0]["data"][0]["y"]) == pytest.approx(a.parameters, rel=1e-6)
    assert len(whole.figures[0]["data"][0]["x"]) == len(counting.by_part(a))
    for reading in (block.reading, whole.reading, drawings.cost_reading(a, f"your {name}", 1024, "int8")):
        assert not list(faults(reading)), reading


def test_the_readings_of_some_models_word_for_word() -> None:
    def block(a: Architecture) -> str:
        return plain(drawings.block_reading(a, "it"))

    assert block(GPT) == (
        "One block of it: 4 d² (attention) + 8 d² (feed-forward) = 12 d²: 7,077,888 weights in matrices. 12 d² is exact. Its "
        "biases and norms add 9,984, 0.14 % of the block: too thin to draw."
    )
    assert "≈ 29.3 d²" in block(preset("Gemma 7B")) and "12 d² is 59 % too few" in block(preset("Gemma 7B"))
    assert "+ 0.00260 d² (feed-forward) ≈ 4.00 d²" in block(replace(GPT, d_ff=1)), "what is not 0 is not said as 0"
    assert "It has no biases, and its norms have no parameters." in block(preset("OLMo 7B"))
    only_biases = replace(GPT, norm="no parameters")
    assert "Its biases add 6,912," in block(only_biases)
    assert "not drawn" in block(replace(GPT, d_model=12, n_heads=1, d_ff=12))
    thirds = replace(GPT, d_model=3, n_heads=1, head_dim=4, d_ff=1)  # 16/3 + 2/3
    assert "5.33 d² (attention) + 0.667 d² (feed-forward) ≈ 6 d²" in block(thirds), "only the sum is written exactly"
    whole = plain(drawings.whole_frames(preset("ALBERT base v2"), "it")[0].reading)
    assert "12 d² × 12 layers is 630 % too many" in whole
    assert "whose 12 layers share the parameters of 1." in whole
    mixture = drawings.whole_frames(preset("Mixtral 8x7B"), "it")[0].reading
    assert "meets 2 of 8 experts, uses 12,879,925,248 of them" in mixture
    assert "experts" not in drawings.whole_frames(GPT, "it")[0].reading


@every_model
def test_the_tables_to_take_away_are_the_counts(name: str) -> None:
    """Not the corners of rectangles: matrix, part, rows, columns, copies, parameters, as plain numbers and words."""
    a = preset(name)
    for frames, total in (
        (drawings.block_frames(a, name), sum(t.per_block for t in a.terms if t.place != "model" and t.matrix)),
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
        (frame,) = drawings.block_frames(a, "it")
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
    table = drawings.table(a, built)
    same = table["by formula = built"]
    assert len(same) == len(a.terms) and not any("≠" in cell for cell in same)
    assert len(set(table["tensor"])) == len(same)
    wrong = drawings.table(a, {**built, "attention.query.weight": 1})["by formula = built"]
    assert ["≠" in cell for cell in wrong].count(True) == 1
    assert table["formula; for all layers"][2] == "d · h·d_h: 12 × 512 × 512"
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
    assert found["on attention's output only"] == (False, False, True, False)
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
    for typed in ({"d_model": 770}, {"n_kv_heads": 5}, {"experts_used": 3}, {"experts": 10**6}, {"positions": -1}):
        with pytest.raises(ValueError, match="`") as refused:
            parameters.changed(GPT, typed)
        said = drawings.worded(refused.value)
        assert "`" not in said and "_" not in re.sub(r"\bd_(model|ff|h|e)\b", "", said), said


# ------------------------------------------------------------------------------------------------ the rule


def test_how_far_the_rule_is_off() -> None:
    frames = drawings.rule_frames()
    assert len(frames) == len(parameters.WIDTHS)
    at = parameters.WIDTHS.index(4096)
    gpt2, llama, shares = frames[at].figures
    curves = {t["name"]: t["y"] for t in llama["data"]}
    for name, scope in (
        ("weight matrices of a block", "matrices"),
        ("with norms", "block"),
        ("the whole model", "model"),
    ):
        assert float(curves[name][at]) == pytest.approx(-100 * counting.rule_error(LLAMA, scope), rel=1e-5)
    assert "with biases" not in curves, "it has none"
    biases = next(t for t in gpt2["data"] if t["name"] == "with biases")
    # 9 d of biases on 12 d²: 9/(12 d + 9)
    assert float(biases["y"][list(biases["x"]).index(4096)]) == pytest.approx(100 * 9 / (12 * 4096 + 9), rel=1e-5)
    assert "weight matrices of a block" not in {t["name"] for t in gpt2["data"]}, "exact: no line"
    for bars in np.array([t["y"] for t in shares["data"]]).T:
        assert bars.sum() == pytest.approx(100, abs=1e-3)
    embeddings = next(t["y"] for t in shares["data"] if t["name"] == "embeddings and head")
    assert float(embeddings[1]) == pytest.approx(100 * 2 * 128256 * 4096 / LLAMA.parameters, rel=1e-5)
    said = plain(frames[at].reading)
    assert "12 d² is exact for the matrices of a block, 0.026 % too few with biases and norms" in said
    assert "12 d² is 7.7 % too few for the matrices of a block, 7.7 % too few with norms, 20 % too few for" in said
    assert f"with d = 4,096, {LLAMA.parameters / 1e9:.2f} billion parameters in all" in said
    marks = [note["text"] for note in llama["layout"]["annotations"]]
    assert marks == ["d = 4,096", "Llama 3 8B"]


@pytest.mark.parametrize(
    ("off", "written"), [(0.0, "exact"), (-0.0769, "7.7 % too few"), (0.2, "20 % too many"), (-0.99987, "over 99.9 % too few")]
)  # fmt: skip
def test_judged(off: float, written: str) -> None:
    assert plain(drawings.judged(off)) == written


# ------------------------------------------------------------------------------------------------ memory and work


def test_memory_and_cache() -> None:
    for precision, bytes_each in (("float32", 16), ("bfloat16", 8), ("mixed", 16)):
        (frame,) = drawings.memory_frames(LLAMA, "Llama", precision)
        bars = dict(zip(frame.figures[0]["data"][0]["x"], frame.figures[0]["data"][0]["y"], strict=True))
        assert sum(bars.values()) == pytest.approx(bytes_each * LLAMA.parameters / 1e9, rel=1e-5)
        assert bars["weights"] == pytest.approx(counting.BYTES[precision] * LLAMA.parameters / 1e9, rel=1e-5)
        assert f"{bytes_each} bytes per parameter" in frame.reading
        assert ("18" in frame.reading) == (precision == "mixed")
        written = re.search(r"take ([\d.]+) GB; training with Adam takes ([\d.]+) GB", plain(frame.reading))
        assert written and float(written[1]) == pytest.approx(float(bars["weights"]), rel=0.005)
        assert float(written[2]) == pytest.approx(float(sum(bars.values())), rel=0.005)
    (frame,) = drawings.memory_frames(LLAMA, "Llama", "int8")
    assert "no training" in frame.reading and list(frame.figures[0]["data"][0]["x"]) == ["weights"]
    assert frame.reading.startswith("In int8, the weights of Llama take 8.03")
    at = parameters.CONTEXTS.index(8192)
    frame = drawings.cost_frames(LLAMA, "Llama 3 8B", "bfloat16")[at]
    assert "At 2 bytes a number the cache takes 131 kB per token, 1.07 GB for these 8,192." in plain(frame.reading)
    work, cache = frame.figures
    assert float(cache["data"][0]["y"][at]) == pytest.approx(2**30 / 1e9, rel=1e-6)
    assert float(cache["data"][1]["y"][at]) == pytest.approx(2 * LLAMA.parameters / 1e9, rel=1e-6)
    flops = counting.flops_per_token(LLAMA, 8192)
    for trace, value in zip(work["data"], (flops.weights, flops.attention, 2 * LLAMA.parameters), strict=True):
        assert float(trace["y"][at]) == pytest.approx(value, rel=1e-6)
    assert "At 1 byte a number" in drawings.cost_frames(LLAMA, "Llama 3 8B", "int8")[0].reading
    for precision, bytes_each in (("float32", 4), ("bfloat16", 2), ("mixed", 2), ("int8", 1)):
        keys, weights = drawings.cost_frames(LLAMA, "Llama 3 8B", precision)[at].figures[1]["data"]
        assert float(keys["y"][at]) == pytest.approx(bytes_each * 2**29 / 1e9, rel=1e-6)
        assert float(weights["y"][at]) == pytest.approx(bytes_each * LLAMA.parameters / 1e9, rel=1e-6)


def test_one_frame_per_context_and_its_numbers() -> None:
    for n, frame in zip(parameters.CONTEXTS, drawings.cost_frames(GPT, "your GPT-2 small", "float32"), strict=True):
        said, flops = plain(frame.reading), counting.flops_per_token(GPT, n)
        assert said.startswith(
            f"With {n:,} tokens in your GPT-2 small, a token that sees them costs 247 MFLOPs through the"
        )
        share = re.search(r"FLOPs in attention, ([\d.]+) % of the whole", said)
        assert share and float(share[1]) == pytest.approx(100 * flops.attention / flops.total, rel=0.06)
        assert "in a forward pass" in said and "Both are equal at n ≈ 6,700." in said
        assert ("cannot read so many tokens" in said) == (n > 1024)
        assert len(frame.figures) == 2
        assert frame.figures[0]["layout"]["annotations"][0]["text"] == f"n = {n:,}"
    assert "Both are equal at n = 4,608." in drawings.cost_reading(preset("BERT base"), "BERT base", 128, "float32")
    assert len(drawings.cost_frames(preset("BERT base"), "BERT base", "float32")[0].figures) == 1


@every_model
def test_what_a_token_pays_is_explained(name: str) -> None:
    a = preset(name)
    said = plain(drawings.cost_reading(a, name, 128, "bfloat16"))
    assert (f"it meets {a.experts_used} of {a.experts} experts" in said) == (a.experts > a.experts_used)
    assert ("keeps no cache" in said) == (a.kind == "encoder")
    assert "learned" not in said, "it can read 128 tokens, or has no learned positions"
    assert ("one source and one target token" in said) == ("Every source token" in said) == bool(a.decoder_layers)
    each = counting.flops_per_token(a, 0).weights / a.parameters
    assert ("instead of 2" in said) == (abs(each - 2) >= 0.005), said
    assert ("shares them" in said or "share them" in said) == a.shared_layers
    assert ("pooler works once" in said) == (a.pooler and not a.shared_layers)
    assert float(re.findall(r"([\d.]+) per parameter", said)[0]) == pytest.approx(each, rel=0.006)
    assert not re.search(r"\b1000 [kMGT]|  |\.\.", said)


def test_why_a_token_pays_less_is_said_of_what_there_is() -> None:
    said = {
        name: plain(drawings.per_parameter(preset(name))) for name in ("Gemma 7B", "Llama 3 8B", "OLMo 7B", "BERT base")
    }
    assert said["Gemma 7B"] == "2.00 per parameter"
    assert said["Llama 3 8B"] == "1.87 per parameter instead of 2, since lookups and norms multiply no matrix"
    assert said["OLMo 7B"] == "1.94 per parameter instead of 2, since lookups multiply no matrix"
    assert said["BERT base"].endswith(
        "since lookups, biases and norms multiply no matrix and the pooler works once per text"
    )
    tied = replace(preset("OLMo 7B"), head="tied")
    assert drawings.per_parameter(tied) == "2 per parameter", "nothing is left to explain"
    experts = replace(tied, experts=8, experts_used=2)
    assert drawings.per_parameter(experts).endswith("instead of 2, since it meets 2 of 8 experts")


@pytest.mark.parametrize(
    ("value", "written"),
    [(999_960, "1.00 M"), (131_072, "131 k"), (12, "12 "), (2e9, "2 G"), (999, "999 "), (4096, "4.10 k"), (1e21, "1,000 E")],
)  # fmt: skip
def test_amounts(value: float, written: str) -> None:
    assert plain(drawings.amount(value)) == written


# ------------------------------------------------------------------------------------------------ the page


def page(**boxes: object) -> AppTest:
    app = AppTest.from_file(str(FILE), default_timeout=60)
    for name, value in boxes.items():
        app.query_params[name] = str(value)
    app.run()
    assert not app.exception
    return app


def test_a_blank_box_shows_what_holds() -> None:
    grey = {box.key: box.proto.placeholder for box in page().number_input}
    assert grey["n_kv_heads"] == "12" and grey["head_dim"] == "64" and grey["embedding_width"] == "768"
    assert "decoder_layers" not in grey
    grey = {box.key: box.proto.placeholder for box in page(d_model=1024).number_input}
    assert [grey[key] for key in ("n_heads", "n_kv_heads", "d_ff", "head_dim")] == ["16", "16", "4,096", "64"]
    grey = {box.key: box.proto.placeholder for box in page(n_heads=6).number_input}
    assert grey["n_kv_heads"] == "6" and grey["head_dim"] == "128"
    assert "decoder_layers" in {box.key for box in page(model="T5 small").number_input}


def test_the_page_shows_both_counts_of_what_was_asked() -> None:
    app = page(n_layers=13)
    a = replace(GPT, n_layers=13)
    assert [m.value for m in app.metric] == [f"{a.parameters:,}", f"{built_counts(a)[0]:,}", "0"]
    assert app.metric[0].label == "Your GPT-2 small: by formula"
    assert page(d_model=1024).metric[0].value == f"{parameters.changed(GPT, {'d_model': 1024}).parameters:,}"
    mixture = page(model="Qwen3 30B-A3B")
    assert [m.value for m in mixture.metric] == ["30,532,122,624", "30,532,122,624", "0"] and not mixture.error
    asked = {
        "n_layers": 48,
        "experts": 128,
        "experts_used": 8,
        "d_ff": 768,
        "n_heads": 32,
        "n_kv_heads": 4,
        "d_model": 2048,
    }
    typed = page(model="Qwen3 8B", head_dim=128, **asked)
    assert typed.metric[0].value == "30,532,122,624" and not typed.error


def test_a_wrong_box_says_what_to_do_and_what_is_shown() -> None:
    app = page(d_model=770)
    (error,) = app.error
    assert error.value.startswith("d_model = 770 cannot be split into h = 12 equal heads")
    assert "Take d_model = 768 or 780, or h = 11 or 14, or" in error.value
    assert "everything below shows GPT-2 small as published" in error.value
    assert app.metric[0].value == "124,439,808" and app.metric[0].label == "GPT-2 small: by formula"
    assert app.number_input(key="d_model").value == 770, "nothing that was typed is lost"


def test_the_page_says_what_is_counted_and_what_it_cannot_count() -> None:
    said = " ".join(caption.value for caption in page(model="Transformer base (2017)").caption)
    assert "as torch.nn.Transformer builds it" in said
    assert "Not counted: models of pictures and sound" in said
