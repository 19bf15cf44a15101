"""Counting parameters: the formula, the module that PyTorch builds, and the totals that were published."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from core.concepts import parameters
from core.models import MatrixProducts, Transformer, build, built_counts, count_built, count_by_path, counted_flops
from core.ops.adam import adam_step
from core.ops.counting import (
    LIMITS,
    Architecture,
    by_part,
    even_context,
    flops_per_token,
    kv_cache_bytes,
    memory,
    rule_error,
    width_unit,
)
from core.presets import PRESETS, preset

quick = settings(deadline=None, derandomize=True, max_examples=60)

# What the published models have, to the last parameter: `sum(p.numel())` of the real architectures in transformers
# 5.23 (tests/test_parameters_transformers.py repeats it). Encoders without the head for masked words.
PUBLISHED = {
    "GPT (2018)": 116_534_784,
    "GPT-2 small": 124_439_808,
    "GPT-2 medium": 354_823_168,
    "GPT-2 large": 774_030_080,
    "GPT-2 XL": 1_557_611_200,
    "DistilGPT-2": 81_912_576,
    "GPT-J 6B": 6_050_882_784,
    "BERT base": 109_482_240,
    "BERT large": 335_141_888,
    "BERT base multilingual": 177_853_440,
    "DistilBERT": 66_362_880,
    "RoBERTa base": 124_645_632,
    "RoBERTa large": 355_359_744,
    "XLM-R base": 278_043_648,
    "XLM-R large": 559_890_432,
    "T5 small": 60_506_624,
    "T5 base": 222_903_552,
    "T5 large": 737_668_096,
    "T5 3B": 2_851_598_336,
    "T5 11B": 11_307_321_344,
    "BART base": 139_420_416,
    "BART large": 406_291_456,
    "Llama 7B": 6_738_415_616,
    "Llama 13B": 13_015_864_320,
    "Llama 33B": 32_528_943_616,
    "Llama 65B": 65_285_660_672,
    "Llama 2 7B": 6_738_415_616,
    "Llama 2 13B": 13_015_864_320,
    "Llama 2 70B": 68_976_648_192,
    "Llama 3 8B": 8_030_261_248,
    "Llama 3 70B": 70_553_706_496,
    "Llama 3.1 405B": 405_853_388_800,
    "Llama 3.2 1B": 1_235_814_400,
    "Llama 3.2 3B": 3_212_749_824,
    "TinyLlama 1.1B": 1_100_048_384,
    "SmolLM2 135M": 134_515_008,
    "Mistral 7B": 7_241_732_096,
    "Mistral Nemo 12B": 12_247_782_400,
    "Mixtral 8x7B": 46_702_792_704,
    "Mixtral 8x22B": 140_630_071_296,
    "Qwen2.5 0.5B": 494_032_768,
    "Qwen2.5 1.5B": 1_543_714_304,
    "Qwen2.5 3B": 3_085_938_688,
    "Qwen2.5 7B": 7_615_616_512,
    "Qwen2.5 14B": 14_770_033_664,
    "Qwen2.5 32B": 32_763_876_352,
    "Qwen2.5 72B": 72_706_203_648,
    "Qwen3 0.6B": 596_049_920,
    "Qwen3 8B": 8_190_735_360,
    "Qwen3 32B": 32_762_123_264,
    "Gemma 2B": 2_506_172_416,
    "Gemma 7B": 8_537_680_896,
    "Gemma 2 2B": 2_614_341_888,
    "Gemma 2 9B": 9_241_705_984,
    "Gemma 2 27B": 27_227_128_320,
    "Gemma 3 1B": 999_885_952,
    "Phi-1.5": 1_418_270_720,
    "Phi-2": 2_779_683_840,
    "Phi-3 mini": 3_821_079_552,
    "Phi-3 medium": 13_960_238_080,
    "Phi-4": 14_659_507_200,
    "OPT 125M": 125_239_296,
    "OPT 1.3B": 1_315_758_080,
    "OPT 2.7B": 2_651_596_800,
    "OPT 6.7B": 6_658_473_984,
    "OPT 13B": 12_853_473_280,
    "OPT 30B": 29_974_540_288,
    "OPT 66B": 65_719_701_504,
    "OPT 175B": 174_604_468_224,
    "Pythia 70M": 70_426_624,
    "Pythia 160M": 162_322_944,
    "Pythia 410M": 405_334_016,
    "Pythia 1B": 1_011_781_632,
    "Pythia 1.4B": 1_414_647_808,
    "Pythia 2.8B": 2_775_208_960,
    "Pythia 6.9B": 6_857_302_016,
    "Pythia 12B": 11_846_072_320,
    "GPT-NeoX 20B": 20_554_567_680,
    "Falcon RW 1B": 1_311_625_216,
    "Falcon 7B": 6_921_720_704,
    "Falcon 40B": 41_303_293_952,
    "BLOOM 560M": 559_214_592,
    "BLOOM 1.1B": 1_065_314_304,
    "BLOOM 1.7B": 1_722_408_960,
    "BLOOM 3B": 3_002_557_440,
    "BLOOM 7.1B": 7_069_016_064,
    "BLOOM 176B": 176_247_271_424,
    "MPT 7B": 6_649_286_656,
    "StarCoder2 3B": 3_030_371_328,
    "Command R 35B": 34_980_831_232,
    "OLMo 7B": 6_888_095_744,
    "OLMo 2 7B": 7_298_617_344,
    "OLMoE 7B": 6_919_161_856,
}


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Any legal architecture, small enough to be built sixty times."""
    number = st.integers(1, 12)
    kv_heads, group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    heads = kv_heads * group
    head_dim = draw(st.none() | number)
    kind = draw(st.sampled_from(["decoder", "encoder", "encoder-decoder"]))
    experts = draw(st.integers(1, 3))
    head = draw(st.sampled_from(["tied", "untied", "none"]))
    return Architecture(
        d_model=draw(number) * (heads if head_dim is None else 1),
        n_layers=draw(st.integers(1, 3)),
        n_heads=heads,
        n_kv_heads=draw(st.sampled_from([kv_heads, None])) if group == 1 else kv_heads,
        head_dim=head_dim,
        d_ff=draw(number),
        vocab=draw(number),
        gated=draw(st.booleans()),
        qkv_bias=draw(st.booleans()),
        out_bias=draw(st.booleans()),
        ffn_bias=draw(st.booleans()),
        norm=draw(st.sampled_from(["layer", "layer, no bias", "rms", "no parameters"])),
        block_norms=draw(st.integers(0, 4)),
        final_norm=draw(st.booleans()),
        embedding_norm=draw(st.booleans()),
        qk_norm=draw(st.sampled_from(["none", "head", "full"])),
        positions=draw(st.integers(0, 9)),
        relative_buckets=draw(st.integers(0, 5)),
        token_types=draw(st.integers(0, 2)),
        pooler=draw(st.booleans()),
        head=head,
        head_bias=head != "none" and draw(st.booleans()),
        experts=experts,
        experts_used=draw(st.integers(1, experts)),
        kind=kind,
        decoder_layers=draw(st.integers(1, 3)) if kind == "encoder-decoder" else 0,
    )


