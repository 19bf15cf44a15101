"""Published models as rows of numbers from their configurations. What they add up to is computed, never stored.

A family says what its models share, a row where they differ. Models are counted as they are published: those that
write text with their output head, BERT-like encoders with their pooler and without the head for masked words.

What has a shape that `Architecture` does not know is not here: models of pictures and sound (their first layer is a
convolution), a shared expert beside the routed ones, layers of different shapes, latent attention, state spaces.
"""

from dataclasses import dataclass, replace
from typing import Any

from core.ops.counting import Architecture


@dataclass(frozen=True)
class Preset:
    name: str
    family: str
    architecture: Architecture

    @property
    def note(self) -> str:
        """What of it is counted, where that is not plain.

        >>> PRESETS["DistilBERT"].note, PRESETS["Llama 3 8B"].note
        ('Counted without the head for masked words.', '')
        """
        said = _NOTES.get(self.name, _NOTES.get(self.family, ""))
        if self.architecture.kind == "encoder":
            pooler = "with its pooler and " if self.architecture.pooler else ""
            said += f" Counted {pooler}without the head for masked words."
        return said.strip()


_FIRST_GEMMA = (
    "Counted as its weights are published: 256,000 tokens. The report counts 256,128, and the gate and W_up as one "
    "matrix twice as wide."
)
_NOTES = {
    "Gemma 2B": _FIRST_GEMMA,
    "Gemma 7B": _FIRST_GEMMA,
    "Mixtral 8x22B": "Counted with the 32,768 tokens of the instructed model.",
    "The original": "Counted as torch.nn.Transformer builds it, with biases in attention and a norm at the end of each stack, "
    "which the paper’s formulas do not have; one matrix of 37,000 tokens serves both embeddings and the output.",
    "ALBERT": "All its layers are one block that runs again and again; its embedding is 128 wide.",
    "OPT": "2 of its learned positions are never used.",
    "BART": "2 of its learned positions per stack are never used.",
    "gpt-oss": "A sink is a learned logit of each head that no key has.",
}


def _row(d_model: int, n_layers: int, n_heads: int, d_ff: int, **more: Any) -> dict[str, Any]:
    return {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads, "d_ff": d_ff, **more}


def _both(d_model: int, n_layers: int, n_heads: int, d_ff: int, **more: Any) -> dict[str, Any]:
    """An encoder and a decoder of the same depth."""
    return _row(d_model, n_layers, n_heads, d_ff, decoder_layers=n_layers, **more)


# Biases everywhere, LayerNorm, learned positions, output head tied to the embedding.
_GPT = Architecture(768, 12, 12, 3072, 50257, qkv_bias=True, out_bias=True, ffn_bias=True, positions=1024)
_BERT = replace(
    _GPT,
    vocab=30522,
    positions=512,
    token_types=2,
    embedding_norm=True,
    final_norm=False,
    pooler=True,
    head="none",
    kind="encoder",
)
# No biases, RMSNorm, gated feed-forward, rotated positions, an output head of its own.
_LLAMA = Architecture(4096, 32, 32, 11008, 32000, gated=True, norm="rms", head="untied")
_NEOX = replace(_GPT, positions=0, vocab=50304, head="untied")
_T5 = Architecture(
    512, 6, 8, 2048, 32128,
    head_dim=64, norm="rms", relative_buckets=32, kind="encoder-decoder", decoder_layers=6,
)  # fmt: skip
# As torch.nn.Transformer builds it, with biases in attention and a norm at the end of each stack, around one matrix of
# 37,000 tokens for both embeddings and the output (§3.4): 63,084,544. The paper's formulas have neither of the two, 72 d
# and 4 d fewer: 63,045,632; its Table 3 says 65 million. The positions are sinusoids.
_ORIGINAL = replace(
    _T5, vocab=37000, head_dim=None, norm="layer", relative_buckets=0, qkv_bias=True, out_bias=True, ffn_bias=True
)
# One block for all layers; tokens, types and positions are 128 wide and projected together.
_ALBERT = replace(_BERT, vocab=30000, embedding_width=128, shared_layers=True)
_BART = replace(
    _BERT,
    vocab=50265,
    positions=1026,  # 1024, and 2 that are never used
    token_types=0,
    pooler=False,
    head="tied",
    kind="encoder-decoder",
    decoder_layers=6,
)
_GEMMA = replace(_LLAMA, vocab=256000, head="tied", head_dim=256)
_FALCON = replace(_GPT, positions=0, vocab=65024, qkv_bias=False, out_bias=False, ffn_bias=False)

