"""Question 12: how does cross-attention connect a decoder to its encoder?"""

from typing import Any, Literal

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.cross_attention import (
    EXAMPLE,
    TORCH,
    caches,
    held_out,
    hidden,
    influence,
    kept_cache,
    layer_parameters,
    nothing_seen,
    shipped,
    shipped_hiding,
    shipped_padded,
    torch_padded,
    torch_reads,
    torch_shapes,
    translate,
)
from core.ops.counting import count
from core.presets import preset
from core.sources import RAFFEL_2020, VASWANI_2017
from core.training.cross_attention import LAYERS, PADS, SEEDS, WIDTH, WRITTEN

concept = Concept(
    __name__,
    equation=r"{\mathrm{head}(X, \disputed{H}) =}\,\allowbreak{\mathrm{softmax}\big(\query{X W_Q}(\disputed{H}\key{W_K})^\top / \sqrt{d_k}\big)}\,\allowbreak{\disputed{H}\value{W_V}}",
    words=("target X", "memory H", "query", "key", "value"),
)

BAHDANAU_2015 = Source(
    "Bahdanau et al. 2015", "Neural Machine Translation by Jointly Learning to Align and Translate", "arXiv 1409.0473"
)
BAPNA_2018 = Source(
    "Bapna et al. 2018",
    "Training Deeper Neural Machine Translation Models with Transparent Attention",
    "arXiv 1808.07561",
)
JAIN_2019 = Source("Jain and Wallace 2019", "Attention is not Explanation", "arXiv 1902.10186")
WIEGREFFE_2019 = Source("Wiegreffe and Pinter 2019", "Attention is not not Explanation", "arXiv 1908.04626")
MA_2019 = Source("Ma et al. 2019", "STACL: Simultaneous Translation with Implicit Anticipation", "arXiv 1810.08398")
JAEGLE_2021 = Source("Jaegle et al. 2021", "Perceiver: General Perception with Iterative Attention", "arXiv 2103.03206")
TORCH_MODULE = Source(
    "PyTorch",
    "nn.MultiheadAttention",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html",
)
TORCH_DECODER = Source(
    "PyTorch",
    "nn.TransformerDecoder",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html",
)

RUNS = f"of {len(SEEDS)} shipped runs (`python -m core.training cross_attention`), {held_out():,} held-out dates, each in one style"
BOTH = ("src", "memory")  # nn.Transformer's masks against the padding of the source
N, T = len(EXAMPLE), WRITTEN  # characters of the example, tokens written for it

# ---------------------------------------------------------------------------------------------- in one sentence


Part = Literal["queries", "keys and values"]


def asked_by(asking: Part, answering: Part) -> Evidence:
    """That every token written so far acts on what asks, and none on what answers, in every layer."""
    found = influence()
    acting = {
        "queries": (found.queries_target != 0).sum((-1, -2)),
        "keys and values": (found.memory_target != 0).sum((-1, -2)),
    }
    return Evidence.exactly(
        f"{asking}: of {T * (T + 1) // 2} pairs with START or a token written so far, how many act, the fewest of any layer",
        float(acting[asking].min()),
        T * (T + 1) / 2,
    ) & Evidence.exactly(
        f"{answering}: pairs with a written token that act, the most of any layer", float(acting[answering].max()), 0
    )


@concept.in_one_sentence(
    "The decoder asks, the encoder answers: queries come from what is being written, keys and values from the encoded source. "
    "This is their only link: cut it, and the small model below, which rewrites dates, writes the same one for all sources.",
    fails_if=({"asking": "keys and values"}, {"answering": "queries"}, {"condition": "whole"}, {"whole": "cut"}),
)
def the_decoder_asks_the_encoder(
    asking: Part = "queries", answering: Part = "keys and values", condition: str = "cut", whole: str = "whole"
) -> Evidence:
    return (
        asked_by(asking, answering)
        & Evidence.exactly(
            f"different texts written without the link, the most {RUNS}",
            float(shipped("different", condition).max()),
            1,
        )
        & Evidence.above(f"share written right with it, the worst {RUNS}", float(shipped("exact", whole).min()), 0.99)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "The model has written the year of its date. Now its memory is swapped for another date’s. How often do month and day come from the other?",
    Option(
        "never",
        -0.01,
        0.05,
        "Tempting: it has read its source, and a date has begun; a cache of its own even holds traces of that source. But for "
        "every character it asks the source again.",
    ),
    Option(
        "in half of the dates",
        0.05,
        0.75,
        "Tempting: what is written pulls one way, the memory another. But for month and day, what is written only says what to ask for.",
    ),
    Option(
        "in about 9 of 10",
        0.75,
        0.97,
        "Tempting: surely the old year confuses it now and then. But the queries that fetch month and day ask for them in any year.",
    ),
    Option(
        "practically always",
        0.97,
        1.01,
        "The queries come from what was written: they say “now the month”. All the answers come from whatever memory is there.",
    ),
    shows="It went on with the other’s month and day in {percent} of the held-out dates (mean of our three runs).",
)
def goes_on_with_the_other() -> float:
    return float(shipped("other", "handed over").mean())


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "In every decoder layer queries come from the decoder, keys and values from the encoder’s last output.",
    fails_if=({"asking": "keys and values"}, {"answering": "queries"}, {"layers": 2}),
)
def who_asks_whom(asking: Part = "queries", answering: Part = "keys and values", layers: int = 3) -> Evidence:
    return asked_by(asking, answering) & Evidence.near(
        "nn.Transformer of 3 layers: keys and values that enter a cross-attention, distance from the encoder’s last output",
        max(torch_reads(layers)),
        0,
        within=1e-12,  # numbers of size 1 through some twenty layers of products: rounding is below 1e-14
    )


