"""Tiny sentence-transformers models with random weights, made in milliseconds without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WIDTH, INNER, LAYERS, HEADS, POSITIONS = 32, 64, 2, 4, 66
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "wind", "gauge"]


def write_model(
    folder: Path,
    pooling: str = "mean",
    model_type: str = "bert",
    extra_module: str | None = None,
    prompts: dict[str, str] | None = None,
    window: int = 32,
) -> Path:
    """A model folder as sentence-transformers writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = ["Transformer", "Pooling", *([extra_module] if extra_module else []), "Normalize"]
    _write(
        folder / "modules.json",
        [
            {
                "idx": place,
                "name": str(place),
                "path": f"{place}_{kind}" if place else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for place, kind in enumerate(kinds)
        ],
    )
    flags = {f"pooling_mode_{name}_tokens": False for name in ("mean", "max")}
    flags |= {"pooling_mode_cls_token": False}
    flags |= {f"pooling_mode_{pooling}_{'token' if pooling == 'cls' else 'tokens'}": True}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **flags})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": window, "do_lower_case": False})
    if prompts:
        _write(folder / "config_sentence_transformers.json", {"prompts": prompts})
    _write(folder / "config.json", _config(model_type))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "sep_token": "[SEP]", **special},
    )
    save_file(_weights(), folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def damage_weights(folder: Path) -> None:
    """Make every vector of the model NaN."""
    weights = _weights()
    weights["embeddings.LayerNorm.bias"][:] = np.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _write(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value), encoding="utf-8")


def _config(model_type: str) -> dict[str, object]:
    return {
        "model_type": model_type,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "vocab_size": len(WORDS),
        "pad_token_id": 0,
    }


def _weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)

    def matrix(*shape: int) -> np.ndarray:
        return random.normal(0, 0.2, shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": matrix(len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": matrix(POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": matrix(2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        parts = {
            **{f"attention.self.{name}": (WIDTH, WIDTH) for name in ("query", "key", "value")},
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for part, shape in parts.items():
            found[f"{prefix}{part}.weight"] = matrix(*shape)
            found[f"{prefix}{part}.bias"] = matrix(shape[0])
        norms += [f"{prefix}attention.output.LayerNorm", f"{prefix}output.LayerNorm"]
    for norm in norms:
        found[f"{norm}.weight"], found[f"{norm}.bias"] = 1 + matrix(WIDTH), matrix(WIDTH)
    return found


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer
