"""The queue that an object store sends its notifications to (SQS)."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from rag.errors import ConfigurationError, RagError, UnavailableError
from rag.sources.s3_errors import error_code

QueueClient: TypeAlias = Any  # boto3 makes its clients' classes at run time

LONGEST_WAIT_S = 20
_LOG = logging.getLogger(__name__)
_AWS_HOST = re.compile(r"(?:.*\.)?sqs\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?")
_MISSING = ("NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_REFUSED = (
    "AccessDenied", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch",
    "UnrecognizedClient", "ExpiredToken", "InvalidSecurity", "MissingAuthenticationToken",
)  # fmt: skip


class Message(NamedTuple):
    """One message; `receipt` is what deletes it, `receives` how often it was given out."""

    id: str
    body: str
    receipt: str
    receives: int


class QueueState(NamedTuple):
    """A queue as `rag doctor` shows it."""

    waiting: int
    has_dead_letters: bool


class NotificationQueue:
    """A queue as its consumer uses it: what is not deleted comes again, and at last moves to the
    dead-letter queue that its redrive policy names."""

    def __init__(self, url: str, client: QueueClient) -> None:
        self.url = url
        self._client = client

    def receive(self, wait_s: int) -> list[Message]:
        """Up to ten messages, waiting at most `wait_s` seconds for the first one.

        Raises ConfigurationError (`queue_not_found`, `queue_refused`) or UnavailableError
        (`queue_unreachable`)."""
        answer = self._call(
            "receive_message",
            MaxNumberOfMessages=10,
            WaitTimeSeconds=min(wait_s, LONGEST_WAIT_S),
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [_message(entry) for entry in answer.get("Messages", ())]

    def delete(self, messages: Sequence[Message]) -> None:
        """These are dealt with. One that can not be deleted comes again. Raises as `receive`."""
        entries = [
            {"Id": str(number), "ReceiptHandle": message.receipt}
            for number, message in enumerate(messages)
        ]
        if not entries:
            return
        answer = self._call("delete_message_batch", Entries=entries)
        for failure in answer.get("Failed", ()):
            _LOG.warning("message_not_deleted queue=%s code=%s", self.url, failure.get("Code"))

    def state(self) -> QueueState:
        """How full it is, and whether it has a dead-letter queue. Raises as `receive`."""
        answer = self._call("get_queue_attributes", AttributeNames=["All"])["Attributes"]
        waiting = int(answer.get("ApproximateNumberOfMessages", 0))
        return QueueState(waiting, bool(answer.get("RedrivePolicy")))

    def _call(self, name: str, **parameters: object) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            answer: dict[str, Any] = getattr(self._client, name)(QueueUrl=self.url, **parameters)
        except (BotoCoreError, ClientError, HTTPClientError) as error:
            raise _named(error, self.url) from error
        return answer


def open_queue(url: str, region: str) -> NotificationQueue:
    """The queue at `url`; nothing is contacted yet. Raises ConfigurationError (`bad_setting`)."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/"):
        raise ConfigurationError(
            "Setting sqs_queue_url (RAG_SQS_QUEUE_URL) is wrong: write the queue's URL, as "
            "https://sqs.eu-west-1.amazonaws.com/123456789012/name.",
            code="bad_setting",
        )
    aws = _AWS_HOST.fullmatch(parts.hostname)
    endpoint = None if aws else f"{parts.scheme}://{parts.netloc}"
    return NotificationQueue(url, _shared_client(endpoint, aws[1] if aws else region))


@lru_cache(maxsize=4)
def _shared_client(endpoint: str | None, region: str) -> QueueClient:
    """One client per process: making one takes half a second."""
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 2},
        connect_timeout=5,
        read_timeout=LONGEST_WAIT_S + 10,  # a long poll is silent for its whole wait
    )
    return Session().client("sqs", endpoint_url=endpoint, region_name=region, config=config)


def _message(entry: dict[str, Any]) -> Message:
    receives = entry.get("Attributes", {}).get("ApproximateReceiveCount", 1)
    return Message(entry["MessageId"], entry["Body"], entry["ReceiptHandle"], int(receives))


def _named(error: Exception, url: str) -> RagError:
    code = error_code(error) or type(error).__name__
    if any(part in code for part in _MISSING):
        return ConfigurationError(
            f"The queue {url} does not exist: create it, or correct RAG_SQS_QUEUE_URL.",
            code="queue_not_found",
        )
    if any(part in code for part in _REFUSED) or "Credentials" in code:
        return ConfigurationError(
            f"The queue {url} refused us ({code}): check the AWS variables, and that they allow "
            "sqs:ReceiveMessage and sqs:DeleteMessage.",
            code="queue_refused",
        )
    return UnavailableError(
        f"The queue {url} does not answer ({code}): check RAG_SQS_QUEUE_URL and the network; "
        "nothing is lost, messages wait.",
        code="queue_unreachable",
    )