@concept.says("The weights are a rectangle, target × source: as many outputs as queries.", fails_if={"swapped": True})
@concept.corrects(
    "The output is as long as the source.",
    better="It has one row for each query: 5 target tokens that ask 9 source tokens get 5 outputs. 5 × 9 is the shape of the weights.",
    fails_if={"swapped": True},
)
def as_many_outputs_as_queries(swapped: bool = False) -> Evidence:
    output, weights = torch_shapes(9, 5) if swapped else torch_shapes(5, 9)
    return (
        Evidence.exactly("nn.MultiheadAttention, 5 target tokens ask 9 source tokens: outputs", output[0], 5)
        & Evidence.exactly("rows of its weights", weights[0], 5)
        & Evidence.exactly("columns of its weights", weights[1], 9)
    )


@concept.says(
    "It needs no causal mask: the source is complete. But its padding must be hidden.",
    fails_if=({"mask": "whole"}, {"right": "causal"}, {"pads": 0}, {"masked": False}, {"answering": "queries"}),
)
def which_masks(
    mask: str = "causal", right: str = "whole", pads: int = 16, masked: bool = True, answering: Part = "keys and values"
) -> Evidence:
    at, found = PADS.index(pads), influence()
    seen = found.memory_target if answering == "keys and values" else found.queries_target
    return (
        Evidence.exactly(
            f"nothing to hide: pairs of a written token and one of the {answering} that act, without such a mask",
            float((seen != 0).sum()),
            0,
        )
        & Evidence.below(
            f"share right with a causal mask that was not trained, the best {RUNS}",
            float(shipped("exact", mask).max()),
            0.05,
        )
        & Evidence.above("share right without it, the worst run", float(shipped("exact", right).min()), 0.99)
        & Evidence.below(
            "share right with 16 tokens of padding that only the encoder hides, the best run",
            float(shipped_padded(False)[:, at].max()),
            0.5,
        )
        & Evidence.above(
            "share right with them hidden from the cross-attention too, the worst run",
            float(shipped_padded(masked)[:, -1].min()),
            0.99,
        )
    )


@concept.says(
    "It is the only link: cut it, and the text no longer depends on the source.",
    fails_if=({"cut": False}, {"whole": False}),
)
def nothing_else_links_them(cut: bool = True, whole: bool = True) -> Evidence:
    return Evidence.exactly(
        f"of {T * N} pairs of a written token and a character of the source, how many act without cross-attention",
        float((influence(linked=not cut).source != 0).sum()),
        0,
    ) & Evidence.exactly("and with it", float((influence(linked=whole).source != 0).sum()), T * N)


@concept.says(
    "The source’s keys and values need computing only once; the decoder’s own cache grows.",
    fails_if=({"recompute": True}, {"which": "source"}, {"append": False}),
)
def one_cache_grows(recompute: bool = False, which: Literal["own", "source"] = "own", append: bool = True) -> Evidence:
    found = caches(recompute=recompute, append=append)
    own = found.own if which == "own" else found.source
    return (
        Evidence.exactly(
            f"matrix products for the source’s keys and values, {LAYERS} layers, {T} tokens written",
            float(found.multiplied[-1]),
            2 * LAYERS,
        )
        & Evidence.exactly(
            "numbers by which the decoder’s own cache grows with each token",
            float(own.diff().min()),
            2 * LAYERS * WIDTH,
        )
        # Logits of size 10, from some thirty products of width 64 to 256 in a row.
        & Evidence.near("largest difference of a logit from the pass without caches", found.apart, 0, within=1e-10)
    )


