"""The two samples that must fail: a damaged PDF and one that asks for a password."""

from __future__ import annotations

import io
import random

from pypdf import PdfReader, PdfWriter

PASSWORD = "gamsboden-1974"
_KEPT = 64
_LENGTH = 2400


def damaged(pdf: bytes) -> bytes:
    """The head of a PDF followed by noise, as a failing tape leaves it: no object survives."""
    noise = random.Random(1998).randbytes(_LENGTH - _KEPT)
    return pdf[:_KEPT] + noise


def protected(pdf: bytes) -> bytes:
    """The same PDF, encrypted with AES-256. The cipher uses fresh random numbers each time."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    writer.encrypt(user_password=PASSWORD, owner_password=PASSWORD + "-owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
