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
AINSLIE_2023 = Source(
    "Ainslie et al. 2023",
    "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints",
    "arXiv 2305.13245",
)
GEMMA_2024 = Source("Gemma Team 2024", "Gemma: Open Models Based on Gemini Research and Technology", "arXiv 2403.08295")
GEMMA_2_2024 = Source(
    "Gemma Team 2024", "Gemma 2: Improving Open Language Models at a Practical Size", "arXiv 2408.00118"
)
GPT_OSS = Source("OpenAI 2025", "gpt-oss-120b & gpt-oss-20b Model Card", "arXiv 2508.10925")
LLAMA_2023 = Source("Touvron et al. 2023", "LLaMA: Open and Efficient Foundation Language Models", "arXiv 2302.13971")
LLAMA_2_2023 = Source("Touvron et al. 2023", "Llama 2: Open Foundation and Fine-Tuned Chat Models", "arXiv 2307.09288")
LLAMA_3_2024 = Source("Grattafiori et al. 2024", "The Llama 3 Herd of Models", "arXiv 2407.21783")
RADFORD_2018 = Source(
    "Radford et al. 2018",
    "Improving Language Understanding by Generative Pre-Training",
    "https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf",
)
RADFORD_2019 = Source(
    "Radford et al. 2019",
    "Language Models are Unsupervised Multitask Learners",
    "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
)
RAFFEL_2020 = Source(
    "Raffel et al. 2020",
    "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
    "arXiv 1910.10683",
)
# Its paper's table of sizes says 117M; the repository calls that an error.
GPT_2_README = Source("OpenAI 2019", "gpt-2, README", "https://github.com/openai/gpt-2")