# ---------------------------------------------------------------------------------------------- looks, an argument


@concept.looks_closer(
    "link",
    "Cut: one date for all. Another’s memory: the other’s date; after the year, its month and day.",
    fails_if=({"cut": "whole"}, {"swapped": "whole"}, {"handed": "whole"}, {"then": "own"}),
)
def the_memory_decides(
    cut: str = "cut", swapped: str = "swapped", handed: str = "handed over", then: str = "other"
) -> Evidence:
    return (
        Evidence.exactly(f"cut: different texts, the most {RUNS}", float(shipped("different", cut).max()), 1)
        & Evidence.above(
            "another’s memory: share that is the other’s date, the worst", float(shipped("other", swapped).min()), 0.99
        )
        & Evidence.above(
            "another’s memory after the year: share that goes on with the other’s month and day, the worst",
            float(shipped("other", handed).min()),
            0.95,
        )
        & Evidence.above(
            "the same where the decoder keeps its cache from the first memory, some held-out dates, the first run",
            kept_cache(then),
            0.95,
        )
    )


@concept.looks_closer(
    "asks",
    "Keys and values come from the source alone; queries from the target in layer 1, later from both.",
    fails_if=({"first": 2}, {"second": 1}, {"asked": "queries"}),
)
@concept.corrects(
    "Queries know nothing of the source.",
    better="True of the first decoder layer only. From the second on the stream that makes the queries already holds what "
    "the layer below has fetched, so they know both. Cross-attention’s keys and values know only the source, in every layer.",
    fails_if=({"first": 2}, {"second": 1}, {"asked": "queries"}),
)
def later_queries_know_both(
    first: int = 1, second: int = 2, asked: Literal["keys and values", "queries"] = "keys and values"
) -> Evidence:
    found = influence()
    by_target = found.memory_target if asked == "keys and values" else found.queries_target
    return (
        Evidence.exactly(
            f"layer {first}, of {T * N} pairs of a query and a character of the source, how many act",
            float((found.queries_source[first - 1] != 0).sum()),
            0,
        )
        & Evidence.exactly(
            f"layer {second}, of the same pairs, how many act",
            float((found.queries_source[second - 1] != 0).sum()),
            T * N,
        )
        & Evidence.exactly(f"{asked}: pairs with a written token that act", float((by_target != 0).sum()), 0)
    )


MASKS: tuple[dict[str, Any], ...] = (
    {"mask": "causal"},
    {"pads": 0},
    {"masked": False},
    {"one": BOTH},
    {"both": BOTH[:1]},
)


@concept.looks_closer(
    "masks",
    "Padding must be hidden here too: 16 pads seen spoil most dates. A causal mask is not needed.",
    fails_if=MASKS,
)
@concept.corrects(
    "The encoder masks the padding, so the decoder is safe.",
    better="The encoder still gives a vector for each pad, and cross-attention looks at it unless it has a mask of "
    "its own: in PyTorch `memory_key_padding_mask`, which nn.Transformer does not derive from `src_key_padding_mask`.",
    fails_if=MASKS,
    source=TORCH_DECODER,
)
def a_mask_of_its_own(
    mask: str = "whole",
    pads: int = 16,
    masked: bool = True,
    one: tuple[str, ...] = BOTH[:1],
    both: tuple[str, ...] = BOTH,
) -> Evidence:
    forgotten = shipped_padded(False)[:, PADS.index(pads)]
    return (
        Evidence.below(
            f"16 pads that only the encoder hides: share right, the best {RUNS}", float(forgotten.max()), 0.5
        )
        & Evidence.above(
            "16 pads hidden from cross-attention too: share right, the worst run",
            float(shipped_padded(masked)[:, -1].min()),
            0.99,
        )
        & Evidence.above("no causal mask: share right, the worst run", float(shipped("exact", mask).min()), 0.99)
        # Outputs are normalised, of size 1: what is below 1e-12 is rounding.
        & Evidence.above("nn.Transformer with `src_key_padding_mask` alone: change by 4 pads", torch_padded(*one), 1e-3)
        & Evidence.near("with `memory_key_padding_mask` too", torch_padded(*both), 0, within=1e-12)
    )


