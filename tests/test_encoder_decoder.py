"""Question 5: what the lesson's experiments promise, against torch; and what its sentences say."""

import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.concepts.encoder_decoder import concept
from core.experiments import encoder_decoder as families
from core.experiments.masking import sentence_of
from core.glossary import GLOSSARY
from core.ops import masks
from core.ops.words import MOST
from core.presets import preset

quick = settings(deadline=None, derandomize=True, max_examples=8)
SENTENCES = st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=2, max_size=8).map(" ".join)
TARGETS = st.lists(st.text("xyz", min_size=1, max_size=4), min_size=1, max_size=4).map(" ".join)
SEEDS = st.integers(0, 9999)


def torchs_layer(layer: families.Layer, cross: bool) -> nn.Module:
    """The same layer as torch's own module."""
    kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    made = kind(
        families.WIDTH, 1, 2 * families.WIDTH, dropout=0.0, norm_first=True, batch_first=True, bias=False, dtype=torch.float64
    )  # fmt: skip
    with torch.no_grad():
        pairs = [(made.self_attn, layer.own)] + ([(made.multihead_attn, layer.across)] if cross else [])
        for module, w in pairs:
            module.in_proj_weight.copy_(torch.cat([w.query.T, w.key.T, w.value.T]))
            module.out_proj.weight.copy_(w.output.T)
        made.linear1.weight.copy_(layer.up.T)
        made.linear2.weight.copy_(layer.down.T)
    return made


def norm(x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, x.shape[-1:])


def torchs_stack(x: Tensor, seed: int, causal: bool, memory: Tensor | None = None) -> Tensor:
    hidden = ~masks.causal(len(x)) if causal else None
    for layer in families.layers(seed):
        made = torchs_layer(layer, memory is not None)
        x = made(x[None], src_mask=hidden)[0] if memory is None else made(x[None], memory[None], tgt_mask=hidden)[0]
    return norm(x)


# ------------------------------------------------------------------------------------------------ the reader's words


def test_a_wrong_sentence_or_target_is_refused_in_words() -> None:
    for wrong, reason in (("one", "at least two words"), (" ".join("abcdefghijklm"), "That is 13 words")):
        sentence, said = sentence_of(wrong)
        assert sentence == families.SENTENCE and reason in said
    for wrong, reason in (("", "at least one word"), ("\u200d", "at least one word"), ("a b c d e", "That is 5 words")):
        target, said = families.target_of(wrong)
        assert target == families.TARGET and reason in said
    assert families.target_of("oui") == ("oui", "") and families.target_of(" a  b ") == ("a b", "")
    assert families.MOST_TARGET == 4 and MOST == 12


# ------------------------------------------------------------------------------------------------ one set of weights


@quick
@given(sentence=SENTENCES, target=TARGETS, seed=SEEDS)
def test_each_family_is_torchs(sentence: str, target: str, seed: int) -> None:
    x, y = (families.inputs(text.split()) for text in (sentence, target))
    stack = families.layers(seed)
    memory = families.states(x, stack, masks.full(len(x)))[-1]
    torch.testing.assert_close(memory, torchs_stack(x, seed, causal=False))
    torch.testing.assert_close(families.states(x, stack, masks.causal(len(x)))[-1], torchs_stack(x, seed, causal=True))
    both = families.states(y, stack, masks.causal(len(y)), memory)[-1]
    torch.testing.assert_close(both, torchs_stack(y, seed, causal=True, memory=memory))


def test_without_what_cross_attention_writes_the_third_decoder_is_the_second() -> None:
    """The families share their weights: only the third sublayer is new."""
    stack = families.layers(3)
    silent = tuple(one._replace(across=one.across._replace(output=0 * one.across.output)) for one in stack)
    x, memory = families.inputs(["a", "b", "c"]), families.inputs(["x", "y"])
    seen = masks.causal(3)
    alone = families.states(x, stack, seen)[-1]
    assert torch.equal(families.states(x, silent, seen, memory)[-1], alone)
    assert not torch.isclose(families.states(x, stack, seen, memory)[-1], alone).any()


def test_a_seed_is_a_set_of_weights_of_its_own() -> None:
    first, again = families.layers(0), families.layers(1)
    assert len(first) == families.LAYERS == 2
    flat = [w for layer in (*first, *again) for w in (*layer.own, layer.up, layer.down, *layer.across)]
    assert len({tuple(w.flatten()[:3].tolist()) for w in flat}) == len(flat) == 40
    spread = torch.cat([w.flatten() * w.shape[0] ** 0.5 for w in flat])
    assert abs(float(spread.std()) - 1) < 0.03


