"""Question 8: what do queries, keys and values stand for?"""

import math

import torch
from torch import Tensor, nn

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.query_key_value import (
    D_K,
    MIX,
    SIZES,
    TOKENS,
    UNMIX,
    Law,
    Part,
    head,
    law,
    lead_needed,
    module,
    pooled,
    term_by_term,
    touched,
    turn,
)
from core.ops.attention import attention, logits, softmax
from core.ops.retrieval import kernel_average, lead_for
from core.sources import GEVA_2021, GPT_OSS, VASWANI_2017

concept = Concept(
    __name__,
    equation=r"o = \sum_j \disputed{\mathrm{softmax}_j}\big(\query{q} \cdot \key{k_j} / \sqrt{d_k}\big)\,\value{v_j}",
    words=("query", "key", "value", "logit", "hull"),
)

MILLER_2016 = Source(
    "Miller et al. 2016", "Key-Value Memory Networks for Directly Reading Documents", "arXiv 1606.03126"
)
DANILUK_2017 = Source(
    "Daniluk et al. 2017", "Frustratingly Short Attention Spans in Neural Language Modeling", "arXiv 1702.04521"
)
NADARAYA_1964 = Source("Nadaraya 1964", "On Estimating Regression", "https://doi.org/10.1137/1109020")
WATSON_1964 = Source("Watson 1964", "Smooth Regression Analysis", "https://www.jstor.org/stable/25049340")
TSAI_2019 = Source("Tsai et al. 2019", "Transformer Dissection: Attention via the Lens of Kernel", "arXiv 1908.11775")
KITAEV_2020 = Source("Kitaev et al. 2020", "Reformer: The Efficient Transformer", "arXiv 2001.04451")
REPRODUCED_2021 = Source(
    "fast.ai community 2021", "Reproducibility Challenge: Reformer", "https://openreview.net/forum?id=3s8Y7dHYkN-"
)
RAMSAUER_2020 = Source("Ramsauer et al. 2020", "Hopfield Networks is All You Need", "arXiv 2008.02217")
XIAO_2023 = Source("Xiao et al. 2023", "Efficient Streaming Language Models with Attention Sinks", "arXiv 2309.17453")
TORCH_MODULE = Source(
    "PyTorch",
    "nn.MultiheadAttention",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html",
)
EPS = torch.finfo(torch.float64).eps

# ---------------------------------------------------------------------------------------------- in one sentence


@concept.says(
    "A dictionary, made soft: a query is what a token looks for, a key what it is found by, a value what it hands over.",
    fails_if=({"asks": "key"}, {"found": "query"}, {"handed": "key"}, {"hard": True}),
)
@concept.in_one_sentence(
    "A soft lookup: a query is what a token looks for, a key what it is found by, a value what it hands over; what comes back is "
    "the mean of all values, weighted by the softmax of query·key/√dₖ.",
    fails_if=({"asks": "key"}, {"found": "query"}, {"handed": "key"}, {"hard": True}),
)
def a_soft_lookup(asks: Part = "query", found: Part = "key", handed: Part = "value", hard: bool = False) -> Evidence:
    query, key, value = head()
    output = nn.functional.scaled_dot_product_attention(query, key, value)
    weights = softmax(logits(query, key))
    if hard:
        weights = nn.functional.one_hot(weights.argmax(-1), TOKENS).double()
    return (
        Evidence.exactly("rows of the logits, of 5, that move with one query", touched(asks).rows, 1)
        & Evidence.exactly("columns that move with one key", touched(found).columns, 1)
        & Evidence.exactly("rows of the weights that move with one value", touched(handed).weights, 0)
        & Evidence.above("smallest of 25 weights", float(weights.min()), 0)
        # Sums of five products with weights that are quotients: a dozen roundings of numbers up to 2.
        & Evidence.near(
            "torch’s attention − Σ weight · value, the largest",
            float((output - weights @ value).abs().max()),
            0,
            within=2 * 12 * EPS,
        )
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "One of 1,024 keys of dₖ = 64 numbers from N(0, 1) equals the query. What weight does it get?",
    Option("0.1 %", 0.0, 0.05, "That is an equal share, 1 of 1,024: what a query of zero would give to each."),
    Option(
        "60 %",
        0.55,
        0.65,
        "The match is far ahead of every single rival, but there are 1,023 of them, and together they hold the rest.",
    ),
    Option(
        "94 %",
        0.9,
        0.97,
        "That is right among 64 keys. Among 1,024 the same match has sixteen times as many rivals, each with a little.",
    ),
    Option(
        "100 %", 0.99, 1.01, "A dictionary in Python would answer so. The softmax leaves something to every other key."
    ),
    shows="Over 4,096 queries, each equal to one of its 1,024 keys, that key gets {percent} of the weight on average.",
)
def share_of_the_match() -> float:
    return pooled()[1]


