"""Metrics of a server, for Prometheus."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one server, or of one of its processes."""

    def __init__(self) -> None:
        # Processes that share a port write into one folder, which whoever is asked sums up.
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "glowtron_requests_total", "Requests answered.", ("endpoint", "status"), registry=self._registry
        )
        self.cancelled = Counter(
            "glowtron_requests_cancelled_total", "Speech that its client hung up on.", registry=self._registry
        )
        self.characters = Counter("glowtron_characters_total", "Characters spoken.", registry=self._registry)
        self.audio_s = Counter("glowtron_audio_seconds_total", "Seconds of sound made.", registry=self._registry)
        self.first_sound_s = Histogram(
            "glowtron_first_sound_seconds",
            "From a request to its first sound.",
            buckets=(0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8),
            registry=self._registry,
        )
        self.tasks = Gauge(
            "glowtron_requests_in_work", "Requests in work and waiting.", registry=self._registry,
            multiprocess_mode="livesum",
        )  # fmt: skip

    def text(self) -> bytes:
        """All counters in Prometheus's text format."""
        if not self._shared:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
