"""Question 6: why do Transformers use layer normalisation instead of batch normalisation?"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.course import Concept, Evidence, Option, Source, Verdict
from core.experiments.layer_norm import (
    FEATURES,
    LENGTHS,
    NUMBERS,
    PLACES,
    SHARES,
    TEXTS,
    WORDS,
    Kind,
    Lengths,
    Noise,
    block,
    count_leak,
    follow,
    moves,
    noise,
    normalise,
    others_move,
    pads,
)
from core.ops.norms import layer_norm, rms_norm
from core.sources import LLAMA_2023
from core.training import layer_norm as training
from core.training.layer_norm import Norm

concept = Concept(
    __name__,
    equation=r"{\hat x = \frac{x - \mu_S}{\sqrt{\sigma_S^2 + \epsilon}}} \quad\allowbreak {\text{LayerNorm: }\disputed{S = \text{a token}}} "
    r"\quad\allowbreak {\text{BatchNorm: }S = \text{a feature, all tokens}}",
    words=("S", "feature", "nats", "running statistics"),
)

BA_2016 = Source("Ba et al. 2016", "Layer Normalization", "arXiv 1607.06450")
IOFFE_2015 = Source(
    "Ioffe and Szegedy 2015",
    "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    "arXiv 1502.03167",
)
SHEN_2020 = Source("Shen et al. 2020", "PowerNorm: Rethinking Batch Normalization in Transformers", "arXiv 2003.07845")
WANG_2022 = Source(
    "Wang et al. 2022", "Understanding the Failure of Batch Normalization for Transformers in NLP", "arXiv 2210.05153"
)
ZHANG_2019 = Source("Zhang and Sennrich 2019", "Root Mean Square Layer Normalization", "arXiv 1910.07467")
LAYER_DOCS, BATCH_DOCS = (
    Source("PyTorch", f"nn.{name}", f"https://docs.pytorch.org/docs/stable/generated/torch.nn.{name}.html")
    for name in ("LayerNorm", "BatchNorm1d")
)
WU_2018 = Source("Wu and He 2018", "Group Normalization", "arXiv 1803.08494")

RUNS = len(training.SEEDS)
CLOSE = 0.002  # nats from ln 2: the runs of 16 texts, whose loss by position shows a leak, are 0.003 below it


def over_words_so_far(x: Tensor) -> Tensor:
    """The rival that no later word would give away: each word normalised by itself and all words before it."""
    count = torch.arange(1, x.shape[1] + 1)[:, None]
    mean = (x.mean(-1, keepdim=True).cumsum(1)) / count
    variance = (x.square().mean(-1, keepdim=True).cumsum(1)) / count - mean.square()
    return (x - mean) * (variance + 1e-5).rsqrt()


def ends(norm: Norm, sharing: int = 1, evaluated: bool = False) -> Tensor:
    """The loss of every seed over the last ten steps of the shipped training, or in evaluation after it."""
    runs = training.trained(norm, sharing)
    return torch.stack([(run.evaluated if evaluated else run.loss)[-1] for run in runs])


# ---------------------------------------------------------------------------------------------- in one sentence


@concept.in_one_sentence(
    "LayerNorm normalises each token by its own numbers: nothing else in the batch moves it; BatchNorm, in training, shares each "
    "feature’s mean among all tokens of the batch: other texts move a token, and so do later words.",
    fails_if=(
        {"alone": "batch"},
        {"shared": "layer"},
        {"shared": "place"},
        {"shared": "instance"},
        {"reach": "so far"},
    ),
)
def one_line(alone: Kind = "layer", shared: Kind = "batch", reach: str = "own") -> Evidence:
    moving = moves(shared, 0)
    most = others_move(partial(normalise, alone) if reach == "own" else over_words_so_far)
    return (
        Evidence.exactly(f"most that a word moves when every other word of the batch changes, {alone}", most, 0)
        # “Moves it”: by more than a hundredth of its length, each word of the block.
        & Evidence.above(f"the least when another text changes, {shared}", float(moving.text.min()), 0.01)
        & Evidence.above("when the next word changes", float(moving.after[:, :-1].min()), 0.01)
    )


# ---------------------------------------------------------------------------------------------- prediction


@concept.predicts(
    "A causal decoder reads 8 fair coin tosses, predicting each next one. With BatchNorm over those 8: its training loss in nats?",
    Option(
        "0.10, nearly sure",
        0.0,
        0.3,
        "Each toss but the last stands in the text, and the text’s statistics carry it to earlier places.",
    ),
    Option(
        "0.48, better",
        0.3,
        0.65,
        "0.48 would be left if only the number of heads leaked. But each place adds a vector of its own, so the means and variances of "
        "32 features tell the tosses apart.",
    ),
    Option(
        "0.69, as guessing",
        0.65,
        0.72,
        "Guessing costs ln 2 = 0.69 nats, and that is LayerNorm’s loss. The causal mask hides later tosses from attention, not from the norm’s statistics.",
    ),
    Option(
        "0.80, worse",
        0.72,
        math.inf,
        "Statistics of one text are noisy. But noise would be a lesser problem: they contain the answer.",
    ),
    shows="It ended at {0} nats a toss, the mean of the runs trained beforehand: far below ln 2 = 0.69 of guessing, so the answer came in.",
)
def what_coins_cost() -> float:
    return float(ends("batch").mean())


# ---------------------------------------------------------------------------------------------- the answer, and its looks


@concept.says(
    "LayerNorm normalises each token over its own features: no other token moves it, in training or evaluation.",
    fails_if=({"norm": "batch"}, {"axes": "words too"}, {"axes": "words so far"}),
)
def a_token_alone(norm: str = "layer", axes: str = "features") -> Evidence:
    """torch's own modules, with all other words changed, and with fewer after it."""
    x = block(0)
    module: nn.Module = nn.LayerNorm(FEATURES) if norm == "layer" else nn.BatchNorm1d(FEATURES)
    module = module.double()

    def out(tokens: Tensor) -> Tensor:
        with torch.no_grad():
            if axes != "features":
                return over_words_so_far(tokens) if "so far" in axes else F.layer_norm(tokens, tokens.shape[-2:])
            return module(tokens.transpose(1, 2)).transpose(1, 2) if norm == "batch" else module(tokens)

    trained, change = out(x), others_move(out)
    fewer = float((out(x[:, :2])[0] - trained[0, :2]).abs().max())
    module.eval()
    evaluated = float((out(x) - trained).abs().max())
    name = type(module).__name__
    return (
        Evidence.exactly(f"change of a word by nn.{name} when all others change", change, 0)
        & Evidence.exactly("of its first words when the later ones are cut off", fewer, 0)
        & Evidence.exactly("evaluation against training", evaluated, 0)
    )