# ---------------------------------------------------------------------------------------------- the answer


@concept.says(
    "Every visible value comes back, weighted by the softmax of query·key/√dₖ, even if nothing matches.",
    fails_if=({"hard": True}, {"threshold": True}, {"even": True}, {"divide": False}, {"hide": False}),
)
def every_value_comes_back(
    hard: bool = False, threshold: bool = False, even: bool = False, divide: bool = True, hide: bool = True
) -> Evidence:
    found = turn()
    away = found.logits.amax(-1) < 0  # the hero’s query where all four keys point away from it
    query, scores = found.query[away], found.logits[away]
    weights = softmax(scores if divide else scores * math.sqrt(2))
    if hard:
        weights = nn.functional.one_hot(weights.argmax(-1), weights.shape[-1]).double()
    if threshold:
        weights = weights * (scores > 0)
    if even:
        weights = torch.full_like(weights, 1 / weights.shape[-1])

    def torchs(value: Tensor, *hidden: int) -> Tensor:
        visible = torch.tensor([entry not in hidden for entry in range(len(value))])
        sdpa = nn.functional.scaled_dot_product_attention
        return sdpa(query, found.key, value, attn_mask=visible.expand(len(query), -1))

    other = found.value.index_fill(0, torch.tensor(0), 9.0)
    hidden = (0,) if hide else ()
    return (
        Evidence.above("smallest weight where every logit is negative", float(weights.min()), 0)
        & Evidence.near(
            "torch’s attention − Σ weight · value there, the largest",
            float((torchs(found.value) - weights @ found.value).abs().max()),
            0,
            within=4 * 12 * EPS,  # four products with quotients: a dozen roundings of numbers up to 4
        )
        & Evidence.exactly(
            "change of an output when a masked value changes",
            float((torchs(found.value, *hidden) - torchs(other, *hidden)).abs().max()),
            0,
        )
    )


# How soft, and then how impure: the first two looks, of which the second carries a sentence too.


@concept.looks_closer(
    "soft",
    "To hold 90 %, a match must lead N−1 equal rivals by ln 9(N−1): it grows with log N.",
    fails_if={"entries_count": False},
)
def the_lead_grows_with_the_logarithm(entries_count: bool = True) -> Evidence:
    apart = {n: lead_needed(0.9, n) - lead_for(0.9, n if entries_count else 2) for n in SIZES}
    worst = max(apart, key=lambda n: abs(apart[n]))
    # The weight is a quotient by a sum of N terms, and the lead is 1 / (0.9 · 0.1) times as uncertain as the weight.
    return Evidence.near(
        f"lead found for 90 % − ln 9(N−1), the worst of N = {SIZES[0]} … {SIZES[-1]:,}, the others equal",
        apart[worst],
        0,
        within=worst * EPS / 0.09,
    )


