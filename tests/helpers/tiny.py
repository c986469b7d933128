"""Tiny randomly initialised models of real architectures, saved as ordinary Hugging Face folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)
from transformers.trainer_utils import set_seed

from patchrl.models.backbone import Backbone

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
# Weights large enough that every token of the context moves ℓ: a shifted position must show.
WIDE = {"initializer_range": 0.2}
COMMON = WIDE | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 1024}
GROUPED = COMMON | {"num_key_value_heads": 2, "intermediate_size": 64}
CONFIGS = {
    "llama": lambda v: LlamaConfig(vocab_size=v, **GROUPED),
    "qwen2": lambda v: Qwen2Config(vocab_size=v, **GROUPED, tie_word_embeddings=True),
    "qwen3": lambda v: Qwen3Config(vocab_size=v, **GROUPED, head_dim=8),
    "mistral": lambda v: MistralConfig(vocab_size=v, **GROUPED),
    "gemma": lambda v: GemmaConfig(vocab_size=v, **GROUPED, head_dim=8),
    "gemma2": lambda v: Gemma2Config(vocab_size=v, **GROUPED, head_dim=8),
    "phi": lambda v: PhiConfig(vocab_size=v, **COMMON, intermediate_size=64),
    "gpt2": lambda v: GPT2Config(vocab_size=v, n_embd=32, n_layer=2, n_head=4, n_positions=1024, **WIDE),
}
# Not a kind of its own: a window shorter than the prompts, so that caches drop what is out of sight.
WINDOWED = {"windowed": lambda v: MistralConfig(vocab_size=v, **GROUPED, sliding_window=8)}
CORPUS = ["Ana has 3 apples and buys 4 more, so she has 3 + 4 = 7 apples. #### 7", "What is the answer? It is 12."] * 20


def tokenizer(
    *, template: bool = True, adds_bos: bool = False, pad: bool = True, added: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """A small byte-level BPE tokenizer, with or without chat template, automatic BOS, pad token; `added` tokens are text."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|bos|>", "<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"]
    core.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if adds_bos:
        bos = ("<|bos|>", core.token_to_id("<|bos|>"))
        core.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[bos])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|bos|>", eos_token="<|end|>", pad_token="<|pad|>" if pad else None
    )
    fast.add_tokens(list(added))
    fast.chat_template = TEMPLATE if template else None
    return fast


def model(kind: str, vocabulary: int):
    """A float32 model of the named architecture with random weights."""
    set_seed(0)
    config = (CONFIGS | WINDOWED)[kind](vocabulary)
    config.eos_token_id, config.pad_token_id, config.bos_token_id = 1, 2, 0
    return AutoModelForCausalLM.from_config(config).eval()


def save(kind: str, folder: Path, **options) -> Path:
    """Write model and tokenizer to `folder` as a user's own backbone would lie there."""
    words = tokenizer(**options)
    model(kind, len(words)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def judging_backbone(*words: str) -> Backbone:
    """A tiny backbone whose tokenizer has each of `words` (by default yes and no) as a token."""
    judge_tokenizer = tokenizer()
    judge_tokenizer.add_tokens(list(words or ("yes", "no")))
    return Backbone(model("qwen2", len(judge_tokenizer)), judge_tokenizer)


def sentence_model(folder: Path) -> Path:
    """A tiny sentence-transformers model with random weights, of 16 dimensions, saved to `folder`."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    words = tokenizer()
    set_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, **WIDE
    )
    BertModel(config).save_pretrained(folder / "bert")
    words.save_pretrained(folder / "bert")
    SentenceTransformer(modules=[Transformer(str(folder / "bert")), Pooling(16)], device="cpu").save(str(folder / "st"))
    return folder / "st"
