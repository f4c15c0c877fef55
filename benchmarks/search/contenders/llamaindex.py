"""LlamaIndex: PGVectorStore with hybrid_search=True, an HNSW index as its documentation sets it,
and the retriever of a VectorStoreIndex."""

from __future__ import annotations

from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.postgres import PGVectorStore

from benchmarks.search.asking import DIMENSION, HITS, Passage, Task, contender

HNSW = {
    "hnsw_m": 16,
    "hnsw_ef_construction": 64,
    "hnsw_ef_search": 40,
    "hnsw_dist_method": "vector_cosine_ops",
}


def store(task: Task, hnsw: dict[str, Any] | None) -> PGVectorStore:
    return PGVectorStore.from_params(
        connection_string=task.driver_url("psycopg2"),
        async_connection_string=task.driver_url("asyncpg"),
        table_name="passage",
        embed_dim=DIMENSION,
        hybrid_search=True,
        text_search_config="english",
        hnsw_kwargs=hnsw,
    )


def node(passage: Passage, vector: list[float]) -> TextNode:
    """A passage as a splitter of theirs leaves it."""
    source = RelatedNodeInfo(node_id=passage.document)
    return TextNode(
        id_=str(passage.number),
        text=passage.text,
        embedding=vector,
        relationships={NodeRelationship.SOURCE: source},
    )


def load(task: Task) -> None:
    # with its own insert; the index comes when the rows are there
    filled = store(task, None)
    for passages, vectors in task.batches():
        filled.add([node(*pair) for pair in zip(passages, vectors.tolist(), strict=True)])
    store(task, dict(HNSW)).query(
        VectorStoreQuery(query_embedding=[1.0] * DIMENSION, similarity_top_k=1)
    )


class Searching:
    """The retriever, asked as its users do; vectors alone go to the store."""

    def __init__(self, task: Task) -> None:
        self._store = store(task, dict(HNSW))
        index = VectorStoreIndex.from_vector_store(
            self._store, embed_model=HuggingFaceEmbedding(model_name=task.model, device="cpu")
        )
        self._retriever = index.as_retriever(
            vector_store_query_mode=VectorStoreQueryMode.HYBRID,
            similarity_top_k=HITS,
            sparse_top_k=HITS,
        )

    def hybrid(self, question: str) -> list[NodeWithScore]:
        return self._retriever.retrieve(question)

    def nearest(self, vector: list[float]) -> list[int]:
        found = self._store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=HITS))
        return [int(number) for number in found.ids or ()]


if __name__ == "__main__":
    contender(load, Searching)
