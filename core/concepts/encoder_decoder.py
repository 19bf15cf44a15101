"""Question 5: what distinguishes encoder-only, decoder-only and encoder-decoder models?"""

from dataclasses import replace

import torch

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.encoder_decoder import (
    BERT,
    FAMILIES,
    GPT_2,
    PROMPT,
    SENTENCE,
    T5,
    TARGET,
    Cross,
    Sees,
    Sight,
    To,
    append,
    ledger,
    ledger_of,
    reach,
    sight,
    torchs_difference,
    with_cross_attention,
)
from core.ops import masks
from core.presets import preset
from core.sources import GPT_2_README, LLAMA_3_2024, RADFORD_2018, RADFORD_2019, RAFFEL_2020, VASWANI_2017
from core.training import encoder_decoder as training

concept = Concept(
    __name__,
    equation=r"{\mathrm{softmax}\big(\query{Q}\key{K}^\top / \sqrt{d_k} + \disputed{M}\big)\,\value{V}}, \quad \allowbreak "
    r"{M = 0 \text{ (encoder, cross)}}, \quad \allowbreak {M_{ij} = {-\infty} \text{ for } j > i, \text{ else } 0 \text{ (decoder)}}",
    words=("mask M", "source", "target", "cross-attention"),
)

DEVLIN_2018 = Source(
    "Devlin et al. 2019",
    "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    "arXiv 1810.04805",
)
WANG_CHO_2019 = Source(
    "Wang and Cho 2019",
    "BERT has a Mouth, and It Must Speak: BERT as a Markov Random Field Language Model",
    "arXiv 1902.04094",
)
REIMERS_2019 = Source(
    "Reimers and Gurevych 2019", "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", "arXiv 1908.10084"
)
LIU_2019 = Source("Liu et al. 2019", "RoBERTa: A Robustly Optimized BERT Pretraining Approach", "arXiv 1907.11692")
LEWIS_2020 = Source(
    "Lewis et al. 2020",
    "BART: Denoising Sequence-to-Sequence Pre-training for Natural Language Generation, Translation, and Comprehension",
    "arXiv 1910.13461",
)
WANG_2022 = Source(
    "Wang et al. 2022",
    "What Language Model Architecture and Pretraining Objective Work Best for Zero-Shot Generalization?",
    "arXiv 2204.05832",
)
WHISPER = Source(
    "Radford et al. 2022", "Robust Speech Recognition via Large-Scale Weak Supervision", "arXiv 2212.04356"
)

ALAYRAC_2022 = Source(
    "Alayrac et al. 2022", "Flamingo: a Visual Language Model for Few-Shot Learning", "arXiv 2204.14198"
)
BELTAGY_2020 = Source("Beltagy et al. 2020", "Longformer: The Long-Document Transformer", "arXiv 2004.05150")

ROUNDING = 1e6 * torch.finfo(torch.float64).eps  # beside numbers of size 1, 10⁶ roundings make no more than this
SHIPPED = "of 5 shipped runs (`python -m core.training encoder_decoder`)"

# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "In an encoder (BERT) every token sees every token.", fails_if=({"encoder": "past"}, {"encoder": "window"})
)
def everyone_sees_everyone(encoder: Sees = "all") -> Evidence:
    return Evidence.exactly(
        "six words, two layers, each attention alone: of 72 pairs, in how many does one see the other",
        float(sight(encoder=encoder).encoder.sum()),
        72,
    ) & Evidence.exactly(
        "through both layers: of 36 derivatives ∂output_i / ∂input_j, how many are not 0",
        float((reach(encoder=encoder).encoder != 0).sum()),
        36,
    )


def _breaks(seen: torch.Tensor) -> float:
    """In how many pairs, in any layer, the rule “sees itself and what came before” is broken."""
    return float((seen != masks.causal(seen.shape[-1])).sum())


@concept.says(
    "In a decoder (GPT) each sees itself and what came before: what was computed can be kept while it writes.",
    fails_if=({"decoder": "all"}, {"decoder": "recent"}),
)
def a_decoder_only_adds(decoder: Sees = "past") -> Evidence:
    return Evidence.exactly(
        "two layers, each attention alone: of 72 pairs, how many break the rule “sees it exactly if it is not later”",
        _breaks(sight(decoder=decoder).decoder),
        0,
    ) & Evidence.exactly(
        "one more word: largest change of the earlier words’ keys, values and outputs",
        float(append(decoder=decoder).decoder.max()),
        0,
    )


