"""Telemetry: spans and metrics on the OpenTelemetry API."""
