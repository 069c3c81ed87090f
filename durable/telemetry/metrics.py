"""Create the instruments: what is counted and measured, over all executions of this process. Durations are seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter

_STEPS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800)
_COMMITS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_WAITS = (1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)
_MODELS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304)


class Instruments:
    """All instruments of one meter."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, says: str, buckets: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(name, "s", says, explicit_bucket_boundaries_advisory=buckets)

        self.step = seconds(names.STEP_DURATION, "A step, from its call to its outcome; no replays", _STEPS)
        self.commit = seconds(names.COMMIT_DURATION, "One commit of the journal, whoever shares it", _COMMITS)
        self.approval = seconds(names.APPROVAL_WAIT, "From a question to the decision on it", _WAITS)
        self.model = seconds(names.MODEL_DURATION, "One call of a model", _MODELS)
        self.tokens = meter.create_histogram(
            names.MODEL_TOKENS, "{token}", "Tokens of one call", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self.executions = meter.create_counter(names.EXECUTIONS, "{execution}", "Executions let go or ended, by status")
        self.leases_lost = meter.create_counter(names.LEASE_LOST, "{lease}", "Leases another worker took over")
        self.recoveries = meter.create_counter(names.RECOVERIES, "{execution}", "Executions continued after a crash")
        self.in_doubt = meter.create_counter(names.IN_DOUBT, "{step}", "Steps whose outcome a person has to settle")
