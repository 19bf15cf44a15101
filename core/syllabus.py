"""The twenty questions in the order of the course, and the usual answer to each, word for word.

Which of them are answered, the folder `core/concepts` says. Kept apart from the concepts, so that the home page and the
navigation are painted before PyTorch is imported.
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
    """One row of the syllabus. `usual` are the bullets that people learn for this question."""

    number: int
    slug: str
    theme: Theme
    title: str
    question: str
    usual: tuple[str, ...] = ()


_A, _S, _P, _D, _T, _C = Theme

SYLLABUS = (
    # ------------------------------------------------------------------------------------------ attention
    Topic(1, "quadratic_cost", _A, "The O(N²) cost", "Why is self-attention O(N²), and when does that matter?", (
        "We compute the similarity (dot product) between every pair of tokens.",
        "Matrix size is $N \\times N$.",
        "This limits standard Transformers to sequences of ~4096 tokens.",
    )),
    Topic(2, "scaling", _A, "The factor √dₖ", "Why are the attention logits divided by √dₖ?", (
        "Without scaling, for large $d_k$, the dot products can be very large in magnitude.",
        "This pushes the Softmax function into regions where gradients are extremely small (saturation).",
        "Scaling keeps the variance of the dot products to 1.",
    )),
    Topic(3, "multi_head", _A, "Several heads", "Why multi-head attention: several heads instead of one wide one?", (
        "Allows the model to attend to information from different representation subspaces at different positions.",
        "Example: One head focuses on \"Who did it\", another on \"When it happened\".",
        "Averaging a single head would lose this distinct information.",
    )),
    Topic(8, "query_key_value", _A, "Queries, keys, values", "What do queries, keys and values stand for?", (
        "Abstractions from Information Retrieval.",
        "Query: The vector representing the current token looking for context.",
        "Key: The vector representing other tokens advertising their content.",
        "Value: The content vector to be aggregated if Query matches Key.",
    )),
    # ------------------------------------------------------------------------------------------ masks and shapes
    Topic(4, "masking", _S, "Masked self-attention", "What is masked self-attention, and why is the mask applied before the softmax?", (
        "Used in the Decoder (GPT).",
        "Ensures the prediction for position $i$ depends only on positions $0$ to $i-1$.",
        "We mask future positions ($i+1$ to $N$) by setting their attention scores to $-\\infty$.",
    )),
    Topic(5, "encoder_decoder", _S, "Encoder or decoder", "What distinguishes encoder-only, decoder-only and encoder-decoder models?", (
        "Encoder: Bidirectional Self-Attention. Sees full context. (BERT).",
        "Decoder: Masked (Causal) Self-Attention. Sees only past. Has Cross-Attention to Encoder. (GPT).",
    )),
    Topic(9, "padding", _S, "Variable length", "How does a Transformer handle sequences of different lengths in one batch?", (
        "Padding: Pad to max length.",
        "Masking: Use padding masks in Attention so the model ignores pad tokens.",
    )),
    Topic(12, "cross_attention", _S, "Cross-attention", "How does cross-attention connect a decoder to its encoder?", (
        "Attention where Queries come from one sequence (Target) and Keys/Values come from another (Source).",
        "Connects Encoder and Decoder.",
    )),
    # ------------------------------------------------------------------------------------------ position
    Topic(13, "positions", _P, "Positional encoding", "Why must a Transformer be told the positions of its tokens?", (
        "Self-Attention is permutation invariant. $Attention(A, B) = Attention(B, A)$.",
        "Without PE, \"Dog bites Man\" and \"Man bites Dog\" look identical to the model.",
    )),
    Topic(11, "extrapolation", _P, "Longer than trained", "Why do Transformers fail on sequences longer than those they were trained on, and what helps?", (
        "Poorly with learned embeddings.",
        "Better with Sinusoidal or RoPE (Rotary Positional Embeddings).",
        "Still a major research challenge (ALiBi, etc.).",
    )),
    # ------------------------------------------------------------------------------------------ depth and normalisation
    Topic(14, "residuals", _D, "Residual connections", "Why does every sublayer of a Transformer have a residual connection?", (
        "Solves Vanishing Gradient.",
        "Allows gradients to flow through the network directly.",
        "Makes the loss landscape smoother.",
    )),
    Topic(6, "layer_norm", _D, "LayerNorm or BatchNorm", "Why do Transformers use layer normalisation instead of batch normalisation?", (
        "In NLP, batch statistics are noisy (variable lengths) and irrelevant.",
        "LayerNorm normalizes each token's features independently, which makes more sense for sequences.",
    )),
    Topic(7, "pre_post_norm", _D, "Pre-Norm and Post-Norm", "Pre-Norm or Post-Norm: where does the normalisation go, and what does it change?", (
        "Post-Norm: Norm after residual. Unstable gradients at init.",
        "Pre-Norm: Norm before sublayer. Stable gradients. Standard in modern LLMs.",
    )),
    # ------------------------------------------------------------------------------------------ training
    Topic(16, "label_smoothing", _T, "Label smoothing", "What does label smoothing do, and what does it cost?", (
        "Regularization technique used in the original paper.",
        "Instead of one-hot target [0, 1, 0], use [0.1, 0.8, 0.1].",
        "Prevents the model from becoming over-confident.",
    )),
    Topic(17, "warmup", _T, "Learning-rate warm-up", "Why does training begin with a learning-rate warm-up?", (
        "Linearly increasing Learning Rate from 0 to max over first few thousand steps.",
        "Crucial for Transformers (especially Post-Norm) to stabilize early training variance.",
    )),
    # ------------------------------------------------------------------------------------------ capacity
    Topic(10, "feed_forward", _C, "The feed-forward layer", "What is the feed-forward layer for, if attention already mixes the tokens?", (
        "Attention mixes information between tokens (Spatial mixing).",
        "FFN processes information within each token (Channel mixing).",
        "Adds non-linearity and capacity.",
    )),
    Topic(19, "gelu", _C, "GELU", "Why GELU instead of ReLU?", (
        "Gaussian Error Linear Unit. $x \\Phi(x)$.",
        "Smoother than ReLU. Used in BERT and GPT.",
        "Probabilistic interpretation (Dropout-like).",
    )),
    Topic(18, "ffn_ratio", _C, "The ratio of 4", "Why is the feed-forward layer four times as wide as the model, and 8/3 with SwiGLU?", (
        "Empirical choice.",
        "Provides enough capacity for the FFN to act as a Key-Value memory.",
        "SwiGLU variants use different ratios (e.g., 8/3).",
    )),
    Topic(15, "parameters", _C, "Counting parameters", "How many parameters does a Transformer layer have?", (
        "Attention: $4 \\times d^2$ (Q, K, V, O projections).",
        "FFN: $8 \\times d^2$ (assuming expansion 4d).",
        "Total $\\approx 12 d^2$.",
    )),
    Topic(20, "universality", _C, "What can it compute?", "Are Transformers universal approximators, or even Turing complete?", (
        "Yes, they are Turing Complete (given enough depth/precision).",
        "They can approximate any sequence-to-sequence function.",
    )),
)  # fmt: skip
"""In the order of the course: of the sidebar, of Next, of the map's list and of `python -m core`."""


def topic(slug: str) -> Topic | None:
    """The row of one of the twenty, or None for a question that somebody added.

    >>> topic("scaling").number
    2
    """
    return next((row for row in SYLLABUS if row.slug == slug), None)
