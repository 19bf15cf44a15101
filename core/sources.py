"""The papers that several lessons rest on. A source used once lives in its concept."""

from core.course import Source

VASWANI_2017 = Source("Vaswani et al. 2017", "Attention Is All You Need", "arXiv 1706.03762")
XIONG_2020 = Source("Xiong et al. 2020", "On Layer Normalization in the Transformer Architecture", "arXiv 2002.04745")
LIU_2020 = Source("Liu et al. 2020", "Understanding the Difficulty of Training Transformers", "arXiv 2004.08249")
DAO_2022 = Source("Dao et al. 2022", "FlashAttention: Fast and Memory-Efficient Exact Attention", "arXiv 2205.14135")
GEVA_2021 = Source("Geva et al. 2021", "Transformer Feed-Forward Layers Are Key-Value Memories", "arXiv 2012.14913")
HAVIV_2022 = Source(
    "Haviv et al. 2022",
    "Transformer Language Models without Positional Encodings Still Learn Positional Information",
    "arXiv 2203.16634",
)
KAZEMNEJAD_2023 = Source(
    "Kazemnejad et al. 2023",
    "The Impact of Positional Encoding on Length Generalization in Transformers",
    "arXiv 2305.19466",
)
SU_2021 = Source("Su et al. 2021", "RoFormer: Enhanced Transformer with Rotary Position Embedding", "arXiv 2104.09864")
PRESS_2021 = Source("Press et al. 2021", "Train Short, Test Long: Attention with Linear Biases", "arXiv 2108.12409")
SUN_2025 = Source("Sun et al. 2025", "The Curse of Depth in Large Language Models", "arXiv 2502.05795")