NOT_BOTH = ({"encoder": "past"}, {"encoder": "window"}, {"decoder": "all"})
NOT_ACROSS = ({"cross": "past"}, {"cross": "first"}, {"cross": "none"})


def _crosses(found: Sight) -> Evidence:
    return Evidence.exactly(
        "cross-attention of both layers: of 36 pairs target word × encoder output, how many see",
        float(found.across.sum()),
        36,
    )


@concept.says(
    "An encoder-decoder (T5) has both stacks; through cross-attention its decoder sees the whole source.",
    fails_if=(*NOT_BOTH, *NOT_ACROSS),
)
def both_and_a_bridge(encoder: Sees = "all", decoder: Sees = "past", cross: Cross = "all") -> Evidence:
    found = sight(encoder=encoder, decoder=decoder, cross=cross)
    return (
        Evidence.exactly("its encoder, two layers: of 72 pairs, how many see", float(found.encoder.sum()), 72)
        & Evidence.exactly(
            "its decoder among three target words, two layers: of 18 pairs, how many break the causal rule",
            _breaks(found.own),
            0,
        )
        & _crosses(found)
    )


GPT_HAS_ONE = ({"gpt": "BART large"}, {"t5": GPT_2})


@concept.corrects(
    "GPT is a decoder, so it has cross-attention.",
    better="GPT is decoder-only: without an encoder there is nothing to cross-attend to. GPT-2 small has no such module and, "
    "so built, its published 124 million parameters; with one in each layer it would have 153. T5 base has twelve, one "
    "in each layer of its decoder.",
    fails_if=(*GPT_HAS_ONE, {"cross": True}),
    source=(GPT_2_README, RAFFEL_2020.at("§2.1 and §3.1.1")),
)
@concept.says(
    "GPT has no cross-attention: zero modules in GPT-2, twelve in T5 base.", fails_if=(*GPT_HAS_ONE, {"cross": True})
)
def gpt_has_no_cross_attention(gpt: str = GPT_2, t5: str = T5, cross: bool = False) -> Evidence:
    # What is built has the modules that it was asked for; that the published counts come out is what proves it.
    alone, both = ledger(gpt), ledger(t5)
    extra = ledger(gpt, cross=True).cross * alone.self_attentions
    return (
        Evidence.exactly("cross-attention modules in GPT-2 small, built and counted", alone.cross_attentions, 0)
        & Evidence.exactly(
            "its parameters in millions, rounded, of which 124 are published",
            round((alone.parameters + (extra if cross else 0)) / 1e6),
            124,
        )
        & Evidence.exactly(
            "in millions, rounded, with cross-attention in each layer", round((alone.parameters + extra) / 1e6), 153
        )
        & Evidence.exactly("cross-attention modules in T5 base", both.cross_attentions, 12)
        & Evidence.exactly(
            "its parameters in millions, in tens, of which “about 220” are published",
            round(both.parameters / 1e7) * 10,
            220,
        )
    )


concept.cites(
    "BERT is trained to fill gaps, GPT to continue a text, T5 to turn text into text.",
    source=(DEVLIN_2018.at("§3.1"), RADFORD_2018.at("§3.1"), RAFFEL_2020.at("§2.4")),
)