@concept.looks_closer(
    "pure",
    "Right, yet not pure: of 1,024 keys of 64 numbers from N(0, 1) the right one gets about 60 %.",
    fails_if=({"hard": True}, {"d_k": 8}, {"unit": True}),
)
def right_but_not_pure(d_k: int = 64, hard: bool = False, unit: bool = False) -> Evidence:
    accuracy, purity = pooled(d_k, hard=hard, unit=unit)
    return Evidence.exactly(
        "share of 4,096 queries, each one of its keys, for which that key wins", accuracy, 1
    ) & Evidence.between("mean weight of that key", purity, 0.55, 0.65)  # what rounds to 60 % in tens


@concept.says(
    "In self-attention all three are projected from the same tokens, by three matrices.",
    fails_if=({"stored": True}, {"two_matrices": True}),
)
def all_three_come_from_the_tokens(stored: bool = False, two_matrices: bool = False) -> Evidence:
    g = torch.Generator().manual_seed(0)
    theirs = module(seed=0)
    w_q, w_k, w_v = theirs.in_proj_weight.detach().chunk(3)
    first, second = torch.randn(2, TOKENS, theirs.embed_dim, generator=g, dtype=torch.float64)
    off = []
    for x in (first, second):
        told = first if stored else x  # keys and values that do not follow the input
        key = told @ (w_q if two_matrices else w_k).T
        with torch.no_grad():
            ours = attention(x @ w_q.T, key, told @ w_v.T) @ theirs.out_proj.weight.T
            off.append(float((theirs(x, x, x)[0] - ours).abs().max()))
    # Four products over 16 numbers, a softmax and a mean of 5: some 80 roundings of numbers below 10.
    return Evidence.near(
        "nn.MultiheadAttention (one head, no bias) on two inputs − attention of their projections, the largest",
        max(off),
        0,
        within=80 * 10 * EPS,
    )


@concept.corrects(
    "Keys and values are facts that the model stores.",
    better="They are computed from the input: other tokens, other keys and values. What is stored are the matrices that "
    "project, W_Q, W_K, W_V, and W_O after them. (The feed-forward layer can be read as stored keys and values: question 10.)",
    fails_if={"stored": True},
    source=GEVA_2021,
)
def keys_and_values_follow_the_input(stored: bool = False) -> Evidence:
    g = torch.Generator().manual_seed(0)
    theirs = module(seed=0)
    _, w_k, w_v = theirs.in_proj_weight.detach().chunk(3)
    first, second = torch.randn(2, TOKENS, theirs.embed_dim, generator=g, dtype=torch.float64)
    moved = [int(((first if stored else second) @ w.T != first @ w.T).any(-1).sum()) for w in (w_k, w_v)]
    return Evidence.exactly("keys, of 5, that change with the tokens", moved[0], TOKENS) & Evidence.exactly(
        "values that do", moved[1], TOKENS
    )


@concept.says(
    "Separate queries and keys: logits need not be mutual. Separate values: what matches need not be what arrives.",
    fails_if=({"separate": False}, {"shared": False}, {"part": "key"}),
)
def why_three(separate: bool = True, shared: bool = True, part: Part = "value") -> Evidence:
    def asymmetry(same: bool) -> float:
        query, key, _ = head()
        scores = logits(query, query if same else key)
        return float((scores - scores.mT).abs().max())

    moved = touched(part)
    return (
        Evidence.above("largest |s_ij − s_ji| of five tokens", asymmetry(not separate), 0)
        & Evidence.exactly("the same with keys = queries", asymmetry(shared), 0)
        & Evidence.exactly("rows of the weights that move with one value", moved.weights, 0)
        & Evidence.exactly("while outputs that move, of 5", moved.outputs, 5)
    )


# ---------------------------------------------------------------------------------------------- looks, continued


@concept.looks_closer(
    "laws",
    "A vector added to all keys changes no weight; added to all queries, it does.",
    fails_if=({"keys": "all_queries"}, {"queries": "all_keys"}),
)
def only_differences_between_keys_count(keys: Law = "all_keys", queries: Law = "all_queries") -> Evidence:
    seeds = range(8)
    return Evidence.exactly(
        "largest change of a weight, a vector added to all keys (8 draws)", max(law(keys, s).most[1] for s in seeds), 0
    ) & Evidence.above(
        "added to all queries, the least over 8 draws", min(law(queries, s).most[1] for s in seeds), 0.01
    )


