"""A tiny random Llama as a GGUF file, written with the package's own writer."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from gguf import GGUFWriter
from transformers import LlamaForCausalLM

from helpers import tiny

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_llama(path: Path) -> LlamaForCausalLM:
    """Write a random model with its tokenizer to a GGUF file, in float32, and return the model."""
    words = tiny.tokenizer()
    model = tiny.model("llama", len(words))
    config = model.config
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    core = words.backend_tokenizer
    merges = json.loads(core.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([core.id_to_token(i) for i in range(len(words))])
    writer.add_token_types([3 if core.id_to_token(i) in words.all_special_tokens else 1 for i in range(len(words))])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(words.bos_token_id)
    writer.add_eos_token_id(words.eos_token_id)
    writer.add_chat_template(words.chat_template)
    for name, tensor in model.state_dict().items():
        writer.add_tensor(gguf_name(name), stored(name, tensor, config).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def gguf_name(name: str) -> str:
    """A parameter's name in GGUF: `model.layers.1.mlp.up_proj.weight` is `blk.1.ffn_up.weight`."""
    stem, _, kind = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, inner = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[inner]}.{kind}"
    return f"{NAMES[stem]}.{kind}"


def stored(name: str, tensor: torch.Tensor, config) -> torch.Tensor:
    """A parameter as GGUF stores it: rows of query and key take turns where Transformers has halves of each head."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    count = next((n for part, n in heads.items() if part in name), None)
    if count is None:
        return tensor
    return tensor.reshape(count, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)
