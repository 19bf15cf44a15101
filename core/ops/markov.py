"""A text whose every probability is known: each token is drawn by the two before it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def stationary(chain: Float[Tensor, "v v v"], rounds: int = 1000) -> Float[Tensor, "v v"]:
    r"""$\pi_{bc} = \sum_a \pi_{ab}\, P(c \mid a, b)$: how often each pair of neighbours occurs in a long text

    Shapes: P(c | a, b) as `[a, b, c]` → `[a, b]`. By power iteration from equal shares; it converges if every token may
    follow every pair.

    Shannon 1948, §4–6, A Mathematical Theory of Communication
    """
    pairs = torch.full_like(chain[0], 1 / chain[0].numel())
    for _ in range(rounds):
        pairs = (pairs[..., None] * chain).sum(0)
    return pairs


def entropy_rates(chain: Float[Tensor, "v v v"]) -> tuple[float, float, float]:
    r"""$H(c)$, $H(c \mid b)$ and $H(c \mid a, b)$ in nats: the least loss of who sees no token before, one, or both

    Shapes: P(c | a, b) as `[a, b, c]` → three numbers, each at most the one before it.

    Shannon 1948, §7, A Mathematical Theory of Communication
    """
    pairs = stationary(chain)
    single = pairs.sum(0)

    def entropy(p: Tensor) -> Tensor:
        return -torch.special.xlogy(p, p).sum(-1)

    return (
        float(entropy(single)),
        float(entropy(pairs.flatten()) - entropy(single)),
        float((pairs * entropy(chain)).sum()),
    )


def draw_text(
    chain: Float[Tensor, "v v v"], pairs: Float[Tensor, "v v"], n_texts: int, n: int, generator: torch.Generator
) -> Int[Tensor, "b n"]:
    r"""$c_t \sim P(\cdot \mid c_{t-2}, c_{t-1})$, the first two from how often pairs occur

    Shapes: → `[b, n]`, n ≥ 2. One uniform number per token decides, so the same generator gives the same texts.
    """
    size = chain.shape[-1]
    chance = torch.rand(n_texts, n - 1, generator=generator, dtype=chain.dtype)
    first = (pairs.flatten().cumsum(0) < chance[:, :1]).sum(-1).clamp_max(size * size - 1)
    text = [first // size, first % size]
    below = chain.cumsum(-1)
    for t in range(1, n - 1):
        text.append((below[text[-2], text[-1]] < chance[:, t : t + 1]).sum(-1).clamp_max(size - 1))
    return torch.stack(text, dim=-1)
