"""The embedding engine: texts to unit vectors, on whatever this machine does it fastest.

OpenVINO on a processor, torch on a graphics card, torch also where OpenVINO can not run a model.
Opening is cheap: the runtime loads with the first text, so a run with nothing to embed never pays.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.embed.batches import Batch, padded, plan, unique
from rag.embed.encoding import Encoder, load_encoder
from rag.embed.pretrained import PretrainedModel, describe_model
from rag.errors import ConfigurationError, PoisonError, TerminalError, UnavailableError

Precision = Literal["bf16", "fp32", "int8"]

_LOG = logging.getLogger(__name__)
_PRECISIONS = ("bf16", "fp32", "int8")
_DEVICES = ("auto", "cpu", "cuda")
# texts tokenised at a time, while the window before is inferred
_WINDOW = 512
_CARDS = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
# what conversion and compilation raise on a model they do not support, or when not installed
_NOT_COMPILED = (ImportError, RuntimeError, OSError, KeyError, ValueError, TypeError, IndexError)


class Runtime(Protocol):
    """What computes: padded batches in, one vector per row out, in order."""

    name: str

    @property
    def arithmetic(self) -> str: ...

    def run(self, batches: Iterable[Batch]) -> Iterator[NDArray[np.float32]]: ...


def open_embedder(
    model: str,
    precision: Precision,
    cache: Path,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> EmbeddingEngine:
    """The embedder of `model`. `cache` keeps the converted model between processes; `progress`
    hears of a conversion, which takes seconds or minutes: a warning in the log by default.

    Raises ConfigurationError (`model_not_found`, `bad_model`, `bad_setting`)."""
    if precision not in _PRECISIONS or device not in _DEVICES:
        raise ConfigurationError(
            f"Precision '{precision}' on device '{device}' is unknown: use one of "
            f"{', '.join(_PRECISIONS)} and one of {', '.join(_DEVICES)}.",
            code="bad_setting",
        )
    return EmbeddingEngine(
        describe_model(model, cache), precision, cache, device, progress or _LOG.warning
    )


class EmbeddingEngine:
    """An `Embedder` over a local model. `engine` and `fallback_reason` say what computes and why
    not OpenVINO; asking for them loads the model. Texts of one call at a time are embedded."""

    def __init__(
        self,
        model: PretrainedModel,
        precision: Precision,
        cache: Path,
        device: str,
        progress: Callable[[str], None],
    ) -> None:
        self._model, self._precision, self._cache = model, precision, cache
        self._device, self._progress = device, progress
        self._lock = threading.Lock()
        self._loaded: tuple[Runtime, Encoder] | None = None
        self._fallback_reason: str | None = None
        self.dimension = model.dimension
        self.config: dict[str, object] = _config(model, precision)

    @property
    def engine(self) -> str:
        """`openvino` or `torch`."""
        return self._load()[0].name

    @property
    def arithmetic(self) -> str:
        """The arithmetic in use: `bf16` or `f32`, whatever the processor has of it."""
        return self._load()[0].arithmetic

    @property
    def fallback_reason(self) -> str | None:
        """Why torch computes on a processor instead of OpenVINO, or None when it does not."""
        self._load()
        return self._fallback_reason

    def warm(self) -> None:
        """Load the model now and embed once, so that the next text waits for nothing."""
        self.embed_query("warm")

    def prepare(self) -> None:
        """Load the model in a thread of its own."""
        # no daemon: the runtime must not be compiling when the process ends
        threading.Thread(target=self._try_to_warm, name="embedder").start()

    def _try_to_warm(self) -> None:
        with suppress(Exception):  # whatever it is, the first text meets it again
            self.warm()

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors in the order of `texts`; equal texts are computed once. `on_batch` hears
        (done, total) of the different texts. Raises PoisonError (`bad_vector`),
        UnavailableError (`embedder_failed`)."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        prompt = self._model.document_prompt
        distinct, inverse = unique([prompt + text for text in texts] if prompt else texts)
        return self._vectors(distinct, on_batch)[inverse]

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a search text, shape (dimension,)."""
        found: NDArray[np.float32] = self._vectors([self._model.query_prompt + text], None)[0]
        return found

    def _vectors(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None
    ) -> NDArray[np.float32]:
        runtime, encoder = self._load()
        found = np.zeros((len(texts), self.dimension), np.float32)
        done = 0
        with self._lock:
            for places, vectors in _computed(runtime, encoder, texts):
                found[places] = _shaped(vectors, len(places), self.dimension)
                done += len(places)
                if on_batch is not None:
                    on_batch(done, len(texts))
        return unit_vectors(found)

    def _load(self) -> tuple[Runtime, Encoder]:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._open_whole()
            return self._loaded

    def _open_whole(self) -> tuple[Runtime, Encoder]:
        from safetensors import SafetensorError

        try:
            return self._open()
        except SafetensorError as error:
            raise ConfigurationError(
                f"The weights in '{self._model.folder}' are damaged ({_one_line(error)}): restore "
                "the model folder.",
                code="model_unreadable",
            ) from error

    def _open(self) -> tuple[Runtime, Encoder]:
        if self._uses_card():
            return self._open_torch("cuda")
        reason = _unsupported(self._model)
        if reason is None:
            try:
                return self._open_compiled()
            except _NOT_COMPILED as error:
                reason = _one_line(error)
        self._fallback_reason = reason
        _LOG.warning("embedding_fallback engine=torch model=%s reason=%s", self._model.name, reason)
        return self._open_torch("cpu")

    def _uses_card(self) -> bool:
        if self._device == "cpu":
            return False
        # looking for the driver first spares processors the seconds that importing torch takes
        if self._device == "auto" and not any(card.exists() for card in _CARDS):
            return False
        from rag.embed.torch_model import cuda_is_available

        found = cuda_is_available()
        if self._device == "cuda" and not found:
            raise ConfigurationError(
                "Device 'cuda' is set, but torch finds no graphics card: install its driver and a "
                "torch built for it, or set the device to 'cpu'.",
                code="device_missing",
            )
        return found

    def _open_compiled(self) -> tuple[Runtime, Encoder]:
        from rag.embed.compiled import CompiledModel, fastest_within
        from rag.embed.ir import converted

        encoder = _encoder(self._model)
        if encoder is None:
            raise ValueError("no tokenizer.json")
        precision = fastest_within(self._precision)
        graph = converted(self._model, precision, self._cache, self._progress)
        return CompiledModel(graph, precision, self._model.dimension), encoder

    def _open_torch(self, device: str) -> tuple[Runtime, Encoder]:
        from rag.embed.torch_model import TorchModel

        # torch has no int8 here: it computes bf16, which lies within what int8 promises
        runtime = TorchModel(self._model.folder, self._precision, device)
        encoder = _encoder(self._model) or Encoder(
            runtime.tokenizer, self._model.max_tokens, lowercase=self._model.lowercase
        )
        return runtime, encoder


