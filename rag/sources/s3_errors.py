"""What the object store's errors mean to us: one place, so that listing and fetching agree."""

from __future__ import annotations

from typing import Any

from rag.errors import ConfigurationError, PolicyError, RagError, TransientError, UnavailableError

_CREDENTIALS = {
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "401",
    "403",
    "Forbidden",
}
_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect", "301", "IllegalLocationConstraint"}
_NO_BUCKET = {"NoSuchBucket", "404"}
_GONE = {"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405"}
_CHANGED = {"PreconditionFailed", "412"}
_NOT_OFFERED = {"NotImplemented", "MethodNotAllowed", "501", "405", "AccessDenied", "403"}


def listing_error(error: Exception, bucket: str) -> RagError:
    """The error of a listing that gave nothing: configuration where a person must act."""
    code = error_code(error)
    if code in _NO_BUCKET:
        return ConfigurationError(
            f"Bucket '{bucket}' does not exist: create it, or correct the source's address.",
            code="bucket_not_found",
        )
    if code in _CREDENTIALS or _lacks_credentials(error):
        return ConfigurationError(
            f"The object store refused to list bucket '{bucket}' ({_short(error)}): check "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may list this bucket.",
            code="s3_credentials",
        )
    if code in _REGION:
        return ConfigurationError(
            f"Bucket '{bucket}' is in another region ({_short(error)}): set RAG_S3_REGION to it.",
            code="s3_region",
        )
    return _unreachable(error)


def fetching_error(error: Exception, uri: str) -> RagError:
    """The error of a fetch. What a new listing may settle, or a person for all documents at once,
    is transient: no document is given up for it."""
    code = error_code(error)
    if code in _GONE:
        return TransientError(
            f"'{uri}' is gone since it was listed: the next complete listing settles it.",
            code="object_gone",
        )
    if code in _CHANGED:
        return object_changed(uri)
    if code == "InvalidObjectState":
        return PolicyError(
            f"'{uri}' is in an archive storage class: restore it, then run `rag retry`.",
            code="object_archived",
        )
    if code in _CREDENTIALS or _lacks_credentials(error):
        return UnavailableError(
            f"The object store refused to give '{uri}' ({_short(error)}): check the AWS "
            "credentials, and that they may read objects (and decrypt them).",
            code="s3_credentials",
        )
    return _broken_transfer(error, uri) or _unreachable(error)


def object_changed(uri: str) -> TransientError:
    """The object is no longer the one listed."""
    return TransientError(
        f"'{uri}' changed since it was listed: the next look takes the new one.",
        code="object_changed",
    )


def object_truncated(uri: str, seen: int, wanted: int) -> TransientError:
    """Too few or too many bytes came."""
    return TransientError(
        f"'{uri}' gave {seen:,} of {wanted:,} bytes: it is fetched again later.",
        code="object_truncated",
        seen=seen,
        wanted=wanted,
    )


def object_corrupt(uri: str) -> TransientError:
    """The bytes are not those the store's checksum is of."""
    return TransientError(
        f"'{uri}' differs from the store's checksum as it came: it is fetched again later.",
        code="object_corrupt",
    )


def too_slow(uri: str, seconds: float) -> UnavailableError:
    """The transfer did not stall, but it would take for ever."""
    return UnavailableError(
        f"'{uri}' was not read within {seconds:.0f} s: check the network to the object store.",
        code="s3_unreachable",
    )


def is_not_offered(error: Exception) -> bool:
    """Whether the store lacks a call, or forbids it to us, and we can do without."""
    return error_code(error) in _NOT_OFFERED


def error_code(error: Exception) -> str:
    """The store's error code, its HTTP status where it named none, or nothing."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    return str(code or response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))


def _lacks_credentials(error: Exception) -> bool:
    from botocore import exceptions

    return isinstance(
        error,
        exceptions.NoCredentialsError
        | exceptions.PartialCredentialsError
        | exceptions.CredentialRetrievalError
        | exceptions.ProfileNotFound,
    )


def _broken_transfer(error: Exception, uri: str) -> TransientError | None:
    from botocore import exceptions

    if isinstance(error, exceptions.FlexibleChecksumError):
        return object_corrupt(uri)
    if isinstance(error, exceptions.IncompleteReadError):
        facts = error.kwargs
        return object_truncated(uri, int(facts["actual_bytes"]), int(facts["expected_bytes"]))
    if isinstance(error, exceptions.ResponseStreamingError):
        return TransientError(
            f"'{uri}' was cut short while it was read: it is fetched again later.",
            code="object_truncated",
        )
    return None


def _unreachable(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"The object store does not answer as it should ({_short(error)}): check "
        "RAG_S3_ENDPOINT_URL, the network and the store; nothing is lost.",
        code="s3_unreachable",
    )


def _short(error: Exception) -> str:
    """Code or class and the first line, at most 200 characters; some stores send no message."""
    code = error_code(error)
    if code:
        return code
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