@concept.in_one_sentence(
    "An encoder lets every token see every token, a decoder only itself and what came before; an encoder-decoder joins the "
    "two by cross-attention, which GPT lacks.",
    fails_if=(*NOT_BOTH, *NOT_ACROSS, {"gpt": "BART large"}),
)
def who_sees_whom(encoder: Sees = "all", decoder: Sees = "past", cross: Cross = "all", gpt: str = GPT_2) -> Evidence:
    return (
        both_and_a_bridge(encoder, decoder, cross)
        & Evidence.exactly(
            "decoder-only, two layers: of 72 pairs, how many break the causal rule",
            _breaks(sight(decoder=decoder).decoder),
            0,
        )
        & Evidence.exactly("cross-attention modules in GPT-2 small", ledger(gpt).cross_attentions, 0)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "One more word at the end (T5: of the target). In how many of BERT, GPT and T5 do all earlier outputs stay as they were?",
    Option("0: none", 0, 1, "So it is where earlier words see the new one. Under a causal mask they never do."),
    Option(
        "1: GPT",
        1,
        2,
        "In GPT they do. But T5 writes its target with a decoder too, causal like GPT’s, and the source that it reads got no new word.",
    ),
    Option("2: GPT and T5", 2, 3, "Both write with a causal decoder: no earlier word sees a later one."),
    Option(
        "3: all",
        3,
        4,
        "No earlier word changed, but in an encoder each of them sees the new one, and so each output becomes another.",
    ),
    shows="Just now, in two layers with random weights, {0} of the three kept every earlier output, exactly: the decoder and the "
    "encoder-decoder. In the encoder all six changed.",
)
def families_that_keep_their_outputs() -> float:
    found = append()
    return float(sum(not found.of(family)[-1].any() for family in FAMILIES))


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "append",
    "Append a token: a decoder keeps all it had, exactly; an encoder only its first keys and values.",
    fails_if=({"decoder": "all"}, {"encoder": "past"}, {"first": 1}, {"to": "target"}),
)
def only_a_decoder_keeps_what_it_had(
    decoder: Sees = "past", encoder: Sees = "all", first: int = 0, to: To = "source"
) -> Evidence:
    found = append(decoder=decoder, encoder=encoder, to=to)
    return (
        Evidence.exactly("decoder: largest change of keys, values and outputs", float(found.decoder.max()), 0)
        & Evidence.exactly(
            "encoder: largest change of the keys and values of layer 1", float(found.encoder[first].max()), 0
        )
        & Evidence.above(
            "encoder: least change of a word’s keys and values of layer 2, and of its output",
            float(found.encoder[1:].min()),
            ROUNDING,
        )
        & Evidence.above(
            "encoder-decoder, appended to the source: least change of a source word’s keys and values in cross-attention, "
            "in either layer",
            float(found.source[:-1].min()),
            ROUNDING,
        )
    )


SIDES = ({"both": "past"}, {"past": "both"}, {"end": "past"})


@concept.looks_closer(
    "sides",
    "What needs both sides: bidirectional learns it, causal stays at ln 8, unless the gap comes last.",
    fails_if=SIDES,
)
@concept.corrects(
    "A decoder-only model cannot use what stands on both sides.",
    better="Not at a place between them: where the answer is the sum of both neighbours modulo 8, its loss there stays at ln 8, that "
    "of guessing one of eight. But whoever asks at the end has both sides on the left: from the same first weights, with the gap "
    "moved there, a causal model learned that task in all five runs.",
    fails_if=SIDES,
    verdict=Verdict.HOLDS_IF,
)
def the_gap_decides(both: training.Arm = "both", past: training.Arm = "past", end: training.Arm = "end") -> Evidence:
    runs = training.trained()
    final = {arm: runs.final[i] for i, arm in enumerate(training.ARMS)}
    lowest = runs.losses[training.ARMS.index(past)].min()
    return (
        Evidence.below(f"bidirectional: loss in nats, the worst {SHIPPED}", float(final[both].max()), training.LEARNED)
        & Evidence.exactly(
            f"causal: the worst, rounded as ln 8 = {training.FLOOR:.2f}", round(float(final[past].max()), 2), 2.08
        )
        # What is shipped has seven digits.
        & Evidence.above("causal: least loss of any run at any step, less ln 8", float(lowest) - training.FLOOR, -1e-6)
        & Evidence.below("causal, asked at the end: the worst", float(final[end].max()), training.LEARNED)
    )


