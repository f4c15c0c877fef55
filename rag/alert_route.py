"""A route of alerts: which incidents go where, and when they are kept back. Pure."""

from __future__ import annotations

from datetime import datetime, time
from fnmatch import fnmatchcase
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator, model_validator

Severity = Literal["warn", "error"]
Kind = Literal["check", "freshness", "drift", "breaker", "run", "stuck_run", "dead_letters"]
Channel = Literal["webhook", "slack", "alertmanager", "email"]


class AlertRoute(BaseModel):
    """Where one set of incidents is told. What is not said matches everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Channel
    url: SecretStr | None = None
    to: tuple[str, ...] = ()
    min_severity: Severity = "warn"
    collections: tuple[str, ...] = ("*",)
    kinds: tuple[Kind, ...] = ()
    quiet_from: time | None = None
    quiet_until: time | None = None
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"there is no time zone {value}")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> AlertRoute:
        if self.channel == "email":
            if not self.to or any("\n" in name or "@" not in name for name in self.to):
                raise ValueError("an e-mail route needs addresses in `to`")
        elif self.url is None or not self.url.get_secret_value().startswith(
            ("http://", "https://")
        ):
            raise ValueError(f"a {self.channel} route needs an http(s) address in `url`")
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("give both quiet_from and quiet_until, or none")
        return self

    def takes(self, kind: str, severity: str, collection: str | None) -> bool:
        """Whether incidents of this kind, severity and collection go here. One that concerns no
        collection goes to every route that is not limited to some."""
        return (
            (not self.kinds or kind in self.kinds)
            and (severity == "error" or self.min_severity == "warn")
            and any(fnmatchcase(collection or "", pattern) for pattern in self.collections)
        )

    def is_quiet(self, now: datetime) -> bool:
        """Whether notices are kept back at this moment."""
        if self.quiet_from is None or self.quiet_until is None:
            return False
        local = now.astimezone(ZoneInfo(self.time_zone)).time()
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= local < self.quiet_until
        return local >= self.quiet_from or local < self.quiet_until
