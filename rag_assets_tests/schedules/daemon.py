"""A daemon in the test's hands: ticks the sensors of the watch and runs what they request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from rag_assets_tests.assets.bench import Bench, fake_resources
from sensors.alerts import watch
from sensors.freshness import freshness_sensor
from sensors.reindex import reindex_sensor


@dataclass
class Daemon:
    """Keeps the cursors, and launches a run key once, as Dagster does."""

    bench: Bench
    cursors: dict[str, str | None] = field(default_factory=dict)
    run_keys: set[str] = field(default_factory=set)
    runs: list[tuple[str, str]] = field(default_factory=list)  # partition, reason

    def restart(self) -> None:
        """A daemon that died before it kept its cursors."""
        self.cursors.clear()

    def look(self) -> None:
        """The freshness sensor."""
        for request in self._tick(freshness_sensor(30)).run_requests or []:
            self.inspect(str(request.partition_key), request.asset_check_keys or ())

    def inspect(self, partition: str, checks: Sequence[dg.AssetCheckKey]) -> None:
        """A run of checks alone."""
        job = self.bench.definitions.get_repository_def().get_job("inspection")
        job.get_subset(
            asset_selection=frozenset(), asset_check_selection=set(checks)
        ).execute_in_process(instance=self.bench.instance, partition_key=partition)

    def alert(self) -> str:
        """The alert sensor, for events of this very moment, too."""
        return watch(self.bench.conn, self.bench.instance, settle_s=0.0)

    def request(self) -> dg.SensorResult:
        """The reindex sensor; what it requests is run."""
        result = self._tick(reindex_sensor(30))
        for request in result.run_requests or []:
            assert request.run_key is not None
            if request.run_key in self.run_keys:
                continue
            self.run_keys.add(request.run_key)
            self.runs.append((str(request.partition_key), request.tags["rag/reason"]))
            job = self.bench.definitions.get_repository_def().get_job(str(request.job_name))
            job.execute_in_process(
                instance=self.bench.instance,
                partition_key=request.partition_key,
                raise_on_error=False,
                tags=request.tags,
            )
        return result

    def round(self) -> None:
        """Every sensor once."""
        self.look()
        self.alert()
        self.request()
        self.alert()

    def _tick(self, sensor: dg.SensorDefinition) -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance=self.bench.instance,
            cursor=self.cursors.get(sensor.name),
            resources={"database": fake_resources(self.bench)["database"]},
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursors[sensor.name] = result.cursor
        return result
