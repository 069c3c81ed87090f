"""Telemetry: spans and metrics on the OpenTelemetry API."""

from __future__ import annotations

from durable.telemetry.telemetry import Telemetry

__all__ = ["Telemetry"]