@concept.says(
    "BatchNorm’s statistics are shared: in training, other texts move a token.",
    fails_if=({"training": False}, {"norm": "layer"}),
)
def other_texts_move_it(training: bool = True, norm: str = "batch") -> Evidence:
    x, other = block(0), block(0, salt=1)
    module = nn.BatchNorm1d(FEATURES) if norm == "batch" else nn.LayerNorm(WORDS)
    module = module.double().train(training)
    with torch.no_grad():
        before, after = (module(each.transpose(1, 2)).mT[0] for each in (x, torch.cat([x[:1], other[1:]])))
    least = float(((after - before).norm(dim=-1) / before.norm(dim=-1)).min())
    return Evidence.above(f"least move of a word, of its length, nn.{type(module).__name__}, other texts", least, 0.01)


@concept.looks_closer(
    "cheats",
    "BatchNorm over one text cheats: training below the coins’ entropy, evaluation far above it.",
    fails_if=({"norm": "layer"}, {"sharing": 64}, {"most": 1}, {"most": 16}, {"honestly": "batch"}, {"last": 0}),
)
@concept.says(
    "Over one text they let the future into a decoder: ours beat the coins’ entropy in training and failed in evaluation.",
    fails_if=({"norm": "layer"}, {"sharing": 64}, {"most": 1}, {"most": 16}, {"honestly": "batch"}, {"last": 0}),
)
def batch_norm_cheats(
    norm: Norm = "batch", sharing: int = 1, most: int = 64, honestly: Norm = "layer", last: int = -1
) -> Evidence:
    trained, evaluated = ends(norm, sharing), ends(norm, sharing, True)
    by_position = torch.stack([run.by_position for run in training.trained(norm, sharing)])
    return (
        # A bit that only the number of heads gave away would leave more than this.
        Evidence.below(
            f"training loss, most of {RUNS} seeds (shipped)", float(trained.max()), count_leak(training.LENGTH)
        )
        & Evidence.below("at each position but the last", float(by_position[:, :-1].max()), 0.1)
        # The last toss is in no statistic: nobody can know it. 20 steps of 64.
        & Evidence.near(
            "at the last, whose toss nobody reads",
            float(by_position[:, last].mean()),
            training.ENTROPY,
            4 * 0.5 / math.sqrt(20 * training.TEXTS * RUNS),
        )
        & Evidence.above("evaluation loss, the least", float(evaluated.min()), 2 * training.ENTROPY)
        & Evidence.near(
            f"training loss where {most} texts share, the mean",
            float(ends("batch", most).mean()),
            training.ENTROPY,
            CLOSE,
        )
        & Evidence.near(f"with {honestly}, the mean", float(ends(honestly).mean()), training.ENTROPY, CLOSE)
    )


