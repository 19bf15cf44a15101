"""The twenty questions. The text is given; which of them are answered, the folder `core/concepts` says.

Kept apart from the concepts, so that the home page and the navigation are painted before PyTorch is imported.
"""

from dataclasses import dataclass
from enum import StrEnum


class Theme(StrEnum):
    """The sections of the course, in the order in which they are shown."""

    ATTENTION = "Attention"
    SHAPES = "Masks and shapes"
    POSITION = "Position"
    DEPTH = "Depth and normalisation"
    TRAINING = "Training"
    CAPACITY = "Capacity"


@dataclass(frozen=True)
class Topic:
    """One row of the syllabus."""

    number: int
    slug: str
    theme: Theme
    title: str
    question: str


_A, _S, _P, _D, _T, _C = Theme

SYLLABUS = (
    Topic(1, "quadratic_cost", _A, "The O(N²) cost", "Why is self-attention O(N²), and when does that matter?"),
    Topic(2, "scaling", _A, "The factor √d_k", "Why are the attention logits divided by √d_k?"),
    Topic(3, "multi_head", _A, "Several heads", "Why several attention heads instead of one wide one?"),
    Topic(4, "masking", _S, "Masked self-attention", "What is masked self-attention, and why is the mask applied before the softmax?"),
    Topic(5, "encoder_decoder", _S, "Encoder or decoder", "What distinguishes encoder-only, decoder-only and encoder-decoder models?"),
    Topic(6, "layer_norm", _D, "LayerNorm or BatchNorm", "Why do Transformers use layer normalisation instead of batch normalisation?"),
    Topic(7, "pre_post_norm", _D, "Pre-Norm and Post-Norm", "Pre-Norm or Post-Norm: where does the normalisation go, and what does it change?"),
    Topic(8, "query_key_value", _A, "Queries, keys, values", "What do queries, keys and values stand for?"),
    Topic(9, "padding", _S, "Variable length", "How does a Transformer handle sequences of different lengths in one batch?"),
    Topic(10, "feed_forward", _C, "The feed-forward layer", "What is the feed-forward layer for, if attention already mixes the tokens?"),
    Topic(11, "extrapolation", _P, "Longer than trained", "Why do Transformers fail on sequences longer than those they were trained on, and what helps?"),
    Topic(12, "cross_attention", _S, "Cross-attention", "How does cross-attention connect a decoder to its encoder?"),
    Topic(13, "positions", _P, "Positional encoding", "Why must a Transformer be told the positions of its tokens?"),
    Topic(14, "residuals", _D, "Residual connections", "Why does every sublayer of a Transformer have a residual connection?"),
    Topic(15, "parameters", _C, "Counting parameters", "How many parameters does a Transformer layer have?"),
    Topic(16, "label_smoothing", _T, "Label smoothing", "What does label smoothing do, and what does it cost?"),
    Topic(17, "warmup", _T, "Learning-rate warm-up", "Why does training begin with a learning-rate warm-up?"),
    Topic(18, "ffn_ratio", _C, "The ratio of 4", "Why is the feed-forward layer four times as wide as the model, and 8/3 with SwiGLU?"),
    Topic(19, "gelu", _T, "GELU", "Why GELU instead of ReLU?"),
    Topic(20, "universality", _C, "What can it compute?", "Are Transformers universal approximators, or even Turing complete?"),
)  # fmt: skip


def topic(slug: str) -> Topic | None:
    """The row of one of the twenty, or None for a question that somebody added.

    >>> topic("scaling").number
    2
    """
    return next((row for row in SYLLABUS if row.slug == slug), None)
