"""The CPU runtime: OpenVINO, one stream of inference per core, fed from a short queue. A batch that
comes alone, such as a question, has all cores to itself."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.embed.batches import Batch

# more streams than this only add memory: further cores then work inside a stream
_MOST_STREAMS = 16
_LARGEST_GROUP = 512


class CompiledModel:
    """Pooled vectors of padded batches, in order. Holds neither torch nor transformers."""

    name = "openvino"

    def __init__(self, graph: Path, precision: str, width: int) -> None:
        self._graph, self._precision, self._width = graph, precision, width
        self._alone = self._compiled(streams=1)
        self._request = self._alone.create_infer_request()

    def _compiled(self, streams: int) -> Any:
        import openvino as ov

        settings = runtime_settings(self._precision, self._width, streams)
        return ov.Core().compile_model(self._graph, "CPU", settings)

    @cached_property
    def _streams(self) -> list[Any]:
        """The requests of many batches, compiled when there first are many."""
        streams = min(len(os.sched_getaffinity(0)), _MOST_STREAMS)
        model = self._compiled(streams)
        # one batch more than streams waits in line, so that no core idles while Python looks away
        return [model.create_infer_request() for _ in range(streams * 2)]

    @property
    def arithmetic(self) -> str:
        """What the runtime computes in here: `bf16`, or `f32` where the processor lacks bf16."""
        found: str = self._alone.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        return found

    def run(self, batches: Iterable[Batch]) -> Iterator[NDArray[np.float32]]:
        """The vectors of each batch (ids, mask), in the order of the batches."""
        coming = iter(batches)
        first = list(itertools.islice(coming, 2))
        idle = deque(self._streams if len(first) > 1 else [self._request])
        busy = deque[Any]()
        try:
            for ids, mask in itertools.chain(first, coming):
                if not idle:
                    yield _finish(busy, idle)
                request = idle.popleft()
                request.start_async({"input_ids": ids, "attention_mask": mask})
                busy.append(request)
            while busy:
                yield _finish(busy, idle)
        finally:
            for request in busy:  # an error or an abandoned iterator: leave none running
                request.wait()


def fastest_within(precision: str) -> str:
    """The arithmetic that keeps what `precision` promises and is fastest in here: bf16 instead of
    int8 where the processor multiplies matrices of bf16 (measured with AMX: 4.4 and 3.5 times
    sentence-transformers, `python -m benchmarks.embedding`)."""
    return "bf16" if precision == "int8" and "amx_bf16" in processor_facts() else precision


def processor_facts() -> str:
    """What Linux says of the processor; elsewhere nothing."""
    file = Path("/proc/cpuinfo")
    return file.read_text(encoding="utf-8") if file.exists() else ""


def runtime_settings(precision: str, width: int, streams: int) -> dict[str, object]:
    """How the runtime computes that precision in that many streams, which share the cores."""
    settings: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else _fastest(),
        # the hint for one stream also keeps it on one socket
        **({"PERFORMANCE_HINT": "LATENCY"} if streams == 1 else {"NUM_STREAMS": streams}),
    }
    if precision == "int8":
        # inputs are quantised in groups; measured fastest at the model's whole width
        group = width
        while group > _LARGEST_GROUP:
            group = math.ceil(group / 2)
        settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = group
    return settings


def _fastest() -> str:
    import openvino as ov

    return "bf16" if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _finish(busy: deque[Any], idle: deque[Any]) -> NDArray[np.float32]:
    request = busy.popleft()
    request.wait()
    vectors = np.array(request.get_output_tensor(0).data, np.float32)
    idle.append(request)
    return vectors