@concept.says(
    "Over 64 texts no leak was seen; noise from similar words, and evaluation by running averages, stay.",
    fails_if=({"sharing": 16}, {"rho": 0.0}, {"mode": "training"}, {"batch": "kept"}),
)
def what_stays_with_many_texts(
    sharing: int = 64, rho: float = 0.5, mode: str = "evaluation", batch: str = "fresh"
) -> Evidence:
    found, at = noise(64, rho, "equal", 0), LENGTHS.index(128)
    g = torch.Generator().manual_seed(4)
    module = nn.BatchNorm1d(FEATURES).double()
    x = 2 + torch.randn(64, FEATURES, WORDS, generator=g).double()
    with torch.no_grad():
        module(x)
        module.train(mode == "training")
        kept = {name: value.clone() for name, value in module.named_buffers()}
        by_kept = (x - kept["running_mean"][:, None]) * (kept["running_var"] + module.eps).rsqrt()[:, None]
        by_batch = F.batch_norm(x, None, None, training=True) if batch == "fresh" else by_kept
        out = module(x)
    return (
        Evidence.near(
            f"training loss where {sharing} texts share, the mean of {RUNS} seeds (shipped)",
            float(ends("batch", sharing).mean()),
            training.ENTROPY,
            CLOSE,
        )
        # √(1 + 127 ρ) = 8; measured on 50 batches, so within 4/√100 of it.
        & Evidence.near(
            f"spread of the mean of 64 texts of 128 words, ρ = {rho:g}, ÷ that of independent words",
            float(found.measured[at] / found.independent[at]),
            math.sqrt(1 + 127 * 0.5),
            math.sqrt(1 + 127 * 0.5) * 4 / math.sqrt(2 * found.batches),
        )
        & Evidence.near(
            f"nn.BatchNorm1d of 64 texts in {mode} − by its running averages",
            float((out - by_kept).abs().max()),
            0,
            1e-12,
        )
        & Evidence.above("− by this batch’s statistics", float((out - by_batch).abs().max()), 0.1)
    )