@concept.looks_closer(
    "arithmetic",
    "Behind every weight: dₖ products, their sum, one division by √dₖ, and a softmax over the row.",
    fails_if=({"divide": False}, {"terms": D_K - 1}),
)
def a_weight_term_by_term(divide: bool = True, terms: int = D_K) -> Evidence:
    query, key, _ = head()
    true = softmax(logits(query, key))
    apart = [
        abs(term_by_term(i, j, terms=terms, divide=divide).weight - float(true[i, j]))
        for i in range(TOKENS)
        for j in range(TOKENS)
    ]
    # Exponentials by two libraries, five of them added, one quotient: a dozen roundings of numbers up to 1.
    return Evidence.near("25 weights written out − the softmax, the largest", max(apart), 0, within=12 * EPS)


# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "Attention returns the best match.",
    better="It returns a mean. That lies near the best match’s value only as far as the weight p allows: within (1 − p) times "
    "the largest distance from that value to another.",
    fails_if=({"hard": True}, {"even": True}),
)
def the_answer_is_a_mean(hard: bool = False, even: bool = False) -> Evidence:
    found = turn()
    weight, best = found.weights.max(-1)
    output = found.value[best] if hard else found.value.mean(0).expand_as(found.output) if even else found.output
    distance = (output - found.value[best]).norm(dim=-1)
    allowed = (1 - weight) * torch.cdist(found.value, found.value).amax(-1)[best]
    what = "of the first figure’s query at all angles"
    return Evidence.above(
        f"least distance from the best match’s value, {what}", float(distance.min()), 0
    ) & Evidence.between(
        "distance ÷ what (1 − p) allows, the most", float((distance / allowed).max()), 0, 1 + 100 * EPS
    )


@concept.corrects(
    "A query that matches nothing gets nothing.",
    better="The softmax deals out 100 % all the same: a query of zero gets the plain mean of the values, and so does one whose "
    "logits are all −5. Where the logits are far below 0, an added entry whose key and value are zero takes the weight "
    "(add_zero_attn=True in nn.MultiheadAttention): what four entries at −5 give back falls to under a twentieth.",
    fails_if=({"zero": 1.0}, {"missed": "threshold"}, {"add_zero_attn": False}),
    source=TORCH_MODULE,
)
def there_is_no_not_found(zero: float = 0.0, missed: str = "softmax", add_zero_attn: bool = True) -> Evidence:
    value = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    key = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    of_zero = attention(torch.full((1, 2), zero, dtype=torch.float64), key, value)
    scores = torch.full((4,), -5.0, dtype=torch.float64)
    weights = softmax(scores) if missed == "softmax" else (scores > 0).double()

    # torch's own: keys of ones, a query of −2.5, so that each logit is −10 / √4.
    theirs = module(seed=None, d_model=4, add_zero_attn=add_zero_attn)
    ones = torch.ones(4, 4, dtype=torch.float64)
    with torch.no_grad():
        answer = theirs(-2.5 * ones[:1], ones, value * ones)[0]
    return (
        Evidence.near("a query of zero, values 0, 1, 2, 3", float(of_zero), 1.5, within=16 * EPS)
        & Evidence.near("all logits −5", float(weights @ value[:, 0]), 1.5, within=16 * EPS)
        & Evidence.below("with add_zero_attn=True, ÷ 1.5", float(answer[0, 0]) / 1.5, 1 / 20)
    )


@concept.corrects(
    "A key tells the other tokens what the token contains.",
    better="It tells what the token is found by, itself among those who ask; what it hands over is the value’s to tell. Both "
    "are projected from what the token contains.",
    fails_if=({"part": "key"}, {"mask_self": True}),
)
def a_key_is_what_is_found(part: Part = "value", mask_self: bool = False) -> Evidence:
    query, key, _ = head()
    scores = logits(query, key)
    if mask_self:
        scores = scores.masked_fill(torch.eye(TOKENS, dtype=torch.bool), -math.inf)
    return Evidence.exactly("rows of the weights that move with one value", touched(part).weights, 0) & Evidence.above(
        "smallest weight of a token on itself", float(softmax(scores).diagonal().min()), 0
    )