# ------------------------------------------------------------------------------------------------ formula and module


@quick
@given(architectures())
def test_the_formula_and_the_module_agree_term_by_term(a: Architecture) -> None:
    model = build(a)
    assert count_built(model) == a.parameters
    assert dict(count_by_path(model)) == {term.path: term.total for term in a.terms}
    assert sum(by_part(a).values()) == a.parameters


@pytest.mark.parametrize("name", PRESETS)
def test_a_published_model_is_exact(name: str) -> None:
    assert preset(name).parameters == PUBLISHED[name]


def test_every_published_total_is_of_a_preset() -> None:
    assert PUBLISHED.keys() == PRESETS.keys()


@pytest.mark.parametrize(
    "name",
    ["GPT-2 small", "BERT base", "T5 small", "BART base", "Llama 3.1 405B", "Mixtral 8x7B", "Gemma 3 1B", "OLMo 2 7B"],
)
def test_the_module_of_a_published_model_is_exact(name: str) -> None:
    total, by_path = built_counts(preset(name))
    assert total == PUBLISHED[name]
    assert by_path == {term.path: term.total for term in preset(name).terms}


def test_the_meta_device_holds_no_numbers() -> None:
    assert {p.device.type for p in build(preset("OPT 175B")).parameters()} == {"meta"}


def test_the_textbook_layer_of_torch_agrees() -> None:
    """An oracle from outside: PyTorch's own encoder and decoder layers, with biases everywhere."""
    d, h, f = 24, 4, 56
    a = Architecture(d, 1, h, f, 5, qkv_bias=True, out_bias=True, ffn_bias=True)
    encoder = torch.nn.TransformerEncoderLayer(d, h, f, batch_first=True, device="meta")
    assert count_built(encoder) == a.block
    both = replace(a, kind="encoder-decoder", decoder_layers=1)
    decoder = torch.nn.TransformerDecoderLayer(d, h, f, batch_first=True, device="meta")
    cross = sum(t.per_block for t in both.terms if t.place == "cross")
    assert count_built(decoder) == both.block + cross
    assert sum(t.per_block for t in both.terms if t.place == "cross" and t.matrix) == 4 * d**2