@concept.looks_closer(
    "noise",
    "If words of a text correlate by ½, texts beyond 128 words hardly quiet a mean; more texts do.",
    fails_if=({"rho": 0.0}, {"rho": 0.03}, {"alike": 0.5}, {"more": 8}),
)
def longer_texts_do_not_help(rho: float = 0.5, alike: float = 0.0, more: int = 32) -> Evidence:
    short, long = LENGTHS.index(128), LENGTHS.index(512)
    few, many, free = noise(8, rho, "equal", 0), noise(more, rho, "equal", 0), noise(8, alike, "equal", 0)
    # A spread measured on m batches has a relative standard error of 1/√(2m). The same words serve both lengths, but
    # counted as independent the bound only widens; the rival, √¼ = ½, is far away in every case.
    off = 4 / math.sqrt(2 * few.batches) * math.sqrt(2)
    return (
        Evidence.near(
            f"spread of the mean of 8 texts, ρ = {rho:g}, 512 words ÷ 128",
            float(few.measured[long] / few.measured[short]),
            1,
            within=off,
        )
        & Evidence.above("by the law", float(few.law[long] / few.law[short]), 0.95)
        & Evidence.near(f"ρ = {alike:g}", float(free.measured[long] / free.measured[short]), 0.5, within=0.5 * off)
        & Evidence.near(
            f"ρ = {rho:g}, 128 words, {more} texts ÷ 8",
            float(many.measured[short] / few.measured[short]),
            0.5,
            within=0.5 * 4 * math.sqrt(1 / (2 * many.batches) + 1 / (2 * few.batches)),
        )
    )


@concept.corrects(
    "Variable lengths are what makes batch statistics noisy.",
    better="In a batch of several texts they are the smaller part once words clearly resemble each other. Take 8 texts of 128 words: lengths "
    "drawn evenly from 1 to 255 instead raise the spread of the mean by less than a twentieth if words are independent, by less than a "
    "fifth if two words of a text correlate by ½. That correlation itself raises it eightfold. Of one text alone, uneven lengths "
    "raise it by more than half if its words are independent, by about a hundredth if they correlate by ½.",
    fails_if=({"lengths": "equal", "rho": 0.0}, {"rho": 0.0}, {"uneven": 0.5}, {"squared": True}, {"lone": 8}),
)
def lengths_are_the_smaller_part(
    lengths: Lengths = "mixed", rho: float = 0.5, uneven: float = 0.0, squared: bool = False, lone: int = 1
) -> Evidence:
    at, even = LENGTHS.index(128), noise(8, 0.0, "equal", 0)
    mixed, alike, both = noise(8, uneven, lengths, 0), noise(8, rho, "equal", 0), noise(8, rho, "mixed", 0)
    off = 4 / math.sqrt(2 * even.batches)

    def to_law(found: Noise) -> float:
        return float(found.measured[at] ** (2 if squared else 1) / found.law[at])

    return (
        Evidence.between("law: uneven ÷ equal lengths, ρ = 0", float(mixed.law[at] / even.law[at]), 1, 1.05)
        & Evidence.between(f"uneven ÷ equal lengths, ρ = {rho:g}", float(both.law[at] / alike.law[at]), 1.1, 1.2)
        & Evidence.between(f"ρ = {rho:g} ÷ ρ = 0, equal lengths", float(alike.law[at] / even.law[at]), 7.5, 8.5)
        & Evidence.above(
            f"uneven ÷ equal lengths, {lone} texts, ρ = 0" if lone > 1 else "uneven ÷ equal lengths, 1 text, ρ = 0",
            float(noise(lone, 0.0, lengths, 0).law[at] / noise(lone, 0.0, "equal", 0).law[at]),
            1.5,
        )
        & Evidence.between(
            f"ρ = {rho:g}",
            float(noise(lone, rho, lengths, 0).law[at] / noise(lone, rho, "equal", 0).law[at]),
            1.005,
            1.015,
        )
        & Evidence.near("measured ÷ law, uneven, ρ = 0", to_law(mixed), 1, off)
        & Evidence.near(f"uneven, ρ = {rho:g}", to_law(both), 1, off)
        & Evidence.near(f"equal, ρ = {rho:g}", to_law(alike), 1, off)
    )


