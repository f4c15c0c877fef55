"""A rate: so many a minute, with a burst of ten seconds' worth. The clock is the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class TokenBucket:
    """Tokens that come back by time."""

    per_minute: int
    tokens: float = field(init=False)
    looked_at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = max(1.0, self.per_minute / 6)

    def take(self, now: float) -> float:
        """Take a token; returns the seconds to wait when there is none."""
        full = max(1.0, self.per_minute / 6)
        self.tokens = min(full, self.tokens + (now - self.looked_at) * self.per_minute / 60)
        self.looked_at = now
        if self.tokens < 1:
            return (1 - self.tokens) * 60 / self.per_minute
        self.tokens -= 1
        return 0.0