# ------------------------------------------------------------------------------------------------ what a token reaches


@quick
@given(sentence=SENTENCES, target=TARGETS, seed=SEEDS)
def test_influence_is_torchs_jacobian(sentence: str, target: str, seed: int) -> None:
    found = families.reach(sentence, target, seed)
    x, y = (families.inputs(text.split()) for text in (sentence, target))

    def jacobian(f, at: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(torch.autograd.functional.jacobian(f, at).movedim(1, 2))

    memory = torchs_stack(x, seed, causal=False)
    expected = {
        "encoder": jacobian(lambda x: torchs_stack(x, seed, causal=False), x),
        "decoder": jacobian(lambda x: torchs_stack(x, seed, causal=True), x),
        "source": jacobian(lambda x: torchs_stack(y, seed, True, torchs_stack(x, seed, False)), x),
        "own": jacobian(lambda y: torchs_stack(y, seed, True, memory), y),
    }
    for name, each in expected.items():
        torch.testing.assert_close(getattr(found, name), each, msg=name)


@quick
@given(sentence=SENTENCES, target=TARGETS, seed=SEEDS)
def test_what_is_0_is_exactly_0(sentence: str, target: str, seed: int) -> None:
    found = families.reach(sentence, target, seed)
    n, m = len(found.words), len(found.target)
    assert (found.words, found.target) == (tuple(sentence.split()), tuple(target.split()))
    assert (found.encoder != 0).all() and (found.source != 0).all()
    assert torch.equal(found.decoder != 0, masks.causal(n)) and torch.equal(found.own != 0, masks.causal(m))
    for token in range(n):
        assert [found.reached(family, token) for family in families.FAMILIES] == [n, n - token, m]
        assert torch.equal(found.of("encoder-decoder", token), found.source[:, token])
        assert torch.equal(found.of("decoder", token), found.decoder[:, token])
        assert torch.equal(found.of("encoder", token), found.encoder[:, token])


@quick
@given(sentence=SENTENCES, target=TARGETS, seed=SEEDS)
def test_who_sees_whom_is_where_torch_gives_weight(sentence: str, target: str, seed: int) -> None:
    """Layer by layer, against the weights of torch's own attention under its own masks."""
    found, (x, y) = (
        families.sight(sentence, target, seed),
        (families.inputs(text.split()) for text in (sentence, target)),
    )

    def weights(asking: Tensor, memory: Tensor, w: families.Attend, causal: bool) -> Tensor:
        made = nn.MultiheadAttention(families.WIDTH, 1, bias=False, batch_first=True, dtype=torch.float64)
        with torch.no_grad():
            made.in_proj_weight.copy_(torch.cat([w.query.T, w.key.T, w.value.T]))
        hidden = ~masks.causal(len(asking)) if causal else None
        return made(asking[None], memory[None], memory[None], attn_mask=hidden)[1][0]

    memory = torchs_stack(x, seed, causal=False)
    for k, layer in enumerate(families.layers(seed)):
        assert torch.equal(found.encoder[k], weights(norm(x), norm(x), layer.own, False) > 0)
        assert torch.equal(found.decoder[k], weights(norm(x), norm(x), layer.own, True) > 0)
        assert torch.equal(found.own[k], weights(norm(y), norm(y), layer.own, True) > 0)
        assert torch.equal(found.across[k], weights(norm(y), memory, layer.across, False) > 0)
    assert len(found.encoder) == len(found.across) == families.LAYERS


def test_the_mistakes_are_what_they_are_called() -> None:
    def pairs(**mistake: str) -> list[int]:
        seen, reached = families.sight(**mistake), families.reach(**mistake)
        found = [seen.encoder, seen.decoder, seen.across, seen.own]
        return [
            int((each != 0).sum()) for each in (*found, reached.encoder, reached.decoder, reached.source, reached.own)
        ]

    assert pairs() == [72, 42, 36, 12, 36, 21, 18, 6]
    assert pairs(encoder="past") == [42, 42, 36, 12, 21, 21, 18, 6]
    assert pairs(decoder="all") == [72, 72, 36, 18, 36, 36, 18, 9]
    assert pairs(cross="none") == [72, 42, 0, 12, 36, 21, 0, 6]
    assert pairs(decoder="prompt") == [72, 2 * (21 + 6), 36, 18, 36, 21 + 6, 18, 9]
    # These hide something in every layer, and yet every word reaches as far as without: sight is not reach.
    assert pairs(encoder="window") == [60, 42, 36, 12, 36, 21, 18, 6]
    assert pairs(decoder="recent") == [72, 36, 36, 12, 36, 21, 18, 6]
    assert pairs(cross="past") == [72, 42, 12, 12, 36, 21, 18, 6]
    assert pairs(cross="first") == [72, 42, 16, 12, 36, 21, 18, 6]


# ------------------------------------------------------------------------------------------------ one more word


@quick
@given(sentence=SENTENCES, target=TARGETS, word=st.text("pqr", min_size=1, max_size=3), seed=SEEDS)
def test_what_is_appended_changes_what_it_must(sentence: str, target: str, word: str, seed: int) -> None:
    """Against passes that have no slot, which may differ by rounding."""
    found = {to: families.append(sentence, target, word, to, seed) for to in ("target", "source")}
    stack, n, m = families.layers(seed), len(sentence.split()), len(target.split())

    def kept(text: str, causal: bool, size: int, memory: Tensor | None = None) -> list[Tensor]:
        x = families.inputs(text.split())
        entered = families.states(x, stack, masks.causal(len(x)) if causal else masks.full(len(x)), memory)
        pairs = zip(entered[:-1], stack, strict=True)
        caches = [torch.cat([norm(x) @ w.own.key, norm(x) @ w.own.value], -1) for x, w in pairs]
        return [each[:size] for each in (*caches, entered[-1])]

    def moved(before: list[Tensor], after: list[Tensor]) -> Tensor:
        return torch.stack([(a - b).abs().amax(-1) for a, b in zip(before, after, strict=True)])

    def memory(text: str) -> Tensor:
        return kept(text, False, 99)[-1]

    longer = f"{sentence} {word}"
    near = {"atol": 1e-11, "rtol": 1e-9}
    encoder = moved(kept(sentence, False, n), kept(longer, False, n))
    for each in found.values():
        torch.testing.assert_close(each.encoder, encoder, **near)
        assert not each.encoder[0].any() and (each.encoder[1:] > 1e-9).all()
        assert not each.decoder.any() and each.decoder.shape == (3, n), "exactly"
    assert not found["target"].both.any() and found["target"].both.shape == (3, m), "exactly"
    both = moved(kept(target, True, m, memory(sentence)), kept(target, True, m, memory(longer)))
    torch.testing.assert_close(found["source"].both, both, **near)
    assert not found["source"].both[0].any() and (found["source"].both[1:] > 1e-9).all()
    assert torch.equal(found["source"].of("encoder-decoder"), found["source"].both)
    before, after = memory(sentence), memory(longer)[:n]
    offered = [[*(torch.cat([x @ w.across.key, x @ w.across.value], -1) for w in stack), x] for x in (before, after)]
    torch.testing.assert_close(found["source"].source, moved(*offered), **near)
    assert (found["source"].source > 1e-9).all() and found["source"].source.shape == (3, n)
    assert not found["target"].source.any() and found["target"].source.shape == (3, n), "exactly"
    assert torch.equal(found["source"].of("encoder"), found["source"].encoder)


def test_a_decoder_without_its_mask_keeps_nothing_after_the_first_layer() -> None:
    wrong = families.append(decoder="all").decoder
    assert not wrong[0].any() and (wrong[1:] > 0).all()
    assert not families.append(encoder="past").encoder.any()
    torch.testing.assert_close(wrong, families.append().encoder)


# ------------------------------------------------------------------------------------------------ the ledger


@pytest.mark.parametrize(
    ("name", "parameters", "own", "cross", "layers"),
    [
        ("BERT base", 109_482_240, 12, 0, [7_087_872]),
        ("GPT-2 small", 124_439_808, 12, 0, [7_087_872]),
        ("T5 base", 222_903_552, 24, 12, [7_079_424, 9_439_488]),
        ("Transformer base (2017)", 63_084_544, 12, 6, [3_152_384, 4_204_032]),
        ("BART large", 406_291_456, 24, 12, [12_596_224, 16_796_672]),
        ("Llama 3 8B", 8_030_261_248, 32, 0, [218_112_000]),
        ("RoBERTa large", 355_359_744, 24, 0, [12_596_224]),
    ],
)
def test_what_is_built_is_what_is_published(
    name: str, parameters: int, own: int, cross: int, layers: list[int]
) -> None:
    found = families.ledger(name)
    assert (found.parameters, found.self_attentions, found.cross_attentions) == (parameters, own, cross)
    assert [sum(parts.values()) for parts in found.stacks] == layers
    assert found.d_model == preset(name).d_model
    assert (found.cross == 0) == (cross == 0) == (families.family_of(name) != "encoder-decoder")
    assert name in families.SHOWN


def test_the_layers_are_torchs() -> None:
    """Those of the original are nn.Transformer's, norm by norm and bias by bias."""
    encoder, decoder = families.ledger("Transformer base (2017)").stacks
    torchs = {
        "encoder": nn.TransformerEncoderLayer(512, 8, 2048, device="meta"),
        "decoder": nn.TransformerDecoderLayer(512, 8, 2048, device="meta"),
    }
    for parts, layer in ((encoder, torchs["encoder"]), (decoder, torchs["decoder"])):
        sizes = {name: sum(p.numel() for p in child.parameters()) for name, child in layer.named_children()}
        assert parts["self-attention"] == sizes["self_attn"]
        assert parts["cross-attention"] == sizes.get("multihead_attn", 0)
        assert parts["feed-forward"] == sizes["linear1"] + sizes["linear2"]
        norms = sum(size for name, size in sizes.items() if name.startswith("norm"))
        assert parts["norms"] + parts["its norm"] == norms
    assert families.torchs_difference(512, 8, 2048) == families.ledger("Transformer base (2017)").cross == 1_051_648


@pytest.mark.parametrize("d", [64, 768, 1600])
def test_cross_attention_costs_its_formula(d: int) -> None:
    a = replace(preset("GPT-2 small"), d_model=d, n_heads=d // 32, d_ff=4 * d, n_layers=2)
    alone, both = families.ledger_of(a), families.ledger_of(families.with_cross_attention(a))
    assert both.cross == 4 * d**2 + 4 * d + 2 * d == families.torchs_difference(d, d // 32, 4 * d)
    assert both.cross_attentions == 2 and alone.cross == alone.cross_attentions == 0
    assert sum(both.stacks[0].values()) == sum(alone.stacks[0].values()), "the encoder’s layer is the decoder-only’s"
    assert sum(both.stacks[1].values()) - sum(both.stacks[0].values()) == both.cross


def test_a_gpt_2_with_cross_attention_would_be_published_as_153_million() -> None:
    alone, crossed = families.ledger("GPT-2 small"), families.ledger("GPT-2 small", cross=True)
    assert alone.parameters + 12 * crossed.cross == 152_806_656 and crossed.cross == 2_363_904


# ------------------------------------------------------------------------------------------------ what the lesson says


def test_numbers_in_sentences_are_those_measured() -> None:
    said = " ".join(c.better for c in concept.corrections) + concept.answer
    assert "7,087,872" in said and "124 million" in said and "it would have 153" in said
    assert families.ledger("GPT-2 small").cross_attentions == 0 and families.ledger("T5 base").cross_attentions == 12
    assert "zero modules in GPT-2, twelve in T5 base" in concept.answer


def test_the_prediction_is_of_one_more_word() -> None:
    """Two of three, with any weights; its outcome says of the encoder that all six changed."""
    prediction = concept.prediction
    assert prediction.options[prediction.right(prediction.experiment())].text == "2: GPT and T5"
    assert "In the encoder all six changed" in prediction.shows and (families.append().encoder[-1] > 0).sum() == 6
    for seed in range(3):
        found = families.append(seed=seed)
        assert [not found.of(family)[-1].any() for family in families.FAMILIES] == [False, True, True]


def test_the_usual_answer_is_half_right() -> None:
    holds, otherwise = concept.judgements
    assert holds.verdict.value == "holds" and otherwise.verdict.value == "measured otherwise"
    assert re.search(r"first half holds.*second does not", otherwise.better)


def test_the_words_of_the_lesson_are_in_the_glossary_in_order() -> None:
    assert list(GLOSSARY) == sorted(GLOSSARY, key=str.casefold) and {"cross-attention", "mask M"} <= set(concept.words)