@concept.looks_closer(
    "pads",
    "Pads of 0 shift the statistics: with μ = 2, σ = 1.5 a quarter lifts σ² from 2.25 to 2.44.",
    fails_if=({"mean": 1.0}, {"counted": False}, {"std": 2.25}, {"late": 0.25}),
)
def pads_shift_the_statistics(
    mean: float = 2.0, counted: bool = True, std: float = 1.5, late: float = 0.75
) -> Evidence:
    found = pads(mean, std, 0)
    none, quarter, most = (SHARES.index(f) for f in (0.0, 0.25, late))
    variance, means = (found.variance, found.mean) if counted else (found.own[:, 1], found.own[:, 0])
    x = torch.cat([mean + 1.5 * torch.randn(15_000, generator=torch.Generator().manual_seed(1)), torch.zeros(5000)])
    # The standard error of a variance, from the fourth moment of such numbers.
    error = float((x - x.mean()).square().std()) / math.sqrt(PLACES)
    return (
        Evidence.near("variance without pads", float(variance[none]), 2.25, 4 * 2.25 * math.sqrt(2 / PLACES))
        & Evidence.near("with a quarter of pads", float(variance[quarter]), 2.4375, 4 * error)
        & Evidence.above("a quarter − none", float(variance[quarter] - variance[none]), 0)
        & Evidence.below(f"with {late:g} of pads − none", float(variance[most] - variance[none]), 0)
        & Evidence.near("mean with a quarter", float(means[quarter]), 1.5, 4 * math.sqrt(2.4375 / PLACES))
    )


@concept.looks_closer(
    "running",
    "Evaluation uses running averages: late, and nine batches behind a drift at PyTorch’s momentum.",
    fails_if=({"momentum": 0.9}, {"drift": 0.0}),
)
def running_averages_trail(momentum: float = 0.1, drift: float = 0.5) -> Evidence:
    still, moving = follow(momentum, 0.0, 0), follow(momentum, drift, 0)
    # Of the kept mean: every batch has one of 1.5/√64, and m²(1 + q² + q⁴ + …) = m/(2 − m) of its square stays.
    error = 1.5 / math.sqrt(NUMBERS) * math.sqrt(momentum / (2 - momentum))
    late = float(moving.true[-1] - moving.kept[-1, 0])
    return Evidence.near(
        f"kept mean after 10 batches with mean 5, m = {momentum:g}",
        float(still.kept[10, 0]),
        5 * (1 - 0.9**10),
        4 * error,
    ) & Evidence.near(
        "how many batches it trails a mean that drifts, after 100",
        late / drift if drift else 0.0,
        0.9 / 0.1,
        4 * error / drift if drift else 4 * error,
    )


concept.cites(
    "One paper blames fluctuating statistics, another the training–inference gap.",
    source=(SHEN_2020.at("abstract"), WANG_2022.at("abstract")),
)

# ---------------------------------------------------------------------------------------------- corrections


@concept.corrects(
    "A decoder with BatchNorm always cheats.",
    better="Only if words of its own future enter the statistics with enough weight. Where 64 texts share them, our decoders ended within "
    "0.002 of ln 2 after 600 steps; where 16 do, still below ln 2 by more than that; where 4 do, between 0.3 and 0.6. Taken over the texts at each position alone, "
    "the statistics hold no later word, and the loss is ln 2, too.",
    fails_if=({"many": 1}, {"many": 16}, {"some": 32}, {"few": 64}, {"honest": "batch"}),
)
def it_depends_on_who_shares(many: int = 64, some: int = 16, few: int = 4, honest: Norm = "place") -> Evidence:
    what = f"training loss, the mean of {RUNS} seeds (shipped)"
    alone = ends(honest, 64 if honest == "place" else 1)
    return (
        Evidence.near(f"{what}, {many} texts share", float(ends("batch", many).mean()), training.ENTROPY, CLOSE)
        & Evidence.below(f"{some} texts share", float(ends("batch", some).mean()), training.ENTROPY - CLOSE)
        & Evidence.between(f"{few} texts share", float(ends("batch", few).mean()), 0.3, 0.6)
        & Evidence.near("texts at each position alone", float(alone.mean()), training.ENTROPY, CLOSE)
    )