@concept.looks_closer(
    "caches",
    "The price: 16 d² in a decoder layer, not 12. Of its two caches only its own grows.",
    fails_if=({"stack": "encoder"}, {"which": "source"}, {"base": "T5 small"}),
)
@concept.corrects(
    "A Transformer layer has 12 d² parameters.",
    better="12 d² in an encoder layer and in a GPT; a decoder layer with cross-attention has 4 d² more, 16 d², with a feed-forward width of 4 d and "
    "biases and norms left out (question 15). In T5 base that is 28 million parameters in 12 layers.",
    fails_if=({"stack": "encoder"}, {"which": "source"}, {"base": "T5 small"}),
    source=RAFFEL_2020,
    verdict=Verdict.HOLDS_IF,
)
def four_d_squared_more(
    stack: str = "decoder", which: Literal["own", "source"] = "own", base: str = "T5 base"
) -> Evidence:
    found = caches()
    grown = (found.own if which == "own" else found.source).diff()
    cross = sum(term.total for term in count(preset(base)) if term.part == "cross-attention" and term.matrix)
    return (
        Evidence.exactly("parameters of a layer of the shipped decoder ÷ d²", layer_parameters(stack) / WIDTH**2, 16)
        & Evidence.exactly("cross-attention of T5 base, millions of parameters", cross / 1e6, 28.311552)
        & Evidence.above("least growth of its own cache with a token, in numbers", float(grown.min()), 0)
    )


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Each encoder layer feeds the decoder layer beside it.",
    better="Every decoder layer reads the same memory, the encoder’s last output. Let the first decoder layer of our "
    "models read the first encoder layer instead, as that picture has it, and they, trained otherwise, write fewer dates right.",
    fails_if=({"said": "whole"}, {"layers": 2}),
    source=(VASWANI_2017.at("§3.2.3"), TORCH_DECODER),
)
def all_read_the_last_layer(said: str = "beside", layers: int = 3) -> Evidence:
    return Evidence.below(
        f"share right with the layer beside, not trained so, the best {RUNS}", float(shipped("exact", said).max()), 0.97
    ) & Evidence.near(
        "nn.Transformer of 3 layers: keys and values that enter a cross-attention, distance from the encoder’s last output",
        max(torch_reads(layers)),
        0,
        within=1e-12,
    )


@concept.corrects(
    "Shuffle the rows of the memory, and the text is shuffled.",
    better="It stays as it is, as long as each key keeps its value: a weighted sum has no order. Where a character stood is inside "
    "its vector, put there before and by the encoder. Shuffle the characters before they are encoded, and hardly a date survives.",
    fails_if=({"rows": "shuffled"}, {"characters": "reordered"}),
)
def order_is_inside_the_vectors(rows: str = "reordered", characters: str = "shuffled") -> Evidence:
    return Evidence.above(
        f"rows of the memory in another order: share right, the worst {RUNS}", float(shipped("exact", rows).min()), 0.99
    ) & Evidence.below(
        "characters of the source in another order: share right, the best",
        float(shipped("exact", characters).max()),
        0.1,
    )


@concept.corrects(
    "The attention map explains each character.",
    better="It shows where heads look: a good hint. About half of the characters need the source at all (hyphens do not). Hide from "
    "one of our models’ cross-attention the character with the largest mean weight, and about 7 in 10 of that half change; hide "
    "another one, and hardly any does. In the rest something else is enough.",
    fails_if=({"base": "all"}, {"base": "rest"}, {"hide": "others"}, {"others": "favourite"}, {"runs": "favourite"}),
    source=(JAIN_2019, WIEGREFFE_2019),
    verdict=Verdict.CONTESTED,
)
def a_hint_and_no_explanation(
    base: Literal["needing", "all", "rest"] = "needing",
    hide: Literal["favourite", "others"] = "favourite",
    others: Literal["favourite", "others"] = "others",
    runs: str = "others",
) -> Evidence:
    found = hidden()
    changed = {
        "needing": found.favourite if hide == "favourite" else found.others,
        "all": found.needing * found.favourite + (1 - found.needing) * found.unneeding,
        "rest": found.unneeding,
    }[base]
    # Four standard errors of a share of 0.7 among 200 characters are 0.13.
    return (
        Evidence.between(
            f"share of characters that change when the link is cut, {found.dates} held-out dates, first run",
            found.needing if base == "needing" else 1.0,
            0.4,
            0.6,
        )
        & Evidence.between("of these, when their favourite is hidden", changed, 0.57, 0.83)
        & Evidence.below(
            "of these, when another one is hidden", found.others if others == "others" else found.favourite, 0.05
        )
        & Evidence.below(
            f"of all characters, when another one is hidden, the most {RUNS}", float(shipped_hiding(runs).max()), 0.05
        )
    )