# Biases everywhere but on q, k and v.
_NEO = replace(_GPT, positions=2048, qkv_bias=False)
# Biases everywhere, at the router too, and a sink for every head.
_OSS = replace(
    _LLAMA,
    vocab=201088,
    n_kv_heads=8,
    head_dim=64,
    qkv_bias=True,
    out_bias=True,
    ffn_bias=True,
    router_bias=True,
    sinks=True,
    experts_used=4,
    experts=32,
)

_FAMILIES: tuple[tuple[str, Architecture, dict[str, dict[str, Any]]], ...] = (
    ("The original", _ORIGINAL, {"Transformer base (2017)": _both(512, 6, 8, 2048)}),
    ("GPT", _GPT, {
        "GPT (2018)": _row(768, 12, 12, 3072, vocab=40478, positions=512, final_norm=False),
        "GPT-2 small": _row(768, 12, 12, 3072),
        "GPT-2 medium": _row(1024, 24, 16, 4096),
        "GPT-2 large": _row(1280, 36, 20, 5120),
        "GPT-2 XL": _row(1600, 48, 25, 6400),
        "DistilGPT-2": _row(768, 6, 12, 3072),
        # Attention and feed-forward in parallel behind one norm, attention without biases.
        "GPT-J 6B": _row(
            4096, 28, 16, 16384, vocab=50400, positions=0, qkv_bias=False, out_bias=False, block_norms=1,
            head="untied", head_bias=True,
        ),
    }),
    ("BERT", _BERT, {
        "BERT base": _row(768, 12, 12, 3072),
        "BERT large": _row(1024, 24, 16, 4096),
        "BERT base multilingual": _row(768, 12, 12, 3072, vocab=119547),
        "DistilBERT": _row(768, 6, 12, 3072, token_types=0, pooler=False),
        "RoBERTa base": _row(768, 12, 12, 3072, vocab=50265, positions=514, token_types=1),
        "RoBERTa large": _row(1024, 24, 16, 4096, vocab=50265, positions=514, token_types=1),
        "XLM-R base": _row(768, 12, 12, 3072, vocab=250002, positions=514, token_types=1),
        "XLM-R large": _row(1024, 24, 16, 4096, vocab=250002, positions=514, token_types=1),
    }),
    ("ALBERT", _ALBERT, {
        "ALBERT base v2": _row(768, 12, 12, 3072),
        "ALBERT large v2": _row(1024, 24, 16, 4096),
        "ALBERT xlarge v2": _row(2048, 24, 16, 8192),
        "ALBERT xxlarge v2": _row(4096, 12, 64, 16384),
    }),
    ("T5", _T5, {
        "T5 small": _both(512, 6, 8, 2048),
        "T5 base": _both(768, 12, 12, 3072),
        "T5 large": _both(1024, 24, 16, 4096),
        "T5 3B": _both(1024, 24, 32, 16384, head_dim=128),
        "T5 11B": _both(1024, 24, 128, 65536, head_dim=128),
    }),
    ("BART", _BART, {
        "BART base": _both(768, 6, 12, 3072),
        "BART large": _both(1024, 12, 16, 4096),
    }),
    ("LLaMA", _LLAMA, {
        "LLaMA 7B": _row(4096, 32, 32, 11008),
        "LLaMA 13B": _row(5120, 40, 40, 13824),
        "LLaMA 33B": _row(6656, 60, 52, 17920),
        "LLaMA 65B": _row(8192, 80, 64, 22016),
        "Llama 2 7B": _row(4096, 32, 32, 11008),
        "Llama 2 13B": _row(5120, 40, 40, 13824),
        "Llama 2 70B": _row(8192, 80, 64, 28672, n_kv_heads=8),
        "Llama 3 8B": _row(4096, 32, 32, 14336, n_kv_heads=8, vocab=128256),
        "Llama 3 70B": _row(8192, 80, 64, 28672, n_kv_heads=8, vocab=128256),
        "Llama 3.1 405B": _row(16384, 126, 128, 53248, n_kv_heads=8, vocab=128256),
        "Llama 3.2 1B": _row(2048, 16, 32, 8192, n_kv_heads=8, vocab=128256, head="tied"),
        "Llama 3.2 3B": _row(3072, 28, 24, 8192, n_kv_heads=8, vocab=128256, head="tied"),
        "TinyLlama 1.1B": _row(2048, 22, 32, 5632, n_kv_heads=4),
        "SmolLM2 135M": _row(576, 30, 9, 1536, n_kv_heads=3, vocab=49152, head="tied"),
    }),
    ("Mistral", replace(_LLAMA, n_kv_heads=8), {
        "Mistral 7B": _row(4096, 32, 32, 14336),
        "Mistral Nemo 12B": _row(5120, 40, 32, 14336, vocab=131072, head_dim=128),
        "Mixtral 8x7B": _row(4096, 32, 32, 14336, experts=8, experts_used=2),
        "Mixtral 8x22B": _row(6144, 56, 48, 16384, vocab=32768, experts=8, experts_used=2),
    }),
    ("Qwen", replace(_LLAMA, vocab=151936, qkv_bias=True), {
        "Qwen2.5 0.5B": _row(896, 24, 14, 4864, n_kv_heads=2, head="tied"),
        "Qwen2.5 1.5B": _row(1536, 28, 12, 8960, n_kv_heads=2, head="tied"),
        "Qwen2.5 3B": _row(2048, 36, 16, 11008, n_kv_heads=2, head="tied"),
        "Qwen2.5 7B": _row(3584, 28, 28, 18944, n_kv_heads=4, vocab=152064),
        "Qwen2.5 14B": _row(5120, 48, 40, 13824, n_kv_heads=8, vocab=152064),
        "Qwen2.5 32B": _row(5120, 64, 40, 27648, n_kv_heads=8, vocab=152064),
        "Qwen2.5 72B": _row(8192, 80, 64, 29568, n_kv_heads=8, vocab=152064),
        # Qwen3 drops the biases and normalises queries and keys per head.
        "Qwen3 0.6B": _row(1024, 28, 16, 3072, n_kv_heads=8, head_dim=128, qkv_bias=False, qk_norm="head", head="tied"),
        "Qwen3 8B": _row(4096, 36, 32, 12288, n_kv_heads=8, head_dim=128, qkv_bias=False, qk_norm="head"),
        "Qwen3 32B": _row(5120, 64, 64, 25600, n_kv_heads=8, head_dim=128, qkv_bias=False, qk_norm="head"),
        "Qwen3 30B-A3B": _row(
            2048, 48, 32, 768, n_kv_heads=4, head_dim=128, qkv_bias=False, qk_norm="head", experts=128, experts_used=8,
        ),
        "Qwen3 235B-A22B": _row(
            4096, 94, 64, 1536, n_kv_heads=4, head_dim=128, qkv_bias=False, qk_norm="head", experts=128, experts_used=8,
        ),
    }),
    ("Gemma", _GEMMA, {
        "Gemma 2B": _row(2048, 18, 8, 16384, n_kv_heads=1),
        "Gemma 7B": _row(3072, 28, 16, 24576),
        "Gemma 2 2B": _row(2304, 26, 8, 9216, n_kv_heads=4, block_norms=4),
        "Gemma 2 9B": _row(3584, 42, 16, 14336, n_kv_heads=8, block_norms=4),
        "Gemma 2 27B": _row(4608, 46, 32, 36864, n_kv_heads=16, head_dim=128, block_norms=4),
        "Gemma 3 1B": _row(1152, 26, 4, 6912, n_kv_heads=1, vocab=262144, block_norms=4, qk_norm="head"),
    }),
    ("Phi", replace(_LLAMA, vocab=32064), {
        # Phi-1.5 and Phi-2 are built like GPT-J, with biases in attention too.
        "Phi-1.5": _row(
            2048, 24, 32, 8192, vocab=51200, gated=False, norm="layer", block_norms=1,
            qkv_bias=True, out_bias=True, ffn_bias=True, head_bias=True,
        ),
        "Phi-2": _row(
            2560, 32, 32, 10240, vocab=51200, gated=False, norm="layer", block_norms=1,
            qkv_bias=True, out_bias=True, ffn_bias=True, head_bias=True,
        ),
        "Phi-3 mini": _row(3072, 32, 32, 8192),
        "Phi-3 medium": _row(5120, 40, 40, 17920, n_kv_heads=10),
        "Phi-4": _row(5120, 40, 40, 17920, n_kv_heads=10, vocab=100352),
    }),
    ("OPT", replace(_GPT, vocab=50272, positions=2050), {  # 2048, and 2 that are never used
        "OPT 125M": _row(768, 12, 12, 3072),
        # Post-Norm, so no last norm; tokens are 512 wide.
        "OPT 350M": _row(1024, 24, 16, 4096, embedding_width=512, narrow="tokens", final_norm=False),
        "OPT 1.3B": _row(2048, 24, 32, 8192),
        "OPT 2.7B": _row(2560, 32, 32, 10240),
        "OPT 6.7B": _row(4096, 32, 32, 16384),
        "OPT 13B": _row(5120, 40, 40, 20480),
        "OPT 30B": _row(7168, 48, 56, 28672),
        "OPT 66B": _row(9216, 64, 72, 36864),
        "OPT 175B": _row(12288, 96, 96, 49152),
    }),
    ("Pythia", _NEOX, {
        "Pythia 70M": _row(512, 6, 8, 2048),
        "Pythia 160M": _row(768, 12, 12, 3072),
        "Pythia 410M": _row(1024, 24, 16, 4096),
        "Pythia 1B": _row(2048, 16, 8, 8192),
        "Pythia 1.4B": _row(2048, 24, 16, 8192),
        "Pythia 2.8B": _row(2560, 32, 32, 10240),
        "Pythia 6.9B": _row(4096, 32, 32, 16384, vocab=50432),
        "Pythia 12B": _row(5120, 36, 40, 20480, vocab=50688),
        "GPT-NeoX 20B": _row(6144, 44, 64, 24576, vocab=50432),
    }),
    ("GPT-Neo", _NEO, {
        "GPT-Neo 125M": _row(768, 12, 12, 3072),
        "GPT-Neo 1.3B": _row(2048, 24, 16, 8192),
        "GPT-Neo 2.7B": _row(2560, 32, 20, 10240),
    }),
    ("gpt-oss", _OSS, {
        "gpt-oss 20B": _row(2880, 24, 64, 2880),
        "gpt-oss 120B": _row(2880, 36, 64, 2880, experts=128),
    }),
    ("Falcon", _FALCON, {
        "Falcon RW 1B": _row(2048, 24, 32, 8192, vocab=50304, qkv_bias=True, out_bias=True, ffn_bias=True),
        "Falcon 7B": _row(4544, 32, 71, 18176, n_kv_heads=1, block_norms=1),
        "Falcon 40B": _row(8192, 60, 128, 32768, n_kv_heads=8),
    }),
    ("BLOOM", replace(_GPT, positions=0, vocab=250880, embedding_norm=True), {
        "BLOOM 560M": _row(1024, 24, 16, 4096),
        "BLOOM 1.1B": _row(1536, 24, 16, 6144),
        "BLOOM 1.7B": _row(2048, 24, 16, 8192),
        "BLOOM 3B": _row(2560, 30, 32, 10240),
        "BLOOM 7.1B": _row(4096, 30, 32, 16384),
        "BLOOM 176B": _row(14336, 70, 112, 57344),
    }),
    ("Others", _LLAMA, {
        "MPT 7B": _row(4096, 32, 32, 16384, vocab=50432, gated=False, norm="layer, no bias", head="tied"),
        "StarCoder2 3B": _row(
            3072, 30, 24, 12288, n_kv_heads=2, vocab=49152, gated=False, norm="layer",
            qkv_bias=True, out_bias=True, ffn_bias=True, head="tied",
        ),
        "Command R 35B": _row(8192, 40, 64, 22528, vocab=256000, norm="layer, no bias", block_norms=1, head="tied"),
        "OLMo 7B": _row(4096, 32, 32, 11008, vocab=50304, norm="no parameters"),
        "OLMo 2 7B": _row(4096, 32, 32, 11008, vocab=100352, qk_norm="full"),
        "OLMoE 7B": _row(2048, 16, 16, 1024, vocab=50304, qk_norm="full", experts=64, experts_used=8),
    }),
)  # fmt: skip

PRESETS: dict[str, Preset] = {
    name: Preset(name, family, replace(base, **row)) for family, base, rows in _FAMILIES for name, row in rows.items()
}


def preset(name: str) -> Architecture:
    """The configuration of a published model.

    >>> preset("GPT-2 small").parameters
    124439808
    """
    return PRESETS[name].architecture


# ------------------------------------------------------------------------------------------------ how long a text


@dataclass(frozen=True)
class Context:
    """The longest text, in tokens, that a model was published for, and where that is said."""

    tokens: int
    source: str


# Models whose every layer attends to the whole text.
CONTEXTS = {
    "GPT (2018)": Context(512, "Radford et al. 2018, §4.1"),
    "GPT-2 small": Context(1024, "Radford et al. 2019, §2.3"),
    "LLaMA 7B": Context(2048, "Touvron et al. 2023 (Llama 2), table 1"),
    "Llama 2 7B": Context(4096, "Touvron et al. 2023 (Llama 2), table 1"),
    "Gemma 7B": Context(8192, "Gemma Team 2024 (Gemma), §2"),
    "Llama 3.1 405B": Context(131_072, "Grattafiori et al. 2024, §3.4.2: 128K"),
}
