"""What the web tier counts; served on a loopback port of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from schemas.errors import MissingRequirement
from schemas.settings import Settings

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """Counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "segue_web_events_accepted", "Events acknowledged by the log", registry=self.registry
        )
        self.refused = Counter(
            "segue_web_events_refused",
            "Requests with events not accepted",
            ["reason"],
            registry=self.registry,
        )
        self.append_seconds = Histogram(
            "segue_web_append_seconds", "Append until acknowledged", buckets=_SECONDS, registry=self.registry
        )
        self.streams = Gauge("segue_web_streams", "Open live streams", registry=self.registry)
        self.lists_sent = Counter(
            "segue_web_lists_sent", "Lists sent over live streams", registry=self.registry
        )
        self.latency_seconds = Histogram(
            "segue_web_latency_seconds",
            "Event accepted until its list was sent",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.lists_held = Gauge(
            "segue_web_lists_held", "Users whose list is in memory", registry=self.registry
        )
        self.impressions_dropped = Counter(
            "segue_web_impressions_dropped", "Impressions not recorded", registry=self.registry
        )


def serve(metrics: Metrics, settings: Settings) -> None:
    """Serve the metrics on loopback until the process ends.

    Raises
    ------
    MissingRequirement
        The port is taken.
    """
    try:
        start_http_server(settings.web_metrics_port, addr="127.0.0.1", registry=metrics.registry)
    except OSError as error:
        raise MissingRequirement(
            f"port {settings.web_metrics_port} of the web metrics is taken: "
            f"set SEGUE_WEB_METRICS_PORT ({error})"
        ) from error