@concept.corrects(
    "The more similar a key is to the query, the larger its weight.",
    better="A dot product also counts length: a key three times as long, at 60°, outweighs one that equals the query. And it "
    "is not mutual: i can look at j while j looks elsewhere.",
    fails_if=({"longer": 1.0}, {"shared": True}),
)
def a_long_key_wins(longer: float = 3.0, shared: bool = False) -> Evidence:
    query = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    at_60 = torch.tensor([[1.0, math.sqrt(3)]], dtype=torch.float64)
    equal, long = softmax(logits(query, torch.cat([query, longer * at_60])))[0].tolist()
    asks, asked, _ = head()
    scores = logits(asks, asks if shared else asked)
    return Evidence.above("weight of the long key − of the equal one", long - equal, 0) & Evidence.above(
        "largest |s_ij − s_ji| of five tokens", float((scores - scores.mT).abs().max()), 0
    )


@concept.corrects(
    "W_Q and W_K each mean something by themselves.",
    better="Without biases the logits know only W_Q W_Kᵀ. Multiply the queries by any invertible A and the keys by its inverse, "
    "transposed: no logit changes. (A rotation between the two, as in RoPE, question 13, leaves less freedom.)",
    fails_if=({"both": False}, {"transposed": False}),
)
def only_the_product_counts(both: bool = True, transposed: bool = True) -> Evidence:
    apart, inverse = [], UNMIX.T if transposed else UNMIX
    for seed in range(4):
        query, key, _ = head(seed)
        mixed = logits(query @ MIX, key @ inverse if both else key)
        apart.append(float((mixed - logits(query, key)).abs().max()))
    return Evidence.exactly("largest change of a logit, four draws of whole numbers", max(apart), 0)