@concept.corrects(
    "It is the padding that breaks BatchNorm.",
    better="Pads do harm if they are counted, and a mask takes them out. Our coin tosses have neither pads nor unequal lengths, and "
    "a decoder with BatchNorm over one text still ends evaluation at more than eight times the loss of guessing.",
    fails_if=({"norm": "layer"}, {"sharing": 64}),
)
def without_pads_too(norm: Norm = "batch", sharing: int = 1) -> Evidence:
    worst = float(ends(norm, sharing, True).min())
    return Evidence.above(f"evaluation loss ÷ ln 2, the least of {RUNS} seeds (shipped)", worst / training.ENTROPY, 8)


@concept.corrects(
    "LayerNorm keeps running statistics, as BatchNorm does.",
    better="It keeps none: in PyTorch nn.LayerNorm has no buffers, and evaluation computes what training did. nn.BatchNorm1d keeps three: "
    "mean, variance, and how many batches it has seen.",
    fails_if=({"layer": "BatchNorm1d"}, {"batch": "LayerNorm"}),
)
def nothing_is_kept(layer: str = "LayerNorm", batch: str = "BatchNorm1d") -> Evidence:
    def buffers(name: str) -> int:
        return len(list(getattr(nn, name)(8).buffers()))

    return Evidence.exactly(f"buffers of nn.{layer}", buffers(layer), 0) & Evidence.exactly(
        f"of nn.{batch}", buffers(batch), 3
    )


@concept.corrects(
    "They divide by n − 1, as a variance should.",
    better="Both normalise with the biased variance, over n. PyTorch’s BatchNorm only *keeps* the unbiased one, over n − 1, for evaluation: "
    "so even where it keeps just this batch, the two modes differ by √(n/(n − 1)).",
    fails_if=({"correction": 1}, {"kept": math.inf}),
    source=(LAYER_DOCS, BATCH_DOCS),
)
def the_variance_is_biased(correction: int = 0, kept: float = 16) -> Evidence:
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(1)).double()
    batch = nn.BatchNorm1d(8, eps=1e-12, momentum=1).double()
    with torch.no_grad():
        trained, normalised = batch(x), nn.LayerNorm(8, eps=1e-12).double()(x)
        ratio = float(trained.norm() / batch.eval()(x).norm())
    off = 1e-10  # ε = 10⁻¹² beside variances of a tenth and more
    return (
        Evidence.near("variance of nn.LayerNorm’s output", float(normalised[0].var(correction=correction)), 1, off)
        & Evidence.near("of nn.BatchNorm1d’s", float(trained[:, 0].var(correction=correction)), 1, off)
        & Evidence.near("centred numbers, training ÷ evaluation, n = 16", ratio, math.sqrt(1 / (1 - 1 / kept)), off)
    )


@concept.corrects(
    "ε is only there so that nothing is divided by 0.",
    better="It stands inside the root, so it also sets a scale: with PyTorch’s 10⁻⁵, features that spread by √ε ≈ 0.003 come out at 0.71, "
    "and narrower ones smaller still. A spread of 0.00016 becomes 0.05; with ε outside the root it would be 0.94.",
    fails_if=({"inside": False}, {"outside": True}),
    source=LAYER_DOCS,
)
def epsilon_sets_a_scale(inside: bool = True, outside: bool = False) -> Evidence:
    x = torch.tensor([1.6e-4, -1.6e-4] * 4, dtype=torch.float64)
    spread = float(x.std(correction=0))
    module, root = nn.LayerNorm(8).double(), math.sqrt(1e-5)

    def of_output(x: Tensor) -> float:
        own = float(x.std(correction=0))
        return float(module(x).detach().std(correction=0)) if inside else own / (own + 1e-5)

    real, at_root = of_output(x), of_output(x * root / spread)
    rival = spread / math.sqrt(spread**2 + 1e-5) if outside else spread / (spread + 1e-5)
    # As the sentence rounds them.
    return (
        Evidence.between("spread of nn.LayerNorm’s output", real, 0.045, 0.055)
        & Evidence.between("where the features spread by √ε", at_root, 0.705, 0.715)
        & Evidence.between("σ / (σ + ε)", rival, 0.935, 0.945)
    )