def unit_vectors(found: NDArray[np.float32]) -> NDArray[np.float32]:
    """`found` with rows of length one. Raises PoisonError (`bad_vector`) on NaN or zero rows."""
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    is_good = np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 1e-6)
    if not is_good.all():
        place = int(np.argmin(is_good))
        raise PoisonError(
            f"The embedding model gave no usable vector for text {place} of {len(found)}: check "
            "the model's weights, or embed in fp32.",
            code="bad_vector",
            place=place,
        )
    vectors: NDArray[np.float32] = found / lengths
    return vectors


def _computed(
    runtime: Runtime, encoder: Encoder, texts: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    waiting: deque[NDArray[np.int64]] = deque()

    def batches() -> Iterator[Batch]:
        for first, tokens in _windows(encoder, texts):
            for group in plan([len(row) for row in tokens]):
                waiting.append(np.array(group) + first)
                rows = [tokens[place] for place in group]
                yield padded(rows, encoder.padding, encoder.window)

    try:
        for vectors in runtime.run(batches()):
            yield waiting.popleft(), vectors
    except RuntimeError as error:  # OpenVINO and torch raise it for anything, lack of memory too
        raise UnavailableError(
            f"The embedding engine ({runtime.name}) failed: free memory, then try again.",
            code="embedder_failed",
        ) from error


def _windows(encoder: Encoder, texts: Sequence[str]) -> Iterator[tuple[int, list[list[int]]]]:
    """Token ids of each window of texts with its place, the next window being made meanwhile."""
    if len(texts) <= _WINDOW:
        yield 0, encoder.encode(texts)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="tokenize") as pool:
        starts = range(0, len(texts), _WINDOW)
        ahead = pool.submit(encoder.encode, texts[:_WINDOW])
        for start in starts:
            tokens = ahead.result()
            following = texts[start + _WINDOW : start + 2 * _WINDOW]
            if following:
                ahead = pool.submit(encoder.encode, following)
            yield start, tokens


def _shaped(vectors: NDArray[np.float32], rows: int, dimension: int) -> NDArray[np.float32]:
    if vectors.shape != (rows, dimension):
        raise TerminalError(
            f"The embedding model gave vectors of shape {vectors.shape} instead of "
            f"({rows}, {dimension}): its config.json does not fit its weights.",
            code="bad_vector",
        )
    return vectors


def _encoder(model: PretrainedModel) -> Encoder | None:
    return load_encoder(model.folder, model.max_tokens, lowercase=model.lowercase)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _unsupported(model: PretrainedModel) -> str | None:
    return None if model.pooling != "other" else "modules beyond transformer and one pooling"


def _config(model: PretrainedModel, precision: Precision) -> dict[str, object]:
    """What names the vectors: no version of a runtime, since runtimes agree within precision."""
    config: dict[str, object] = {
        "model": model.name,
        "weights": model.weights,
        "dimension": model.dimension,
        "pooling": model.pooling,
        "max_tokens": model.max_tokens,
        "precision": precision,
    }
    prompts = {"query_prompt": model.query_prompt, "document_prompt": model.document_prompt}
    return config | {key: prompt for key, prompt in prompts.items() if prompt}