@concept.looks_closer(
    "ledger",
    "BERT base’s and GPT-2 small’s layers are equally large; cross-attention would add a third.",
    fails_if=({"bert": "RoBERTa large"}, {"biases": False}, {"norm": False}, {"t5": "BART large"}),
)
@concept.corrects(
    "A decoder layer has more parameters than an encoder layer.",
    better="Not by its mask, which has none: a layer of BERT base and one of GPT-2 small have 7,087,872 each. If it has "
    "cross-attention, yes: in GPT-2 small that would cost 4 d² + 4 d (biases) + 2 d (LayerNorm), a third more; in T5 base, which "
    "has no biases, it costs 4 d² + d.",
    fails_if=({"bert": "RoBERTa large"}, {"biases": False}, {"norm": False}, {"t5": "BART large"}),
    verdict=Verdict.HOLDS_IF,
    source=(DEVLIN_2018.at("§3"), RADFORD_2019.at("§2.3"), VASWANI_2017.at("§3.1")),
)
def what_a_layer_costs(bert: str = BERT, biases: bool = True, norm: bool = True, t5: str = T5) -> Evidence:
    a = preset(GPT_2)
    d, each = a.d_model, [sum(ledger(name).stacks[-1].values()) for name in (bert, GPT_2)]
    cross = ledger_of(with_cross_attention(replace(a, n_layers=1, qkv_bias=biases, out_bias=biases))).cross
    formula = 4 * d**2 + 4 * d + (2 * d if norm else 0)
    other = ledger(t5)
    return (
        Evidence.exactly("parameters of a layer of BERT base, built and counted", each[0], 7_087_872)
        & Evidence.exactly("of GPT-2 small less that", each[1] - each[0], 0)
        & Evidence.exactly("cross-attention in a layer of GPT-2 small, less 4 d² + 4 d + 2 d", cross - formula, 0)
        & Evidence.exactly("that, in percent of the layer, rounded", round(100 * cross / each[0]), 33)
        & Evidence.exactly(
            "nn.TransformerDecoderLayer less nn.TransformerEncoderLayer, less the same",
            torchs_difference() - formula,
            0,
        )
        & Evidence.exactly(
            "cross-attention in a layer of T5 base, less 4 d² + d",
            other.cross - 4 * other.d_model**2 - other.d_model,
            0,
        )
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Cross-attention is causal, like the decoder’s self-attention.",
    better="Nothing of the source is in the future: in every layer each word of the target sees each output of the encoder, a full "
    "rectangle of target × source (question 12).",
    fails_if=NOT_ACROSS,
    source=VASWANI_2017.at("§3.2.3"),
)
def cross_attention_sees_the_whole_source(cross: Cross = "all") -> Evidence:
    return _crosses(sight(cross=cross))


@concept.corrects(
    "A decoder-only model reads its prompt in both directions, since it has all of it at once.",
    better="Computed at once is not seen at once: the mask stays causal in the prompt, and no word of it acts on an output before "
    "it. A prefix-LM opens the mask over the prompt, and only then do they act. Text added to the open prompt then changes "
    "the outputs of the rest of it.",
    fails_if=({"gpt": "prompt"}, {"prefix": "past"}, {"opened": "past"}),
    source=RAFFEL_2020.at("§3.2.1"),
)
def a_prompt_is_read_forwards(gpt: Sees = "past", prefix: Sees = "prompt", opened: Sees = "all") -> Evidence:
    def backwards(sees: Sees) -> float:
        return float((reach(decoder=sees).decoder[:PROMPT, :PROMPT].triu(1) != 0).sum())

    return (
        Evidence.exactly(
            f"a prompt of {PROMPT} words: of 6 pairs “later word, earlier output”, how many act", backwards(gpt), 0
        )
        & Evidence.exactly("with the mask of a prefix-LM", backwards(prefix), 6)
        & Evidence.above(
            "an open prompt of six words and one more: least change of an output",
            float(append(decoder=opened).decoder[-1].min()),
            ROUNDING,
        )
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "Every layer of BERT shows every token all of them. Encoders for long texts, such as Longformer, show most tokens only "
    "their neighbours in a layer, on both sides.",
    by=everyone_sees_everyone,
    source=(DEVLIN_2018.at("§1"), BELTAGY_2020.at("§3.1")),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.OTHERWISE,
    "The first half holds: GPT’s self-attention is causal, and each token sees itself too. The second does not: zero "
    "cross-attention modules in GPT-2 small, twelve in T5 base. That is the decoder of an encoder-decoder: whoever says “decoder” "
    "should say which.",
    by=gpt_has_no_cross_attention,
    source=(RADFORD_2018.at("§4.1"), VASWANI_2017.at("§3.1")),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Does GPT have cross-attention?",
    "No. The original Transformer’s decoder has a third sublayer that attends to the encoder; GPT took the decoder and left "
    "that out, since there is no encoder. What its prompt tells it comes through self-attention. Others put it back: Flamingo "
    "adds cross-attention to a language model so that it sees images.",
    (VASWANI_2017.at("§3.1"), RADFORD_2018.at("§4.1"), ALAYRAC_2022),
)
concept.pushes_back(
    "Can an encoder generate?",
    "Yes: append a mask token, fill it, append the next; or fill gaps in any order, which with BERT gave text more diverse than a "
    "left-to-right model’s, and slightly worse. But each new token changes all outputs and, from the second layer on, all keys and values, so a "
    "plain cache does not work; and it was trained to fill gaps, not to continue, which a causal mask alone would not change.",
    WANG_CHO_2019,
)
concept.pushes_back(
    "Why did decoder-only win, and what of that is opinion?",
    "Fact: one stack, a loss at every token of any text, a cache in which nothing is ever corrected. Measured, with over 5 "
    "billion parameters, at tasks without examples: right after pre-training, causal decoders trained to continue text were best; after fine-tuning "
    "on many tasks, models that see their input in both directions and were trained to fill gaps. Opinion: that the architecture is "
    "why it won.",
    WANG_2022,
)
concept.pushes_back(
    "When would you still take one of the others?",
    "An encoder where nothing is written: a label, a tag, a vector for search (BERT, Sentence-BERT). An encoder-decoder where a given input becomes another "
    "text, as in translation or speech recognition (T5, Whisper): the source is read in both directions, once, and its keys and "
    "values do not grow while the output does. A habit, not a law: decoders do all of this too.",
    (DEVLIN_2018.at("§4 and §5.3"), REIMERS_2019, RAFFEL_2020.at("§2.4"), WHISPER.at("§2.2")),
)
concept.reads(
    VASWANI_2017.at("§3.1 and §3.2.3"),
    DEVLIN_2018.at("§3"),
    LIU_2019,
    LEWIS_2020,
    RADFORD_2018.at("§3.1 and §4.1"),
    RADFORD_2019.at("§2.3"),
    GPT_2_README,
    LLAMA_3_2024,
    RAFFEL_2020.at("§2 and §3.2"),
    WANG_CHO_2019,
    WANG_2022,
    REIMERS_2019,
    WHISPER.at("§2.2"),
    BELTAGY_2020.at("§3.1"),
    ALAYRAC_2022,
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import zlib
import torch
import torch.nn.functional as F

sentence, target, token, seed = $sentence, $target, $token, $seed
d = 16


def inputs(text):  # a random vector for each word, and sinusoidal positions
    words = text.split()
    x = torch.stack([
        torch.randn(d, generator=torch.Generator().manual_seed(zlib.crc32(w.encode())), dtype=torch.float64)
        for w in words
    ])
    angle = torch.arange(len(words))[:, None] * 10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    return x + torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)