@concept.corrects(
    "RMSNorm is LayerNorm, only cheaper.",
    better="It leaves out the mean. On features whose mean is 0 the two agree; add the same number to all features and LayerNorm does "
    "not notice, RMSNorm does.",
    fails_if=({"centred": False}, {"notices": "layer"}, {"blind": "rms"}),
    source=ZHANG_2019.at("§4"),
)
def rms_norm_keeps_the_mean(centred: bool = True, notices: str = "rms", blind: str = "layer") -> Evidence:
    norms = {"layer": layer_norm, "rms": rms_norm}
    x = torch.randn(32, 64, generator=torch.Generator().manual_seed(2)).double()
    middle = x - x.mean(-1, keepdim=True) if centred else x

    def shifted(name: str) -> float:
        return float((norms[name](x + 1) - norms[name](x)).abs().max())

    return (
        # Rounding: numbers of size 4, some hundred times 2⁻⁵³.
        Evidence.near(
            "LayerNorm − RMSNorm, centred", float((layer_norm(middle) - rms_norm(middle)).abs().max()), 0, 1e-12
        )
        & Evidence.near(f"change by a shift of 1: {blind}", shifted(blind), 0, 1e-12)
        & Evidence.above(f"{notices}", shifted(notices), 0.1)
    )


@concept.corrects(
    "BatchNorm mixes the texts of a batch when the model is used, too.",
    better="In evaluation it goes by its running statistics: a fixed map x ↦ ax + c that no neighbour moves, and that folds into the linear layer "
    "behind it.",
    fails_if=({"mode": "training"}, {"folded": False}),
    source=IOFFE_2015.at("§3.1"),
)
def evaluation_is_a_fixed_map(mode: str = "evaluation", folded: bool = True) -> Evidence:
    g = torch.Generator().manual_seed(3)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        norm, linear = nn.BatchNorm1d(8).double(), nn.Linear(8, 4).double()
        nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)  # as if learnt
        norm(2 + 3 * torch.randn(64, 8, generator=g).double())  # some statistics to keep
        norm.train(mode == "training")
        x = torch.randn(16, 8, generator=g).double()
        both = norm(x)
        moved = float((norm(torch.cat([x[:1], x[8:]])) - both[[0, *range(8, 16)]])[0].abs().max())
        kept = dict(norm.named_buffers())
        weight = linear.weight * norm.weight * (kept["running_var"] + norm.eps).rsqrt()
        bias = linear.bias + linear.weight @ norm.bias - weight @ kept["running_mean"]
        there = x @ weight.T + bias if folded else linear(x)
        apart = float((there - linear(both)).abs().max())
    return Evidence.exactly(f"move of a token by other neighbours, {mode}", moved, 0) & Evidence.near(
        "folded into the linear layer − one after the other", apart, 0, 1e-12
    )


# ---------------------------------------------------------------------------------------------- the usual answer

concept.judges(
    concept.topic.usual[0],
    Verdict.OTHERWISE,
    "Noisy, yes, but lengths alone add little: 8 texts of 1 to 255 words, instead of 128 each, make a feature’s mean stray less than a fifth farther, "
    "whether the words of a text are independent or correlate by ½. That correlation itself makes it stray eight times as far. Irrelevant, no: in a decoder they "
    "can carry the answer.",
    by=lengths_are_the_smaller_part,
)
concept.judges(
    concept.topic.usual[1],
    Verdict.HOLDS,
    "Exactly: each token by itself, over all its features together. Change, add or remove any other token: its own result moves by exactly 0. "
    "So a batch may be one text, and the norm computes in use what it computed in training: that is the sense it makes.",
    by=a_token_alone,
    source=BA_2016.at("§3"),
)

# ---------------------------------------------------------------------------------------------- push-back

