"""Question 5: what distinguishes encoder-only, decoder-only and encoder-decoder models?"""

from dataclasses import replace
from typing import Literal

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
    Sees,
    append,
    changed,
    ledger,
    ledger_of,
    reach,
    torchs_difference,
    with_cross_attention,
)
from core.ops import masks
from core.presets import preset
from core.sources import GPT_2_README, LLAMA_3_2024, RADFORD_2018, RADFORD_2019, RAFFEL_2020, VASWANI_2017
from core.training import encoder_decoder as training

concept = Concept(
    __name__,
    equation=r"\mathrm{softmax}\big(\query{Q}\key{K}^\top / \sqrt{d_k} + \disputed{M}\big)\,\value{V}, \quad "
    r"M = 0 \text{ (encoder, cross)}, \quad M_{ij} = {-\infty} \text{ for } j > i \text{ (decoder)}",
    words=("encoder", "decoder", "cross-attention", "KV cache"),
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

Cross = Literal["all", "past", "none"]
SHIPPED = "of 5 shipped runs (`python -m core.training encoder_decoder`)"

# ---------------------------------------------------------------------------------------------- the answer


@concept.says("In an encoder (BERT) every token sees every token.", fails_if={"encoder": "past"})
def everyone_sees_everyone(encoder: Sees = "all") -> Evidence:
    return Evidence.exactly(
        "encoder of two layers, six words: of 36 derivatives ∂output_i / ∂input_j, how many are not 0",
        float((reach(encoder=encoder).encoder != 0).sum()),
        36,
    )


@concept.says(
    "In a decoder (GPT) each sees itself and what came before: what was computed can be kept while it writes.",
    fails_if={"decoder": "all"},
)
def a_decoder_only_adds(decoder: Sees = "past") -> Evidence:
    found = reach(decoder=decoder).decoder != 0
    return Evidence.exactly(
        "decoder of two layers: of 36 pairs, how many break the rule “acts exactly if it is not later”",
        float((found != masks.causal(6)).sum()),
        0,
    ) & Evidence.exactly(
        "one more word: largest change of the earlier words’ keys, values and outputs",
        float(append(decoder=decoder).decoder.max()),
        0,
    )


@concept.says(
    "An encoder-decoder (T5) has both stacks; through cross-attention its decoder sees the whole source.",
    fails_if=({"encoder": "past"}, {"decoder": "all"}, {"cross": "none"}, {"cross": "past"}),
)
def both_and_a_bridge(encoder: Sees = "all", decoder: Sees = "past", cross: Cross = "all") -> Evidence:
    found = reach(encoder=encoder, decoder=decoder, cross=cross)
    return (
        Evidence.exactly("its encoder: of 36 pairs, how many act", float((found.encoder != 0).sum()), 36)
        & Evidence.exactly(
            "its decoder among three target words: pairs of 9 that break the causal rule",
            float(((found.own != 0) != masks.causal(3)).sum()),
            0,
        )
        & Evidence.exactly(
            "target outputs × encoder outputs: of 18 pairs, how many act", float((found.across != 0).sum()), 18
        )
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
    )


concept.cites(
    "BERT is trained to fill gaps, GPT to continue a text, T5 to turn text into text.",
    source=(DEVLIN_2018.at("§3.1"), RADFORD_2018.at("§3.1"), RAFFEL_2020.at("§2.4")),
)


@concept.in_one_sentence(
    "An encoder lets every token see every token, a decoder only itself and what came before; an encoder-decoder joins the "
    "two by cross-attention, which GPT lacks.",
    fails_if=({"encoder": "past"}, {"decoder": "all"}, {"cross": "none"}, {"cross": "past"}, {"gpt": "BART large"}),
)
def who_sees_whom(encoder: Sees = "all", decoder: Sees = "past", cross: Cross = "all", gpt: str = GPT_2) -> Evidence:
    found = reach(decoder=decoder).decoder != 0
    return (
        both_and_a_bridge(encoder, decoder, cross)
        & Evidence.exactly(
            "decoder-only: of 36 pairs, how many break the causal rule", float((found != masks.causal(6)).sum()), 0
        )
        & Evidence.exactly("cross-attention modules in GPT-2 small", ledger(gpt).cross_attentions, 0)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "Change the third of six words. In an encoder all six outputs change. How many in a decoder?",
    Option("1: only its own", 1, 2, "The words after it look at it too, so their outputs change as well."),
    Option(
        "3: up to it",
        2,
        4,
        "That is the other direction: words before it cannot see it. The mask hides what comes later, not what came before.",
    ),
    Option("4: from it on", 4, 5, "Itself and the three words after it, which see it; the two before it do not."),
    Option(
        "6: all of them",
        5,
        7,
        "That is the encoder. A second layer does not help: no step of a causal layer leads back, so no chain of steps does.",
    ),
    shows="Just now it became “dog”: {0} outputs of a causal stack of two layers changed; with the same weights all 6 of the "
    "encoder, and all 3 target outputs of the encoder-decoder.",
)
def outputs_that_change() -> float:
    return float(changed("decoder", 2))


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "append",
    "Append a token: a decoder keeps all it had, exactly; an encoder only its first keys and values.",
    fails_if=({"decoder": "all"}, {"encoder": "past"}, {"first": 1}),
)
def only_a_decoder_keeps_what_it_had(decoder: Sees = "past", encoder: Sees = "all", first: int = 0) -> Evidence:
    found = append(decoder=decoder, encoder=encoder)
    return (
        Evidence.exactly("decoder: largest change of keys, values and outputs", float(found.decoder.max()), 0)
        & Evidence.exactly(
            "encoder: largest change of the keys and values of layer 1", float(found.encoder[first].max()), 0
        )
        & Evidence.above(
            "encoder: least change of a word’s keys and values of layer 2, and of its output",
            float(found.encoder[1:].min()),
            # Beside numbers of size 1, 10⁶ roundings of float64 make no more than this.
            1e6 * torch.finfo(torch.float64).eps,
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
    better="Not at a place between them: there its loss stays at ln 8, that of guessing one of eight. But whoever asks at the "
    "end has both sides on the left: from the same first weights, with the gap moved there, a causal model learned the task in all five runs.",
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
    "BERT’s and GPT-2’s layers are equally large; cross-attention adds 4 d² + 4 d and a norm.",
    fails_if=({"bert": "RoBERTa large"}, {"biases": False}, {"norm": False}, {"t5": "BART large"}),
)
@concept.corrects(
    "A decoder layer has more parameters than an encoder layer.",
    better="Not by its mask, which has none: a layer of BERT base and one of GPT-2 small have 7,087,872 each. What costs is "
    "cross-attention: with biases and a LayerNorm 4 d² + 4 d + 2 d, in T5 without biases 4 d² + d.",
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
        & Evidence.exactly("cross-attention in a layer of GPT-2’s numbers, less 4 d² + 4 d + 2 d", cross - formula, 0)
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
    better="Nothing of the source is in the future: every target output sees every encoder output, a full rectangle of target × "
    "source. Only the source’s padding is hidden.",
    fails_if=({"cross": "past"}, {"cross": "none"}),
    source=VASWANI_2017.at("§3.2.3"),
)
def cross_attention_sees_the_whole_source(cross: Cross = "all") -> Evidence:
    found = reach(cross=cross).across != 0
    return Evidence.exactly(
        f"{len(found)} target outputs × {found.shape[-1]} encoder outputs: pairs, of {found.numel()}, that act",
        float(found.sum()),
        18,
    )


@concept.corrects(
    "A decoder-only model reads its prompt in both directions, since it has all of it at once.",
    better="Computed at once is not seen at once: the mask stays causal in the prompt, and no word of it acts on an output before "
    "it. A prefix-LM opens the mask over the prompt, and only then do they act.",
    fails_if=({"gpt": "prompt"}, {"prefix": "past"}),
    source=RAFFEL_2020.at("§3.2.1"),
)
def a_prompt_is_read_forwards(gpt: Sees = "past", prefix: Sees = "prompt") -> Evidence:
    def backwards(sees: Sees) -> float:
        return float((reach(decoder=sees).decoder[:PROMPT, :PROMPT].triu(1) != 0).sum())

    return Evidence.exactly(
        f"a prompt of {PROMPT} words: of 6 pairs “later word, earlier output”, how many act", backwards(gpt), 0
    ) & Evidence.exactly("with the mask of a prefix-LM", backwards(prefix), 6)


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "Every token reaches every output; only padding is hidden.",
    by=everyone_sees_everyone,
    source=DEVLIN_2018.at("§1 and §3"),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.OTHERWISE,
    "The first half holds: GPT’s self-attention is causal, and each token sees itself too. The second does not: zero "
    "cross-attention modules in GPT-2 small, twelve in T5 base. That is the decoder of an encoder-decoder.",
    by=gpt_has_no_cross_attention,
    source=(RADFORD_2018.at("§4.1"), VASWANI_2017.at("§3.1")),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Does GPT have cross-attention?",
    "No. The original Transformer’s decoder has a third sublayer that attends to the encoder; GPT took the decoder and left "
    "that out, since there is no encoder. What its prompt tells it comes through self-attention. Whoever says “decoder” should say which.",
    (VASWANI_2017.at("§3.1"), RADFORD_2018.at("§4.1")),
)
concept.pushes_back(
    "Can an encoder generate?",
    "Yes: append a mask token, fill it, append the next; or fill gaps in any order, which gave fluent text with BERT. But each new "
    "token changes all outputs and, from the second layer on, all keys and values, so a plain cache does not work; and it was "
    "trained to fill gaps, not to continue.",
    WANG_CHO_2019,
)
concept.pushes_back(
    "Is the prompt of a decoder-only model read bidirectionally?",
    "In GPT no: no word of the prompt acts on an output before it. In a prefix-LM yes: the mask is open over the prompt, causal "
    "after it. Text added to the open prompt then changes what was computed for the rest of it.",
    RAFFEL_2020.at("§3.2.1"),
)
concept.pushes_back(
    "Why did decoder-only win, and what of that is opinion?",
    "Fact: one stack, a loss at every token, a cache that only grows. Measured, with over 5 billion parameters: right after "
    "pre-training causal decoders were best at tasks they had no examples of; after fine-tuning on many tasks, models that read "
    "their input in both directions were. Opinion: that the architecture is why it won. No theorem says so.",
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
    RADFORD_2018.at("§3.1"),
    RADFORD_2019.at("§2.3"),
    GPT_2_README,
    LLAMA_3_2024,
    RAFFEL_2020.at("§2 and §3.2"),
    WANG_CHO_2019,
    WANG_2022,
    REIMERS_2019,
    WHISPER.at("§2.2"),
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