g = torch.Generator().manual_seed(seed)
shapes = [(d, d)] * 4 + [(d, 2 * d), (2 * d, d)] + [(d, d)] * 4  # self-attention, feed-forward, cross-attention
layers = [[torch.randn(s, generator=g, dtype=torch.float64) / s[0] ** 0.5 for s in shapes] for _ in range(2)]


def norm(x):
    return F.layer_norm(x, (d,))


def attend(x, memory, w_q, w_k, w_v, w_o, causal=False):
    q, k, v = (y[None] for y in (x @ w_q, memory @ w_k, memory @ w_v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)[0] @ w_o


def stack(x, causal, memory=None):
    for w in layers:  # the same weights in all families
        x = x + attend(norm(x), norm(x), *w[:4], causal)
        if memory is not None:
            x = x + attend(norm(x), memory, *w[6:])  # not causal: the whole source
        x = x + (norm(x) @ w[4]).relu() @ w[5]
    return norm(x)


families = {
    "encoder-only": lambda x: stack(x, causal=False),
    "decoder-only": lambda x: stack(x, causal=True),
    "encoder-decoder": lambda x: stack(inputs(target), causal=True, memory=stack(x, causal=False)),
}
together = 0
for name, family in families.items():
    influence = torch.autograd.functional.jacobian(family, inputs(sentence)).square().sum((1, 3)).sqrt()
    reached = int((influence[:, token] != 0).sum())
    print(f"{name}: word {token} reaches {reached} of {len(influence)} outputs")
    together += reached
print("together:", together)
""",
    {"sentence": SENTENCE, "target": TARGET, "token": 2, "seed": 0},
    {"sentence": "a b", "target": "c", "token": 1, "seed": 7},
    {"sentence": 'it\'s a "b" a', "target": "x y z w", "token": 0, "seed": 1},
)
def outputs_reached(sentence: str, target: str, token: int, seed: int) -> float:
    found = reach(sentence, target, seed)
    return float(sum(found.reached(family, token) for family in FAMILIES))