@concept.corrects(
    "An empty source does no harm: it only brings nothing in.",
    better=f"A softmax over no keys has no answer (question 4). Where all of a source is hidden, nn.MultiheadAttention (torch {TORCH}, CPU), "
    "called for its weights as by default, gives NaN; without them, as nn.TransformerDecoder calls it, it adds its bias "
    "and nothing of the source, and nobody notices. One token that may be seen is enough, such as an end-of-text token.",
    fails_if=({"visible": 1}, {"seen": 0}, {"asked": True}),
    source=(TORCH_MODULE, TORCH_DECODER),
)
def an_empty_source_is_not_a_number(visible: int = 0, seen: int = 1, asked: bool = False) -> Evidence:
    return (
        Evidence.exactly(
            "nn.MultiheadAttention, 5 source tokens, all hidden: numbers of an output, of 8, that are NaN",
            float(nothing_seen(visible).isnan().sum()),
            8,
        )
        & Evidence.exactly(
            "called with need_weights=False: how many are just its bias", float((nothing_seen(0, asked) == 0).sum()), 8
        )
        & Evidence.exactly("with one token seen: how many are NaN", float(nothing_seen(seen).isnan().sum()), 0)
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS,
    "What is missing: keys and values are made from the encoder’s last output in every decoder layer, with matrices of its own; and "
    "from the second layer on the queries, too, hold what was fetched from the source.",
    by=later_queries_know_both,
    source=VASWANI_2017.at("§3.2.3"),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS,
    "What is missing: it is their only link, it needs no causal mask, but one against the source’s padding.",
    by=nothing_else_links_them,
    source=VASWANI_2017.at("§3.2.3"),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Must the decoder read the encoder’s last layer?",
    "In the original Transformer, T5 and nn.Transformer every decoder layer does. Others were tried: a learned mixture of all encoder layers, "
    "for instance, so that deep encoders train more easily.",
    (VASWANI_2017.at("§3.2.3"), TORCH_DECODER, BAPNA_2018),
)
concept.pushes_back(
    "Is an attention map an explanation?",
    "Not by itself: the vector at a place holds what the encoder mixed into it, other heads and layers read "
    "elsewhere, and a value may be small. Hide the place and see what changes: that is a test of the explanation.",
    (JAIN_2019, WIEGREFFE_2019),
)
concept.pushes_back(
    "Is cross-attention only for translation?",
    "No. In a Perceiver a few learned vectors ask a large input, and so the cost is their number times its length. (A GPT has no cross-attention: "
    "question 5.)",
    JAEGLE_2021,
)
concept.pushes_back(
    "Is cross-attention ever causal?",
    "Not when the source is complete before writing begins. In simultaneous translation it is still arriving: then each target token may "
    "see only what has come so far, say k words ahead, and the model is trained that way.",
    MA_2019,
)

concept.reads(VASWANI_2017, BAHDANAU_2015, RAFFEL_2020, BAPNA_2018, JAIN_2019, WIEGREFFE_2019, MA_2019, JAEGLE_2021)
concept.reads(TORCH_MODULE, TORCH_DECODER)

# ---------------------------------------------------------------------------------------------- the program


@concept.writes(
    '''
import torch
from torch import nn

source, written = $source, $written
d, heads = 64, 2


def embed(text):
    """A random vector for each character, the same wherever it stands."""
    return torch.stack([torch.randn(d, generator=torch.Generator().manual_seed(ord(c))) for c in text])[None].double()


torch.manual_seed(0)
memory, target = embed(source), embed("^" + written)  # what an encoder and a decoder would have made of them
cross = nn.MultiheadAttention(d, heads, bias=False, batch_first=True).double()
with torch.no_grad():
    output, weights = cross(query=target, key=memory, value=memory, average_attn_weights=False)
    order = torch.randperm(len(source))
    again, _ = cross(target, memory[:, order], memory[:, order])

print("outputs, one for each query:", tuple(output.shape[1:]))
print("largest change if the memory stands in another order:", float((again - output).abs().max()))
print("in one layer, keys and values of the source, kept once:", 2 * memory[0].numel(), "numbers")
print("in one layer, of the target, kept so far by self-attention:", 2 * target[0].numel(), "numbers")
print("weights of a head, target × source:", weights[0, 0].numel())
''',
    {"source": EXAMPLE, "written": "1987-0"},
    {"source": "3rd of May '87", "written": ""},
)
def weights_of_a_head(source: str, written: str) -> float:
    """Of the trained model, at the step at which so much has been written."""
    return float(translate(source).weights[0, 0, : len(written) + 1].numel())
