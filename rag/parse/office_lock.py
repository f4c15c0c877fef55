"""Office files under a password: opened with the collection's passwords. Runs in the child."""

from __future__ import annotations

from pathlib import Path

from rag.errors import ConfigurationError
from rag.parse.archives import corrupt


def unlocked(path: Path, passwords: tuple[str, ...]) -> Path:
    """The encrypted office file in `path` in the clear, as a new file beside it.

    Raises ConfigurationError (`password_required`, `password_wrong`) and PoisonError
    (`corrupt_file`)."""
    import msoffcrypto  # type: ignore[import-untyped]
    from msoffcrypto.exceptions import (  # type: ignore[import-untyped]
        DecryptionError,
        FileFormatError,
        InvalidKeyError,
        ParseError,
    )

    if not passwords:
        raise password_required("office file")
    target = path.with_name(f"{path.name}-plain")
    for password in passwords:
        try:
            with path.open("rb") as stream, target.open("wb") as out:
                file = msoffcrypto.OfficeFile(stream)
                file.load_key(password=password, verify_password=True)
                file.decrypt(out)
        except (InvalidKeyError, DecryptionError):
            continue  # the next one may open it
        except (FileFormatError, ParseError) as exc:
            raise corrupt("its encryption can not be read") from exc
        return target
    raise password_wrong("office file")


def password_required(what: str) -> ConfigurationError:
    """The error for an encrypted file of a collection without passwords."""
    return ConfigurationError(
        f"The {what} is encrypted: add its password to the setting document_passwords of its "
        "collection, then `rag retry`.",
        code="password_required",
    )


def password_wrong(what: str) -> ConfigurationError:
    """The error for an encrypted file that no password of its collection opens."""
    return ConfigurationError(
        f"No password of the collection opens the {what}: correct the setting "
        "document_passwords, then `rag retry`.",
        code="password_wrong",
    )
