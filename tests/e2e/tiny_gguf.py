"""Writes a tiny Llama with random weights as a GGUF file: ``python tiny_gguf.py FILE``.

A script for the environment that has llama-server (`./dev tools-long`), with gguf and numpy; the
same file for the same versions of them. Its text is nonsense; its tokens are counted as any others.
"""

import importlib
import sys
from typing import Any

EMBEDDING, FEED_FORWARD, BLOCKS, HEADS, CONTEXT = 256, 512, 2, 4, 2048
WORDS = ("the", "cost", "of", "token", "request", "epoch", "gpu", "node", "cloud", "region")
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}assistant: "
)


def alphabet() -> list[str]:
    """The printable stand-ins for all bytes, in the order that GPT-2 gave them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]


def vocabulary() -> tuple[list[str], list[str]]:
    """The tokens (three control ones, all bytes, parts of a few words), and how they are merged."""
    tokens = ["<s>", "</s>", "<pad>", *alphabet()]
    merges: dict[str, None] = {}
    for word in WORDS:
        merged = "\u0120"  # a space
        for letter in word:
            merges[f"{merged} {letter}"] = None
            merged += letter
            if merged not in tokens:
                tokens.append(merged)
    return tokens, list(merges)


def describe(writer: Any, tokens: list[str], merges: list[str]) -> None:
    """All of the file but the weights."""
    writer.add_name("tiny-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)


def weights(numpy: Any, words: int) -> dict[str, Any]:
    """Random ones by their names."""
    random = numpy.random.default_rng(0)

    def matrix(rows: int, columns: int) -> Any:
        return (random.standard_normal((rows, columns)) * 0.05).astype(numpy.float32)

    ones = numpy.ones(EMBEDDING, numpy.float32)
    found = {
        "token_embd.weight": matrix(words, EMBEDDING),
        "output_norm.weight": ones,
        "output.weight": matrix(words, EMBEDDING),
    }
    square, wide, tall = (
        (EMBEDDING, EMBEDDING),
        (FEED_FORWARD, EMBEDDING),
        (EMBEDDING, FEED_FORWARD),
    )
    shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), square)
    shapes |= {"ffn_gate": wide, "ffn_up": wide, "ffn_down": tall}
    for block in range(BLOCKS):
        for name, shape in shapes.items():
            found[f"blk.{block}.{name}.weight"] = matrix(*shape)
        found[f"blk.{block}.attn_norm.weight"] = ones
        found[f"blk.{block}.ffn_norm.weight"] = ones
    return found


def main(path: str) -> None:
    """Write the file."""
    gguf, numpy = importlib.import_module("gguf"), importlib.import_module("numpy")
    tokens, merges = vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    describe(writer, tokens, merges)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for name, values in weights(numpy, len(tokens)).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
