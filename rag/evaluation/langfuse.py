"""Langfuse over its public REST API: datasets, runs and scores, there and back. Ids are made of
names, so a repeat overwrites itself and doubles nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rag.errors import ConfigurationError, NotFoundError, QuotaError, RagError, UnavailableError
from rag.evaluation.dataset import Item, Relevant, check_items
from rag.evaluation.export import Side
from rag.settings import Settings

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 20.0
_PAGE = 50
_MOST_PAGES = 2000
_SPACE = uuid.UUID("5f0c8a52-6d29-4c57-9b55-1f1d3f1a7c1e")


@dataclass(frozen=True, slots=True)
class Langfuse:
    """One project. Raises UnavailableError (`langfuse_unavailable`), QuotaError
    (`langfuse_rate_limited`), ConfigurationError (`langfuse_refused`), NotFoundError
    (`langfuse_not_found`)."""

    client: httpx.Client

    def check(self) -> None:
        """The server answers and takes the keys."""
        self._send("GET", "/api/public/projects")

    def push_dataset(self, name: str, items: Sequence[Item]) -> None:
        """Make the dataset and its items, or bring them up to date."""
        self._send("POST", "/api/public/v2/datasets", {"name": name})
        for item in items:
            self._send("POST", "/api/public/dataset-items", {
                "datasetName": name, "id": _id(name, item.key),
                "input": {"question": item.question},
                "expectedOutput": {"answer": item.answer} if item.answer else None,
                "metadata": {"key": item.key, "topic": item.topic,
                             "relevant": [asdict(each) for each in item.relevant]},
            })  # fmt: skip

    def pull_dataset(self, name: str) -> list[Item]:
        """The items of a dataset, whoever made them."""
        self._send("GET", f"/api/public/v2/datasets/{quote(name, safe='')}")
        rows = list(self._pages("/api/public/dataset-items", {"datasetName": name}))
        return check_items([_item(row) for row in rows if row.get("status") != "ARCHIVED"], name)

    def push_run(self, dataset: str, side: Side) -> None:
        """An experiment as a run of the dataset: a trace per question, with its scores."""
        for key, row in side.results.items():
            trace = _id(side.name, key)
            self._send("POST", "/api/public/ingestion", {"batch": [{
                "id": _id(side.name, key, "event"), "type": "trace-create",
                "timestamp": datetime.now(UTC).isoformat(),
                "body": {"id": trace, "name": side.name, "input": {"question": row["question"]},
                         "output": {"answer": row["answer"], "hits": row["hits"]},
                         "metadata": {"error": row["error"]}},
            }]})  # fmt: skip
            self._send("POST", "/api/public/dataset-run-items", {
                "runName": side.name, "datasetItemId": _id(dataset, key), "traceId": trace,
            })  # fmt: skip
            for metric, value in row["scores"].items():
                self._send("POST", "/api/public/scores", {
                    "id": _id(side.name, key, metric), "traceId": trace, "name": metric,
                    "value": value, "dataType": "NUMERIC",
                    "comment": f"{trace} : {row['reasons'].get(metric, '')}",
                })  # fmt: skip

    def pull_scores(
        self, dataset: str, run: str, keys: Iterable[str]
    ) -> dict[str, dict[str, float]]:
        """The scores of a run, whoever gave them, by our key of the question and metric."""
        ours = {_id(dataset, key): key for key in keys}
        path = f"/api/public/datasets/{quote(dataset, safe='')}/runs/{quote(run, safe='')}"
        found: dict[str, dict[str, float]] = {}
        for item in self._send("GET", path).get("datasetRunItems", []):
            key = ours.get(item["datasetItemId"])
            if key is not None:
                rows = self._pages("/api/public/v2/scores", {"traceId": item["traceId"]})
                found[key] = {
                    row["name"]: float(row["value"])
                    for row in rows
                    if isinstance(row.get("value"), int | float)
                }
        return found

    def _pages(self, path: str, parameters: dict[str, str]) -> Iterator[dict[str, Any]]:
        for page in range(1, _MOST_PAGES + 1):
            body = self._send("GET", path, parameters={**parameters, "page": str(page),
                                                       "limit": str(_PAGE)})  # fmt: skip
            rows = body.get("data", [])
            yield from rows
            if page >= int(body.get("meta", {}).get("totalPages", 1)) or not rows:
                return

    def _send(
        self, method: str, path: str, body: object = None, parameters: dict[str, str] | None = None
    ) -> dict[str, Any]:
        import httpx

        try:
            response = self.client.request(method, path, json=body, params=parameters)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Langfuse does not answer ({type(error).__name__}): check RAG_LANGFUSE_HOST.",
                code="langfuse_unavailable",
            ) from error
        if response.is_success:
            found = response.json()
            return found if isinstance(found, dict) else {}
        raise _refusal(response.status_code, path)


def _refusal(status: int, path: str) -> RagError:
    if status == 404:
        return NotFoundError(f"Langfuse has no {path}.", code="langfuse_not_found")
    if status == 429:
        return QuotaError("Langfuse takes no more for now: try again.",
                          code="langfuse_rate_limited")  # fmt: skip
    if status >= 500:
        return UnavailableError(f"Langfuse failed with {status}: try again.",
                                code="langfuse_unavailable")  # fmt: skip
    return ConfigurationError(
        f"Langfuse refused {path} with {status}: check RAG_LANGFUSE_PUBLIC_KEY and "
        "RAG_LANGFUSE_SECRET_KEY.",
        code="langfuse_refused",
    )


@contextmanager
def open_langfuse(settings: Settings) -> Iterator[Langfuse]:
    """The project that the settings name. Raises ConfigurationError (`langfuse_not_configured`)."""
    import httpx

    secret = settings.langfuse_secret_key
    if not (settings.langfuse_host and settings.langfuse_public_key and secret):
        raise ConfigurationError(
            "Langfuse is not configured: set RAG_LANGFUSE_HOST, RAG_LANGFUSE_PUBLIC_KEY and "
            "RAG_LANGFUSE_SECRET_KEY.",
            code="langfuse_not_configured",
        )
    auth = (settings.langfuse_public_key, secret.get_secret_value())
    with httpx.Client(base_url=settings.langfuse_host, auth=auth, timeout=_TIMEOUT_S) as client:
        yield Langfuse(client)


def _item(row: dict[str, Any]) -> Item:
    asked, expected = row.get("input"), row.get("expectedOutput")
    metadata = row.get("metadata") or {}
    answer = expected.get("answer") if isinstance(expected, dict) else expected
    return Item(
        key=str(metadata.get("key") or row["id"]),
        question=str(asked.get("question") if isinstance(asked, dict) else asked),
        answer=str(answer) if answer else None,
        topic=metadata.get("topic"),
        relevant=tuple(Relevant(**each) for each in metadata.get("relevant") or ()),
    )


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "\n".join(parts)))