@settings(quick, max_examples=20)
@given(architectures())
def test_a_model_really_runs(a: Architecture) -> None:
    """The module is a Transformer and not only a bag of tensors: shapes fit, for every kind."""
    n = min(a.positions, 3) if a.positions else 3
    tokens = torch.zeros(2, n, dtype=torch.long)
    model = Transformer(a)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
        out = model(tokens, *([tokens] if a.decoder_layers else []))
    assert out.shape == (2, n, a.d_model if a.head == "none" else a.vocab)


# ------------------------------------------------------------------------------------------------ 12 d² and its errors


def test_the_block_of_gpt_2_and_bert() -> None:
    for name in ("GPT-2 small", "GPT-2 XL", "BERT base", "OPT 13B", "BLOOM 3B", "Pythia 1.4B"):
        a = preset(name)
        assert a.block == 12 * a.d_model**2 + 13 * a.d_model
    assert preset("GPT-2 small").block == 7_087_872


@pytest.mark.parametrize(
    ("name", "percent"),
    [
        ("Llama 2 7B", -0.52),
        ("Phi-3 mini", 0.0),
        ("Llama 3 8B", -7.69),
        ("Qwen2.5 7B", -33.9),
        ("Gemma 2B", -54.3),
        ("Gemma 7B", -59.1),
        ("Falcon 7B", 19.7),
        ("Mixtral 8x7B", -86.1),
        ("GPT-2 small", 0.0),
    ],
)
def test_how_far_the_rule_is_off(name: str, percent: float) -> None:
    """The fact pack's figures, which are rounded to the digits given."""
    digits = 2 if abs(percent) < 10 else 1
    assert round(100 * rule_error(preset(name)), digits) == pytest.approx(percent)


@pytest.mark.parametrize(
    ("name", "percent"), [("GPT-2 small", 31.65), ("Pythia 70M", 73.1), ("XLM-R base", 69.2), ("Llama 2 70B", 0.76)]
)
def test_the_share_of_embeddings(name: str, percent: float) -> None:
    a = preset(name)
    # The fact pack counts embeddings and the output head; BERT's pooler is neither.
    share = sum(t.total for t in a.terms if t.place == "model" and t.matrix and "pool" not in t.path)
    digits = len(str(percent).partition(".")[2])
    assert round(100 * share / a.parameters, digits) == percent


def test_the_error_of_gpt_2_per_scope() -> None:
    a = preset("GPT-2 small")
    assert rule_error(a, "matrices") == 0
    assert rule_error(a, "block") == pytest.approx(-13 / (12 * 768 + 13), rel=1e-12)
    assert rule_error(a, "model") == pytest.approx(12 * 12 * 768**2 / 124_439_808 - 1, rel=1e-12)


@pytest.mark.parametrize("name", PRESETS)
def test_a_design_grows_in_whole_heads(name: str) -> None:
    a = preset(name)
    unit = width_unit(a)
    assert a.d_model % unit == 0
    assert parameters.scaled(a, a.d_model).parameters == a.parameters
    for wider in (unit, 3 * unit):
        b = parameters.scaled(a, wider)
        assert b.n_heads * a.d_model == a.n_heads * wider
        assert b.kv_heads == 1 or b.n_heads // b.kv_heads == a.n_heads // a.kv_heads
        assert b.d_head == a.d_head
    # No smaller step keeps heads and groups whole.
    for smaller in range(1, min(unit, 200)):
        heads = a.n_heads * smaller
        group = 1 if a.kv_heads == 1 else a.n_heads // a.kv_heads
        assert heads % a.d_model or (heads // a.d_model) % group


def test_half_a_head_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"d_model = 700 would cut a head: .* steps of 512\."):
        parameters.scaled(preset("Llama 3 8B"), 700)


def test_the_curve_is_the_rule_at_every_width() -> None:
    a = preset("Llama 3 8B")
    e = parameters.errors(a)
    assert e.width.tolist() == [float(d) for d in parameters.WIDTHS]
    at = parameters.WIDTHS.index(4096)
    for scope in ("matrices", "block", "model"):
        assert float(getattr(e, scope)[at]) == pytest.approx(rule_error(a, scope), rel=1e-6)
    assert (e.matrices == e.matrices[0]).all()  # the ratios stay, so the matrices' error does
    assert (e.model.diff() > 0).all()  # embeddings grow with d, blocks with d²


