"""The settings of the watch: freshness, drift, reindex requests and alerts."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from rag.alert_route import AlertRoute


class WatchSettings(BaseSettings):
    """What of the platform's settings says when to worry, whom to tell and when to act."""

    watch_interval_s: PositiveInt = Field(
        30,
        description="Seconds between two looks of the sensors for freshness, requested runs and "
        "alerts.",
    )
    freshness_warn_s: PositiveFloat = Field(
        7_200.0,
        description="Seconds a change may wait for search, or a source for a look, before the "
        "check `freshness` warns; `rag schedule objective` sets it for one collection.",
    )
    freshness_fail_s: PositiveFloat = Field(
        21_600.0, description="Seconds after which the check `freshness` is an ERROR."
    )
    drift_window_s: PositiveFloat = Field(
        7 * 86_400.0, description="How far back documents and questions count as recent."
    )
    drift_min_sample: PositiveInt = Field(
        50, description="Fewest documents or questions on either side that drift is judged by."
    )
    reindex_cool_down_s: PositiveFloat = Field(
        3_600.0,
        description="Seconds after a run was requested before the same cause requests another; "
        "doubled each time, at most a day.",
    )
    reindex_embeddings_per_day: NonNegativeInt = Field(
        0,
        description="Embeddings of a collection in 24 hours after which no check, schedule or new "
        "configuration requests a run of it; 0 is no limit.",
    )
    alert_routes: dict[str, AlertRoute] = Field(
        {},
        description="Whom to tell of what, by name: JSON in the environment, a table in the file "
        "(docs/alerts.md).",
    )
    alert_smtp_url: SecretStr | None = Field(
        None,
        description="Mail server of e-mail routes, as smtp://user:password@host:587 (STARTTLS "
        "with a password) or smtps://user:password@host.",
    )
    alert_mail_from: str = Field("rag@localhost", description="Sender of alert mails.")
    alert_timeout_s: PositiveFloat = Field(10.0, description="Seconds one delivery may take.")
    alert_cool_down_s: PositiveFloat = Field(
        900.0,
        description="Seconds after a recovery within which a relapse is the same incident and is "
        "not told; later it is told when it still lasts.",
    )
    alert_repeat_s: PositiveFloat = Field(
        86_400.0, description="Seconds after which an incident that is seen anew is told again."
    )
    alert_stuck_run_s: PositiveFloat = Field(
        7_200.0, description="Seconds after which a run that is queued or running counts as stuck."
    )
    alert_dead_letters: PositiveInt = Field(
        20, description="New dead letters of a collection within an hour that raise an alert."
    )
