"""A tokenizer for the tools that insist on one: a token for each byte of a text."""

from __future__ import annotations

import json
from pathlib import Path

_END = "<|end|>"


def write_tokenizer(folder: Path) -> Path:
    """Write the files that Hugging Face's ``AutoTokenizer`` reads; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {letter: number for number, letter in enumerate(_letters())}
    end = {"id": len(vocabulary), "content": _END, "special": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [end | flags],
        "normalizer": None,
        "pre_tokenizer": level | {"use_regex": True},
        "post_processor": None,
        "decoder": level | {"use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary | {_END: end["id"]}, "merges": []},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": _END,
        "pad_token": _END,
        "model_max_length": 131_072,
        "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
    }
    _write(folder / "tokenizer.json", tokenizer)
    _write(folder / "tokenizer_config.json", settings)
    _write(folder / "config.json", {"model_type": "llama", "vocab_size": len(vocabulary) + 1})
    return folder


def _letters() -> list[str]:
    """Return a printable character for each byte, as GPT-2's byte-level vocabulary has them."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in plain else chr(next(spare)) for byte in range(256)]


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document))
