"""Mail as a document: subject, people, date, body, and the names of what is attached."""

from __future__ import annotations

import email
import email.errors
import email.policy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime

from rag.parse.attachments import Part
from rag.parse.pieces import Content, Piece, heading, paragraph
from rag.parse.plaintext import convert_text, decode

HtmlConverter = Callable[[bytes], Content]
_PEOPLE = ("From", "To", "Cc")
_Found = tuple[list[Piece], list[Message]]  # what is shown, and the parts that are not
_LINKS = {"Message-ID": "message_id", "In-Reply-To": "in_reply_to", "To": "to", "Cc": "cc"}
_BROKEN = (LookupError, ValueError, UnicodeError, email.errors.MessageError)
_MAX_DEPTH = 5
_SIGNATURES = frozenset({
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
})  # fmt: skip


def convert_eml(data: bytes, html: HtmlConverter) -> Content:
    """The mail in `data`; broken headers and parts are read as far as they go."""
    message = _parsed(data)
    subject = _header(message, "Subject")
    pieces = [heading(subject, 1)] if subject else []
    pieces += [paragraph(line) for line in _envelope(message)]
    body, attached = _body(message, html, 0)
    pieces += body
    names = [_file_name(part) or part.get_content_type() for part in attached]
    if names:
        pieces.append(paragraph("Attachments: " + ", ".join(names)))
    return Content(
        tuple(pieces),
        title=subject or None,
        author=_header(message, "From") or None,
        created_at=_date(message),
        parser="mail",
        metadata=_metadata(message, names),
    )


def mail_parts(data: bytes, *, is_msg: bool) -> Iterator[Part]:
    """The files attached to a mail and to the mails it forwards; pictures shown within the text and
    signatures are none."""
    message = _rfc822(data) if is_msg else data
    _, attached = _body(_parsed(message), lambda _: Content(()), 0)
    for part in attached:
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and content:
            yield Part(_file_name(part), part.get_content_type(), content)


def convert_msg(data: bytes, html: HtmlConverter) -> Content:
    """An Outlook message, by way of the standard form."""
    return convert_eml(_rfc822(data), html)


def _rfc822(data: bytes) -> bytes:
    from docling.backend.email_backend import EmailDocumentBackend

    return bytes(EmailDocumentBackend._msg_to_rfc822_bytes(data))


def _parsed(data: bytes) -> Message:
    return email.message_from_bytes(data, policy=email.policy.compat32)


def _metadata(message: Message, attached: list[str]) -> dict[str, str]:
    """What links a mail to others: its id, the one it answers, its people and attachments."""
    found = {ours: _header(message, name)[:1000] for name, ours in _LINKS.items()}
    if attached:
        found["attachments"] = str(len(attached))
        found["attachment_names"] = json.dumps(attached[:200], ensure_ascii=False)
    return {name: value for name, value in found.items() if value}


def _envelope(message: Message) -> Iterator[str]:
    for name in _PEOPLE:
        value = _header(message, name)
        if value:
            yield f"{name}: {value}"
    date = _header(message, "Date")
    if date:
        yield f"Date: {date}"


def _is_furniture(message: Message, kind: str) -> bool:
    """A signature, or a picture that the text shows in its midst (a logo, as a rule): nobody
    attached it."""
    is_shown = "Content-ID" in message and message.get_content_disposition() != "attachment"
    return kind in _SIGNATURES or (is_shown and kind.startswith("image/"))


def _body(message: Message, html: HtmlConverter, depth: int) -> _Found:
    """The pieces of a part and the attached parts below it."""
    name = _file_name(message)
    kind = message.get_content_type()
    if kind == "message/rfc822" and depth < _MAX_DEPTH:
        return _forwarded(message, html, depth)
    if message.is_multipart():
        return _multipart(message, html, depth)
    if _is_furniture(message, kind):
        return [], []
    disposition = message.get_content_disposition()
    if disposition == "attachment" or (name and not kind.startswith("text/")):
        return [], [message]
    if kind == "text/html":
        return list(html(_text(message).encode("utf-8")).pieces), []
    if kind.startswith("text/") or kind == "message/delivery-status":
        return list(convert_text(_text(message).encode("utf-8")).pieces), []
    return [], [message]


def _multipart(message: Message, html: HtmlConverter, depth: int) -> _Found:
    parts = [part for part in message.get_payload() if isinstance(part, Message)]
    if message.get_content_type() == "multipart/alternative":
        parts = _preferred(parts)
    pieces: list[Piece] = []
    found_parts: list[Message] = []
    if depth < _MAX_DEPTH * 2:
        for part in parts:
            found, attached = _body(part, html, depth + 1)
            pieces += found
            found_parts += attached
    return pieces, found_parts


def _preferred(parts: list[Message]) -> list[Message]:
    """The plain text where it says anything, else the other forms."""
    plain = [p for p in parts if p.get_content_type() == "text/plain" and _text(p).strip()]
    rich = [p for p in parts if p.get_content_type() != "text/plain"]
    attached = [p for p in rich if p.get_content_disposition() == "attachment"]
    return [plain[0], *attached] if plain else rich[-1:]


def _forwarded(message: Message, html: HtmlConverter, depth: int) -> _Found:
    pieces: list[Piece] = []
    found_parts: list[Message] = []
    payload = message.get_payload()
    for inner in payload if isinstance(payload, list) else []:
        if isinstance(inner, Message):
            subject = _header(inner, "Subject")
            pieces.append(heading(subject or "Forwarded message", 2))
            pieces += [paragraph(line) for line in _envelope(inner)]
            found, attached = _body(inner, html, depth + 1)
            pieces += found
            found_parts += attached
    return pieces, found_parts


def _text(part: Message) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return str(part.get_payload() or "")
    charset = part.get_content_charset()
    if charset:
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError, ValueError):
            return decode(data)
    return decode(data)


def _header(message: Message, name: str) -> str:
    value = message.get(name)
    if value is None:
        return ""
    raw = str(value) if isinstance(value, str) else _raw_header(value)
    if not raw.isascii() or "\udc80" <= max(raw, default="") <= "\udcff":
        raw = decode(raw.encode("utf-8", "surrogateescape"))
    with suppress(*_BROKEN):  # a broken word is shown as it stands
        raw = str(make_header(decode_header(raw)))
    return " ".join(raw.split())


def _raw_header(value: object) -> str:
    chunks = getattr(value, "_chunks", [])
    return "".join(str(chunk[0]) for chunk in chunks)


def _file_name(message: Message) -> str:
    try:
        name = message.get_filename()
    except (LookupError, ValueError, UnicodeError, TypeError):
        return ""
    if not name:
        return ""
    try:
        return " ".join(str(make_header(decode_header(name))).split())
    except _BROKEN:
        return " ".join(name.split())


def _date(message: Message) -> str | None:
    try:
        date: datetime | None = parsedate_to_datetime(_header(message, "Date"))
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date.isoformat() if date else None
