"""An `Embedder` whose texts are computed on a Ray cluster, by the same engine as here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.embed.batches import unique
from rag.embed.engine import Precision, open_embedder
from rag.errors import RagError
from rag.fingerprint import fingerprint
from rag.scale import cluster as clusters
from rag.scale.cluster import Cluster
from rag.scale.worker import EmbeddingWorker

_MOST, _LEAST = 128, 16  # texts of one call
_ROUNDS = 4  # calls per engine at least, so that none waits long for the last
_AHEAD = 2  # calls per engine that are on their way
_STALL_S = 600.0
_GET_S = 60.0


class RayEmbedder:
    """One engine per node of the cluster, or per graphics card; they stay until this object goes.
    Texts whose worker dies are embedded by another. Questions are embedded here."""

    def __init__(
        self, cluster: Cluster, model: str, precision: Precision, cache: Path, retries: int = 3
    ) -> None:
        self._cluster = cluster
        self._asked = (model, precision, cache.resolve())
        self._retries = retries
        self._local = open_embedder(model, precision, cache)
        self._engines: dict[str, list[Any]] = {}
        self.config = self._local.config
        self.dimension = self._local.dimension

    def prepare(self) -> None:
        """Engines start on the nodes that they are sent to."""

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors in the order of `texts`; equal texts are computed once. Raises as the engine
        does, and UnavailableError (`ray_worker_lost`, `ray_stalled`, `ray_unavailable`)."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        distinct, inverse = unique(texts)
        ray = self._cluster.join()
        spread = _Spread(ray, self._living(ray), distinct, self.dimension)
        try:
            return spread.run(on_batch)[inverse]
        finally:
            self._forget(spread.dead)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question, computed here: no network stands before a search."""
        return self._local.embed_query(text)

    def _living(self, ray: Any) -> list[Any]:
        """An engine for each node that lives now; those of nodes that left are forgotten."""
        nodes = {
            node["NodeID"]: node["Resources"]
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) > 0
        }
        self._engines = {
            name: self._engines.get(name) or self._started(ray, name, int(resources.get("GPU", 0)))
            for name, resources in nodes.items()
        }
        return [engine for engines in self._engines.values() for engine in engines]

    def _forget(self, dead: list[Any]) -> None:
        """The next call starts others in their place."""
        for name, engines in self._engines.items():
            self._engines[name] = [engine for engine in engines if engine not in dead]

    def _started(self, ray: Any, node: str, cards: int) -> list[Any]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        made = ray.remote(EmbeddingWorker).options(
            num_cpus=0,  # parsing and embedding take turns in a run
            num_gpus=1 if cards else 0,
            max_restarts=self._retries,
            max_task_retries=self._retries,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        expected = fingerprint("model", self.config)
        return [made.remote(*self._asked, expected) for _ in range(max(1, cards))]


def slice_size(texts: int, engines: int) -> int:
    """How many texts go into one call: few enough that every engine has some, enough that the way
    to the engine does not count."""
    return max(_LEAST, min(_MOST, -(-texts // (max(1, engines) * _ROUNDS))))


class _Spread:
    """One call of `embed`: its slices, given to whichever engine is free."""

    def __init__(self, ray: Any, engines: list[Any], texts: Sequence[str], dimension: int) -> None:
        self._ray, self._texts = ray, texts
        self._free = deque(engines * _AHEAD)
        # the long ones first: the last slices to end are then short
        order = np.argsort([-len(text) for text in texts], kind="stable")
        self.dead: list[Any] = []
        size = slice_size(len(texts), len(engines))
        self._waiting = deque(order[at : at + size] for at in range(0, len(order), size))
        self._running: dict[Any, tuple[Any, NDArray[np.intp]]] = {}
        self._found = np.zeros((len(texts), dimension), np.float32)

    def run(self, on_batch: Callable[[int, int], None] | None) -> NDArray[np.float32]:
        """All vectors, in the order of the texts."""
        done = 0
        try:
            while self._waiting or self._running:
                self._send()
                done += self._receive()
                if on_batch is not None:
                    on_batch(done, len(self._texts))
        finally:
            for ref in self._running:
                self._ray.cancel(ref)
        return self._found

    def _send(self) -> None:
        while self._waiting and self._free:
            engine, places = self._free.popleft(), self._waiting.popleft()
            ref = engine.embed.remote([self._texts[place] for place in places])
            self._running[ref] = engine, places

    def _receive(self) -> int:
        """Keep what ended first; returns how many texts that were."""
        if not self._running:
            raise clusters.lost("no embedding engine is left")
        (ref,) = self._first_ended()
        engine, places = self._running.pop(ref)
        try:
            vectors = self._ray.get(ref, timeout=_GET_S)
        except self._ray.exceptions.RayActorError:
            self._waiting.append(places)
            self.dead.append(engine)
            self._free = deque(free for free in self._free if free is not engine)
            return 0
        except self._ray.exceptions.RayError as exc:
            raise clusters.lost(exc) from exc
        if isinstance(vectors, RagError):
            raise vectors
        self._free.append(engine)
        self._found[places] = vectors
        return len(places)

    def _first_ended(self) -> list[Any]:
        done: list[Any]
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_STALL_S)
        if not done:
            raise clusters.stalled(_STALL_S)
        return done