@concept.corrects(
    "Nothing before attention worked like this.",
    better="Kernel regression did (Nadaraya and Watson 1964): it weighs every stored value by how near its key lies. For keys "
    "of one length, attention is just that, with a Gaussian of width dₖ to the power ¼. Key–value memories came before it too.",
    fails_if=({"lengths": "as drawn"}, {"power": 1 / 2}),
    source=(NADARAYA_1964, WATSON_1964, TSAI_2019, MILLER_2016),
)
def a_kernel_of_long_ago(lengths: str = "equal", power: float = 1 / 4) -> Evidence:
    g = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(16, 8, generator=g, dtype=torch.float64) for _ in range(3))
    if lengths == "equal":
        key = nn.functional.normalize(key, dim=-1) * math.sqrt(8)
    apart = float((attention(query, key, value) - kernel_average(query, key, value, 8**power)).abs().max())
    # Exponents up to 40, each off by a dozen roundings of its size, move weights, and so outputs up to 4, by that much.
    return Evidence.near("attention − Gaussian kernel average, the largest", apart, 0, within=40 * 12 * 4 * EPS)


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.HOLDS_IF,
    "As an analogy. The lookup is soft: every value comes back, weighted, and “not found” does not exist.",
    by=every_value_comes_back,
    source=(VASWANI_2017.at("§3.2"), MILLER_2016),
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS_IF,
    "In self-attention, and as a projection of the token, not the token itself, computed anew for every input. In "
    "cross-attention the token is the decoder’s, and keys and values come from the encoder.",
    by=all_three_come_from_the_tokens,
    source=VASWANI_2017.at("§3.2.3"),
)
concept.judges(
    concept.topic.usual[2],
    Verdict.HOLDS_IF,
    "“Other” includes the token itself, and what is advertised is what the token is found by. Key and value are both "
    "projected from its content, but a change of the value alone moves no weight.",
    by=a_key_is_what_is_found,
)
concept.judges(
    concept.topic.usual[3],
    Verdict.OTHERWISE,
    "There is no “if”: each value counts by its weight, whether or not its key matches. "
    "Where all logits are far below 0, an added entry whose key and value are zero takes the weight.",
    by=there_is_no_not_found,
    source=TORCH_MODULE,
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "Why separate queries and keys?",
    "So that looking need not be mutual: a verb can look for its subject without the subject looking back. With keys = queries every "
    "logit is mutual, and no key of the same length outdoes a token’s own. It can still work: the Reformer shares them, with keys of length 1, "
    "discourages looking at oneself, and reports no loss; a reproduction of the whole Reformer fell short of the plain Transformer.",
    (KITAEV_2020, REPRODUCED_2021),
)
concept.pushes_back(
    "Why separate keys and values?",
    "What a token is found by and what it hands over are different jobs: a pronoun finds a noun by its gender, and wants its "
    "meaning. One vector for both must compromise; splitting it improved an attentive language model before the Transformer.",
    DANILUK_2017,
)
concept.pushes_back(
    "What does a query of zero return?",
    "The plain mean of the values: all logits are 0, so all weights are 1/N. It is neither zero nor an error. A key of zero gets "
    "a logit of 0, no more and no less; only −∞ takes an entry out.",
)
concept.pushes_back(
    "A head finds nothing to attend to. Where does its weight go?",
    "Somewhere: rows sum to 1. Trained language models often leave it on the first tokens, called attention sinks. One can give it "
    "a place instead: a null key with a value of zero (add_zero_attn in torch), or a learned number in the softmax’s "
    "denominator, as in gpt-oss.",
    (XIAO_2023, GPT_OSS, TORCH_MODULE),
)
concept.pushes_back(
    "Is it a kernel, or a Hopfield network?",
    "Both. It is Nadaraya and Watson’s kernel regression with the kernel exp(q·k/√dₖ), which is not symmetric in the tokens, since "
    "W_Q and W_K differ. And it is one update of a modern Hopfield network at inverse temperature 1/√dₖ that stores the keys; its "
    "answer is read out through the values.",
    (TSAI_2019, RAMSAUER_2020),
)

concept.reads(
    VASWANI_2017.at("§3.2"), MILLER_2016, DANILUK_2017, TSAI_2019, KITAEV_2020, REPRODUCED_2021, RAMSAUER_2020, GEVA_2021,
    XIAO_2023, GPT_OSS, NADARAYA_1964, WATSON_1964, TORCH_MODULE,
)  # fmt: skip

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import math
import torch

names = $names
key = torch.tensor($keys, dtype=torch.float64)
value = torch.tensor($values, dtype=torch.float64)
angle, length = math.radians($angle), $length

query = length * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
logits = key @ query / math.sqrt(2)
weights = logits.softmax(-1)
output = weights @ value

for name, weight in zip(names, weights.tolist()):
    print(f"{name:>10} {weight:.4f}")
print("output:", [round(x, 4) for x in output.tolist()])
print("largest weight:", round(weights.max().item(), 4))
""",
    {"names": ["cat", "dog"], "keys": [[2.0, 0.0], [0.0, 1.0]], "values": [[1.0, 1.0], [-1.0, 0.5]], "angle": 30, "length": 3.0},
    {"names": ["one"], "keys": [[1.0, 1.0]], "values": [[0.0, 2.0]], "angle": 0, "length": 0.0},
    {"names": ["a", "b", "c"], "keys": [[1.0, 0.0], [1.0, 0.0], [-4.0, 4.0]], "values": [[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]],
     "angle": 355, "length": 6.0},
)  # fmt: skip
def largest_weight(
    names: list[str], keys: list[list[float]], values: list[list[float]], angle: int, length: float
) -> float:
    at, hands_over = (", ".join(f"{x:.10g} {y:.10g}" for x, y in numbers) for numbers in (keys, values))
    return float(turn(" ".join(names), at, hands_over, length).at(angle).weights.max())