# ------------------------------------------------------------------------------------------------ wrong inputs


GOOD = {"d_model": 768, "n_layers": 12, "n_heads": 12, "d_ff": 3072, "vocab": 50257}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"d_model": 770}, "cannot be split into n_heads = 12 equal heads: 770 = 12 · 64 \\+ 2. Nearest: 768 or 780"),
        ({"n_kv_heads": 5}, "cannot share n_kv_heads = 5 key/value heads evenly: .* Take one of 1, 2, 3, 4, 6, 12"),
        ({"n_kv_heads": 24}, "more than n_heads = 12: some key/value heads would have no query"),
        ({"experts_used": 2}, "experts_used = 2 is more than experts = 1"),
        ({"experts": 1024}, "too many to build while you wait: take at most 170 experts"),
        ({"decoder_layers": 3}, "needs at least one decoder layer"),
        ({"kind": "encoder-decoder"}, "needs at least one decoder layer"),
        ({"head": "none", "head_bias": True}, "head_bias needs an output head"),
        ({"d_model": 10**12}, "d_model = 1,000,000,000,000 is too large: at most 131,072 are counted"),
        ({"d_model": -1}, "d_model must be at least 1, it is -1"),
        ({"n_layers": True}, "n_layers must be a whole number, it is True"),
    ],
)
def test_a_wrong_value_gets_the_reason_in_words(wrong: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Architecture(**(GOOD | wrong))


@pytest.mark.parametrize("name", LIMITS)
def test_zero_and_a_trillion_are_refused_everywhere(name: str) -> None:
    for value in (10**12, 0):
        if value == 0 and name in ("positions", "token_types", "relative_buckets", "decoder_layers", "block_norms"):
            continue
        with pytest.raises(ValueError, match=rf"^{name} .*(at least|at most)"):
            Architecture(**(GOOD | {name: value}))


@quick
@given(st.data())
def test_any_integers_give_a_count_or_a_reason(data: st.DataObject) -> None:
    """Whatever a link carries: a total, or a ValueError with a sentence; no other exception."""
    some = st.integers(-5, 200) | st.integers(-(10**13), 10**13)
    values = {
        name: data.draw(some, label=name)
        for name in ("d_model", "n_heads", "n_kv_heads", "d_ff", "vocab", "head_dim", "positions")
    }
    try:
        a = Architecture(n_layers=1, **values)
    except ValueError as reason:
        assert str(reason).endswith(".")
    else:
        assert a.parameters > 0


# ------------------------------------------------------------------------------------------------ memory and work


@settings(quick, max_examples=20)
@given(architectures())
def test_flops_are_those_of_the_products_really_made(a: Architecture) -> None:
    n = 3
    assume(not 0 < a.positions < n)
    assert counted_flops(a, n) == n * flops_per_token(a, n).total


def test_our_counter_is_the_counter_of_torch() -> None:
    a = preset("Llama 3.2 1B")
    small = replace(a, d_model=64, n_layers=2, n_heads=4, n_kv_heads=2, d_ff=96, vocab=50)
    model, tokens = Transformer(small), torch.zeros(1, 8, dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as theirs, MatrixProducts() as ours:
        model(tokens)
    assert ours.flops == theirs.get_total_flops()


def test_the_break_even_of_the_textbook_is_6_d() -> None:
    assert even_context(replace(preset("GPT-2 small"), head="none")) == 6 * 768
    a = preset("Mixtral 8x7B")
    n = even_context(a)
    weights, attention = flops_per_token(a, 0).weights, flops_per_token(a, round(n)).attention
    assert attention == pytest.approx(weights, rel=1 / n)


def test_the_cache_is_what_the_projections_write() -> None:
    """One token's keys and values, by running the key and value projections of the built model."""
    for name in ("Llama 3.2 1B", "Gemma 3 1B", "GPT-2 small"):
        a, written = preset(name), 0
        for path, module in build(a).named_modules():
            if path.endswith(("attention.key", "attention.value")):
                written += module.out_features * torch.bfloat16.itemsize
        assert kv_cache_bytes(a) == written
    assert kv_cache_bytes(preset("BERT base")) == 0
    t5 = preset("T5 small")
    assert kv_cache_bytes(t5) == 2 * 6 * 8 * 64 * 2


def test_the_numbers_in_the_push_backs() -> None:
    llama = preset("Llama 3 8B")
    assert kv_cache_bytes(llama) == 128 * 2**10
    assert kv_cache_bytes(llama) * 8192 == 2**30
    assert kv_cache_bytes(replace(llama, n_kv_heads=32)) == 4 * kv_cache_bytes(llama)
    mixtral = preset("Mixtral 8x7B")
    used = replace(mixtral, experts=1, experts_used=1).parameters
    used += sum(t.rows * t.columns * t.copies for t in mixtral.terms if t.part == "feed-forward" and t.each > 1)
    used += sum(t.total for t in mixtral.terms if t.path.endswith("router.weight"))
    assert f"{used / 1e9:.1f}" == "12.9"
    assert f"{mixtral.parameters / 1e9:.1f}" == "46.7"
    assert (6 * 768, 6 * 4096) == (4608, 24576)
    gemma = preset("Gemma 7B")
    attention = sum(t.per_block for t in gemma.terms if t.part == "attention")
    assert attention * 3 == 16 * gemma.d_model**2
    assert -0.005 < rule_error(preset("OPT 175B"), "model") < 0


@pytest.mark.parametrize(("precision", "bits"), [("float32", 32), ("bfloat16", 16)])
def test_the_memory_of_training_is_what_adam_keeps(precision: str, bits: int) -> None:
    assert memory(1, precision).training == parameters.bytes_of_training("adam", bits)
    dtype = {32: torch.float32, 16: torch.bfloat16}[bits]
    weight = torch.nn.Parameter(torch.ones(8, 8, dtype=dtype))
    adam = torch.optim.Adam([weight])
    weight.sum().backward()
    adam.step()
    moments = sum(t.nbytes for t in adam.state[weight].values() if t.shape == weight.shape)
    assert memory(64, precision).adam == moments


def test_mixed_precision_and_inference() -> None:
    mixed = memory(10, "mixed")
    assert (mixed.weights, mixed.gradients, mixed.adam, mixed.master) == (20, 20, 80, 40)
    assert memory(10, "int8").training == memory(10, "int8").weights == 10


@pytest.mark.parametrize("eps", [1e-8, 1e-2])
def test_adam_is_the_adam_of_torch(eps: float) -> None:
    g = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=g, dtype=torch.float64)
    theirs = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([theirs], lr=0.1, betas=(0.8, 0.95), eps=eps)
    ours, first, second = start, torch.zeros_like(start), torch.zeros_like(start)
    for step in range(1, 6):
        theirs.grad = torch.randn(5, 3, generator=g, dtype=torch.float64)
        ours, first, second = adam_step(ours, theirs.grad, first, second, step, 0.1, (0.8, 0.95), eps)
        optimiser.step()
        assert torch.allclose(ours, theirs.detach(), rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="counted from 1"):
        adam_step(start, start, first, second, 0)


# ------------------------------------------------------------------------------------------------ the lesson


def test_the_costs_grow_with_the_context() -> None:
    c = parameters.costs(preset("Llama 3 8B"))
    at = parameters.CONTEXTS.index(8192)
    assert float(c.cache[at]) == 2**30
    assert (c.weights == c.weights[0]).all()
    assert (c.attention[1:] == 2 * c.attention[:-1]).all()


def test_the_settings_say_everything() -> None:
    for name in ("GPT-2 small", "Gemma 7B", "T5 11B", "OLMoE 7B"):
        given_back = Architecture(**parameters.settings(preset(name)))
        assert given_back.parameters == PUBLISHED[name]
        assert None not in parameters.settings(preset(name)).values()


def test_the_answer_can_be_spoken_in_forty_seconds() -> None:
    words = parameters.concept.answer.split()
    assert len(words) < 40 * 3.7  # a fast but comfortable speaker, words per second
    assert 4 <= len(parameters.concept.sentences) <= 6


def test_widths_are_legal_for_both_designs() -> None:
    for name, d in itertools.product((parameters.GPT_2, parameters.LLAMA_3), parameters.WIDTHS):
        assert parameters.scaled(preset(name), d).d_model == d


def test_every_expert_is_drawn_and_every_area_is_its_matrix() -> None:
    for name in ("Mixtral 8x7B", "OLMoE 7B", "T5 11B", "Llama 3 8B"):
        a = preset(name)
        found = parameters.placed(a)
        assert sum(p.term.part == "feed-forward" and p.term.each == a.experts for p in found) == (
            a.experts * (3 if a.gated else 2)
        )
        for p in found:
            assert p.wide * a.d_model**2 == pytest.approx(p.term.rows * p.term.columns)


def test_only_the_decoder_keeps_a_cache() -> None:
    t5 = preset("T5 small")
    assert kv_cache_bytes(replace(t5, n_layers=99)) == kv_cache_bytes(t5)
    assert kv_cache_bytes(replace(t5, decoder_layers=12)) == 2 * kv_cache_bytes(t5)