concept.pushes_back(
    "So does LayerNorm normalise over the sequence?",
    "No: over the d features of one token, each token for itself; nn.LayerNorm(d_model) says so. Given the shape (T, d) "
    "instead, it would share one mean among the words of a text, and a later word would move an earlier one.",
    BA_2016.at("§3"),
)
concept.pushes_back(
    "Why then does BatchNorm work for images?",
    "A classifier of images has no later word to leak: its label is not among its inputs. And its statistics are steadier: Shen et al. find those of a batch close "
    "to the running ones in a ResNet20 on CIFAR-10, far from them in a Transformer with BatchNorm on IWSLT14. With few images in a batch it suffers, too: at 2, "
    "Wu and He report a 10.6 % lower error with GroupNorm (ResNet-50, ImageNet).",
    (SHEN_2020.at("figure 2"), WU_2018.at("abstract")),
)
concept.pushes_back(
    "What changes with RMSNorm?",
    "The mean is not taken away: x / √(mean of x² + ε), still one token at a time. Zhang and Sennrich report comparable quality, "
    "and 7 to 64 % less running time on their models; LLaMA uses it.",
    (ZHANG_2019.at("abstract"), LLAMA_2023.at("§2.2")),
)
concept.pushes_back(
    "With many texts the leak fades. Why not BatchNorm, then?",
    "Its statistics still fluctuate, and evaluation still goes by other ones than training did. It can work, with repairs. Shen et al. blame the fluctuation; "
    "with no mean and a running quadratic one they report better results than LayerNorm on their tasks. Wang et al. call the gap between training and inference the leading cause; with a penalty on it they are better or on par in 17 of 20 "
    "settings. A causal model must also keep later words out of the statistics.",
    (SHEN_2020.at("abstract"), WANG_2022.at("abstract")),
)
concept.pushes_back(
    "And GroupNorm or InstanceNorm, which need no batch?",
    "As PyTorch takes them over [text, feature, time], other texts move nothing, but the mean runs over time: the next word moves this one, so a causal model leaks. "
    "Set the comparison above to either and see.",
    WU_2018.at("§3"),
)

concept.reads(
    BA_2016, IOFFE_2015, SHEN_2020, WANG_2022, ZHANG_2019, WU_2018, LLAMA_2023.at("§2.2"), LAYER_DOCS, BATCH_DOCS
)

# ---------------------------------------------------------------------------------------------- to take away


@concept.writes(
    """
import torch

kind, cell, seed = $kind, $cell, $seed
texts, words, features = 3, 4, 6

g = torch.Generator().manual_seed(10 * seed)
x = torch.randn(texts, words, features, generator=g).double()
g = torch.Generator().manual_seed(10 * seed + 1)
other = torch.randn(texts, words, features, generator=g).double()

over = {  # the axes of [text, word, feature] that share one mean
    "layer": (2,),
    "batch": (0, 1),
    "place": (0,),
    "instance": (1,),
}


def normalise(x, eps=1e-5):
    if kind == "kept":  # BatchNorm in evaluation: fresh running statistics, 0 and 1
        return x / (1 + eps) ** 0.5
    if kind == "rms":
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()
    if kind == "group":  # two groups of features
        x = x.unflatten(-1, (2, -1))
    axes = (1, 3) if kind == "group" else over[kind]
    x = (x - x.mean(axes, keepdim=True)) / (x.var(axes, correction=0, keepdim=True) + eps).sqrt()
    return x.flatten(2)


text, word = divmod(cell // features, words)
y = x.clone()
y[(text + 1) % texts] = other[(text + 1) % texts]  # another text of the batch gets other numbers
before, after = normalise(x)[text, word], normalise(y)[text, word]
print("how far this word moves, as a share of its length:")
print(((after - before).norm() / before.norm()).item())
""",
    {"kind": "batch", "cell": 8, "seed": 0},
    {"kind": "layer", "cell": 0, "seed": 3},
    {"kind": "group", "cell": 71, "seed": 1},
    {"kind": "kept", "cell": 30, "seed": 2},
    {"kind": "place", "cell": 40, "seed": 9999},
)
def how_far_it_moves(kind: Kind, cell: int, seed: int) -> float:
    text, word = divmod(cell // FEATURES, WORDS)
    return float(moves(kind, seed).text[text % TEXTS, word])
