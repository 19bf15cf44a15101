"""What question 15's page makes of the counts: areas, bars, tables and sentences, for every published model."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.concepts import parameters
from core.models import built_counts
from core.ops import counting
from core.presets import PRESETS, preset
from tests.page_functions import PAGES, functions_of

FILE = PAGES / "15_parameters.py"
every_model = pytest.mark.parametrize("name", PRESETS)


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    return functions_of(FILE.name)


@every_model
def test_the_areas_are_the_parameters(page: SimpleNamespace, name: str) -> None:
    a = preset(name)
    drawn = [t for t in page.tiles(a) if not t.outline]
    matrices = sum(t.per_block for t in a.terms if t.place != "model" and t.matrix)
    assert sum(t.wide * t.high for t in drawn) * a.d_model**2 == pytest.approx(matrices)
    assert len({t.at for t in drawn}) == len(drawn), "two matrices in one place"
    (rule,) = [t for t in page.tiles(a) if t.outline]
    assert rule.wide * rule.high == 12


@every_model
def test_the_readings_of_a_model(page: SimpleNamespace, name: str) -> None:
    a = preset(name)
    (block,), (whole,) = page.block_frames(a, name), page.whole_frames(a, name)
    said = block.reading
    matrices = sum(t.per_block for t in a.terms if t.place != "model" and t.matrix)
    assert f"{matrices:,} weights in matrices" in said
    assert ("too few" in said) == (12 * a.d_model**2 < matrices)
    assert ("too many" in said) == (12 * a.d_model**2 > matrices)
    # “2.5 d² (attention) + 10.5 d² (feed-forward) = 13 d²”: an equals sign only where the written numbers add up.
    sum_of, sign, total = re.split(r" (=|≈) ", said.partition(": ")[2].partition(" d²: ")[0], maxsplit=1)
    parts = [float(n) for n in re.findall(r"([\d.]+) d²", sum_of)]
    assert (sign == "=") == (abs(sum(parts) - float(total)) < 0.001)
    biased = a.qkv_bias or a.out_bias or a.ffn_bias
    assert ("biases and norms add" in said) == biased
    assert f"{a.parameters:,} parameters" in whole.reading
    assert sum(whole.figures[0]["data"][0]["y"]) == pytest.approx(a.parameters, rel=1e-6)
    assert len(whole.figures[0]["data"][0]["x"]) == len(counting.by_part(a))


def test_the_table_compares_two_counts(page: SimpleNamespace) -> None:
    a = preset("T5 small")
    _, built = built_counts(a)
    table = page.table(a, built)
    assert len(table) == len(a.terms) and not table["by formula = built"].str.contains("≠").any()
    assert table["tensor"].is_unique
    wrong = page.table(a, {**built, "attention.query.weight": 1})
    assert list(wrong["by formula = built"].str.contains("≠")).count(True) == 1


@pytest.mark.parametrize(
    ("key", "word", "changed"),
    [
        ("gated", "gated, three", {"gated": True}),
        ("biases", "everywhere", {"qkv_bias": True, "out_bias": True, "ffn_bias": True}),
        ("biases", "none", {"qkv_bias": False, "out_bias": False, "ffn_bias": False}),
        ("norm", "RMSNorm", {"norm": "rms"}),
        ("head", "a matrix of its own", {"head": "untied"}),
        ("head", "tied to the embedding", {"head": "tied"}),
    ],
)
def test_a_switch_does_what_it_says(page: SimpleNamespace, key: str, word: str, changed: dict) -> None:
    assert page.SWITCHES[key][word] == changed
    assert page.SWITCHES[key]["as published"] == {}


def test_how_far_the_rule_is_off(page: SimpleNamespace) -> None:
    frames = page.rule_frames()
    assert len(frames) == len(parameters.WIDTHS)
    gpt2, llama, shares = frames[parameters.WIDTHS.index(4096)].figures
    curves = {t["name"]: t["y"] for t in llama["data"]}
    at = parameters.WIDTHS.index(4096)
    for name, scope in (
        ("weight matrices of a block", "matrices"),
        ("with norms", "block"),
        ("with embeddings: the model", "model"),
    ):
        assert float(curves[name][at]) == pytest.approx(
            -100 * counting.rule_error(preset("Llama 3 8B"), scope), rel=1e-4
        )
    biases = next(t for t in gpt2["data"] if t["name"] == "with biases")
    # 9 d of biases on 12 d²: 9/(12 d + 9)
    assert float(biases["y"][list(biases["x"]).index(4096)]) == pytest.approx(100 * 9 / (12 * 4096 + 9), rel=1e-4)
    assert "weight matrices of a block" not in {t["name"] for t in gpt2["data"]}, "exact: no line"
    for bars in np.array([t["y"] for t in shares["data"]]).T:
        assert bars.sum() == pytest.approx(100, abs=1e-3)
    assert "12 d² is exact for the matrices of a block" in frames[at].reading
    assert "7.69 % too few for the matrices of a block" in frames[at].reading


def test_memory_and_cache(page: SimpleNamespace) -> None:
    a = preset("Llama 3 8B")
    for precision, bytes_each in (("float32", 16), ("bfloat16", 8), ("mixed", 16)):
        (frame,) = page.memory_frames(a, "Llama", precision)
        total = sum(frame.figures[0]["data"][0]["y"])
        assert total == pytest.approx(bytes_each * a.parameters / 1e9, rel=1e-5)
        assert f"{bytes_each} bytes per parameter" in frame.reading
    assert "no training" in page.memory_frames(a, "Llama", "int8")[0].reading
    at = parameters.CONTEXTS.index(8192)
    frame = page.cost_frames(a, "Llama 3 8B", 2)[at]
    assert "At 2 bytes a number the cache takes 131.1 kB per token, 1.074 GB for these 8,192." in frame.reading
    work, cache = frame.figures
    assert float(cache["data"][0]["y"][at]) == pytest.approx(2**30 / 1e9, rel=1e-6)
    assert float(cache["data"][1]["y"][at]) == pytest.approx(2 * a.parameters / 1e9, rel=1e-6)
    flops = counting.flops_per_token(a, 8192)
    for trace, value in zip(work["data"], (flops.weights, flops.attention, 2 * a.parameters), strict=True):
        assert float(trace["y"][at]) == pytest.approx(value, rel=1e-6)


@every_model
def test_what_a_token_pays_is_explained(page: SimpleNamespace, name: str) -> None:
    a = preset(name)
    said = page.cost_reading(a, name, 128, 2)
    assert ("the experts that it is not sent to" in said) == (a.experts > a.experts_used)
    assert ("keeps no cache" in said) == (a.kind == "encoder")
    assert not re.search(r"\b1000 [kMGT]|  |\.\.", said)


@pytest.mark.parametrize(("value", "written"), [(999_960, "1 M"), (131_072, "131.1 k"), (12, "12 "), (2e9, "2 G")])
def test_amounts(page: SimpleNamespace, value: float, written: str) -> None:
    assert page.amount(value) == written


def hints(**boxes: int) -> dict[str, str]:
    """What the blank boxes show in grey."""
    app = AppTest.from_file(str(FILE), default_timeout=60)
    for name, value in boxes.items():
        app.query_params[name] = str(value)
    app.run()
    assert not app.exception
    return {box.key: box.proto.placeholder for box in app.number_input}


def test_a_blank_box_shows_what_holds() -> None:
    assert hints()["n_kv_heads"] == "12" and hints()["head_dim"] == "64"
    found = hints(n_heads=6)
    a = replace(preset("GPT-2 small"), n_heads=6)
    assert found["n_kv_heads"] == str(a.kv_heads) == "6"
    assert found["head_dim"] == str(a.d_head) == "128"


def test_the_page_shows_both_counts_of_what_was_asked() -> None:
    app = AppTest.from_file(str(FILE), default_timeout=60)
    app.query_params["n_layers"] = "13"
    app.run()
    a = replace(preset("GPT-2 small"), n_layers=13)
    assert [m.value for m in app.metric] == [f"{a.parameters:,}", f"{built_counts(a)[0]:,}", "0"]
    assert app.metric[0].label == "your GPT-2 small: by formula"


def test_a_wrong_box_says_what_to_do_and_what_is_shown() -> None:
    app = AppTest.from_file(str(FILE), default_timeout=60)
    app.query_params["d_model"] = "770"
    app.run()
    (error,) = app.error
    assert error.value.startswith("d_model = 770 cannot be split into h = 12 equal heads")
    assert "Nearest: 768 or 780" in error.value and "everything below shows GPT-2 small as published" in error.value
    assert app.metric[0].value == "124,439,808" and app.metric[0].label == "GPT-2 small: by formula"
    assert app.number_input(key="d_model").value == 770, "nothing that was typed is lost"


def test_refusals_use_the_letters_of_the_boxes(page: SimpleNamespace) -> None:
    """Every field that has a box is called as the box is; experts_used is not mistaken for experts."""
    assert page.worded(ValueError("experts_used = 2 is more than experts = 1")) == (
        "experts per token = 2 is more than E = 1"
    )
    app = AppTest.from_file(str(FILE), default_timeout=60).run()
    labels = " ".join(box.label for box in app.number_input)
    for letter in set(page.LETTERS.values()) - {"experts per token", "decoder layers"}:
        assert re.search(rf"\b{letter}\b", labels), letter
