"""Writes a tiny Llama with random weights as a folder for vLLM: ``python tiny_llama.py FOLDER``.

A script for the environment that has vLLM (`./dev tools-long`), with transformers and tokenizers.
Its text is nonsense; its tokens are counted as any others.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

CONTROL = ("<s>", "</s>", "<pad>")
TEXT = tuple(
    f"the cost of {thing} in the region" for thing in ("a token", "a request", "an epoch", "a node")
)
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}assistant: "
)


def make_tokenizer(transformers: Any, tokenizers: Any) -> Any:
    """A tokenizer of bytes and a few words, so that any text can be said in it."""
    found = tokenizers.Tokenizer(tokenizers.models.BPE())
    found.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320, special_tokens=list(CONTROL), initial_alphabet=sorted(alphabet)
    )
    found.train_from_iterator(TEXT, trainer)
    names = dict(zip(("bos_token", "eos_token", "pad_token"), CONTROL, strict=True))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=found, chat_template=TEMPLATE, **names
    )


def main(folder: Path) -> None:
    """Write model and tokenizer."""
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    tokenizers = importlib.import_module("tokenizers")
    torch.manual_seed(0)
    tokenizer = make_tokenizer(transformers, tokenizers)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
