"""The presets against the real architectures of the `transformers` library, on the meta device.

The app and the other tests do not need that library, so it is not in the requirements; where it is installed
(`pip install transformers`), these tests instantiate every published model with the configuration of its preset.
"""

from typing import Any

import pytest
import torch

from core.ops.counting import Architecture
from core.presets import PRESETS, Preset

transformers = pytest.importorskip("transformers", reason="an optional check: pip install transformers")
THEIRS = [
    name for name in PRESETS if PRESETS[name].family != "The original"
]  # that one is torch's own: test_parameters.py


def hugging_face(preset: Preset) -> tuple[str, str, dict[str, Any]]:
    """The config class, the model class, and the arguments that say what the preset says."""
    a, name, family = preset.architecture, preset.name, preset.family
    common = {
        "vocab_size": a.vocab,
        "hidden_size": a.d_model,
        "num_hidden_layers": a.n_layers,
        "num_attention_heads": a.n_heads,
        "intermediate_size": a.d_ff,
        "tie_word_embeddings": a.head == "tied",
    }
    grouped = common | {"num_key_value_heads": a.kv_heads}
    own_width = grouped | {"head_dim": a.d_head}
    if name == "GPT (2018)":
        return (
            "OpenAIGPTConfig",
            "OpenAIGPTLMHeadModel",
            {
                "vocab_size": a.vocab,
                "n_embd": a.d_model,
                "n_layer": a.n_layers,
                "n_head": a.n_heads,
                "n_positions": a.positions,
            },
        )
    if name == "GPT-J 6B":
        return (
            "GPTJConfig",
            "GPTJForCausalLM",
            {
                "vocab_size": a.vocab,
                "n_embd": a.d_model,
                "n_layer": a.n_layers,
                "n_head": a.n_heads,
                "n_inner": a.d_ff,
                "tie_word_embeddings": False,
            },
        )
    if family == "GPT":
        return (
            "GPT2Config",
            "GPT2LMHeadModel",
            {
                "vocab_size": a.vocab,
                "n_embd": a.d_model,
                "n_layer": a.n_layers,
                "n_head": a.n_heads,
                "n_inner": a.d_ff,
                "n_positions": a.positions,
            },
        )
    if name == "DistilBERT":
        return (
            "DistilBertConfig",
            "DistilBertModel",
            {
                "vocab_size": a.vocab,
                "dim": a.d_model,
                "n_layers": a.n_layers,
                "n_heads": a.n_heads,
                "hidden_dim": a.d_ff,
                "max_position_embeddings": a.positions,
            },
        )
    if family == "ALBERT":
        widths = {"embedding_size": a.embedding, "num_hidden_groups": 1, "type_vocab_size": a.token_types}
        return "AlbertConfig", "AlbertModel", common | widths | {"max_position_embeddings": a.positions}
    if family == "GPT-Neo":
        return (
            "GPTNeoConfig",
            "GPTNeoForCausalLM",
            {
                "vocab_size": a.vocab,
                "hidden_size": a.d_model,
                "num_layers": a.n_layers,
                "num_heads": a.n_heads,
                "intermediate_size": a.d_ff,
                "max_position_embeddings": a.positions,
                "attention_types": [[["global", "local"], a.n_layers // 2]],
            },
        )
    if family == "gpt-oss":
        experts = {"num_local_experts": a.experts, "num_experts_per_tok": a.experts_used}
        return "GptOssConfig", "GptOssForCausalLM", own_width | experts
    if family == "BERT":
        kind = "Roberta" if "RoBERTa" in name else "XLMRoberta" if "XLM" in name else "Bert"
        places = {"max_position_embeddings": a.positions, "type_vocab_size": a.token_types}
        return f"{kind}Config", f"{kind}Model", common | places
    if family == "T5":
        return (
            "T5Config",
            "T5ForConditionalGeneration",
            {
                "vocab_size": a.vocab,
                "d_model": a.d_model,
                "num_layers": a.n_layers,
                "num_decoder_layers": a.decoder_layers,
                "num_heads": a.n_heads,
                "d_kv": a.d_head,
                "d_ff": a.d_ff,
                "relative_attention_num_buckets": a.relative_buckets,
            },
        )
    if family == "BART":
        return (
            "BartConfig",
            "BartForConditionalGeneration",
            {
                "vocab_size": a.vocab,
                "d_model": a.d_model,
                "max_position_embeddings": a.positions - 2,
                "encoder_layers": a.n_layers,
                "encoder_attention_heads": a.n_heads,
                "encoder_ffn_dim": a.d_ff,
                "decoder_layers": a.decoder_layers,
                "decoder_attention_heads": a.n_heads,
                "decoder_ffn_dim": a.d_ff,
            },
        )
    if family == "LLaMA":
        return "LlamaConfig", "LlamaForCausalLM", own_width
    if family == "Mistral":
        if a.experts > 1:
            return (
                "MixtralConfig",
                "MixtralForCausalLM",
                grouped | {"num_local_experts": a.experts, "num_experts_per_tok": a.experts_used},
            )
        return "MistralConfig", "MistralForCausalLM", own_width
    if family == "Qwen":
        if a.experts > 1:
            experts = {"num_experts": a.experts, "num_experts_per_tok": a.experts_used, "moe_intermediate_size": a.d_ff}
            return "Qwen3MoeConfig", "Qwen3MoeForCausalLM", own_width | experts
        if "Qwen3" in name:
            return "Qwen3Config", "Qwen3ForCausalLM", own_width
        return "Qwen2Config", "Qwen2ForCausalLM", grouped
    if family == "Gemma":
        if "Gemma 3" in name:
            return "Gemma3TextConfig", "Gemma3ForCausalLM", own_width
        kind = "Gemma2" if "Gemma 2 " in name else "Gemma"
        return f"{kind}Config", f"{kind}ForCausalLM", own_width
    if family == "Phi":
        kind = "Phi" if name in ("Phi-1.5", "Phi-2") else "Phi3"
        return f"{kind}Config", f"{kind}ForCausalLM", grouped | {"pad_token_id": 0}
    if family == "OPT":
        return (
            "OPTConfig",
            "OPTForCausalLM",
            {
                "vocab_size": a.vocab,
                "hidden_size": a.d_model,
                "num_hidden_layers": a.n_layers,
                "num_attention_heads": a.n_heads,
                "ffn_dim": a.d_ff,
                "word_embed_proj_dim": a.embedding,
                "do_layer_norm_before": name != "OPT 350M",
                "max_position_embeddings": a.positions - 2,
            },
        )
    if family == "Pythia":
        return "GPTNeoXConfig", "GPTNeoXForCausalLM", common
    if family == "Falcon":
        return (
            "FalconConfig",
            "FalconForCausalLM",
            {
                "vocab_size": a.vocab,
                "hidden_size": a.d_model,
                "num_hidden_layers": a.n_layers,
                "num_attention_heads": a.n_heads,
                "bias": a.ffn_bias,
                "alibi": "RW" in name,
                "multi_query": a.kv_heads == 1,
                "new_decoder_architecture": name == "Falcon 40B",
                "num_kv_heads": a.kv_heads,
                "parallel_attn": "RW" not in name,
            },
        )
    if family == "BLOOM":
        return (
            "BloomConfig",
            "BloomForCausalLM",
            {"vocab_size": a.vocab, "hidden_size": a.d_model, "n_layer": a.n_layers, "n_head": a.n_heads},
        )
    if name == "MPT 7B":
        return (
            "MptConfig",
            "MptForCausalLM",
            {
                "vocab_size": a.vocab,
                "d_model": a.d_model,
                "n_layers": a.n_layers,
                "n_heads": a.n_heads,
                "no_bias": True,
            },
        )
    kind, arguments = {
        "StarCoder2 3B": ("Starcoder2", grouped),
        "Command R 35B": ("Cohere", grouped | {"pad_token_id": 0}),
        "OLMo 7B": ("Olmo", grouped),
        "OLMo 2 7B": ("Olmo2", grouped | {"pad_token_id": 0}),
        "OLMoE 7B": ("Olmoe", grouped | {"num_experts": a.experts, "num_experts_per_tok": a.experts_used}),
    }[name]
    return f"{kind}Config", f"{kind}ForCausalLM", arguments


def total(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", THEIRS)
def test_the_real_architecture_has_as_many_parameters(name: str) -> None:
    preset = PRESETS[name]
    config, model, arguments = hugging_face(preset)
    with torch.device("meta"):
        real = getattr(transformers, model)(getattr(transformers, config)(**arguments))
    a: Architecture = preset.architecture
    assert total(real) == a.parameters
