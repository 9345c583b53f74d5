"""Every ``SEGUE_`` variable, once: name, unit, default. ``docs/settings.md`` is made from this file."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0)]


MAX_SEED = 2**63 - 1
"""Greatest seed that Java's generators take."""


class Settings(BaseSettings):
    """Configuration of every program, read from the environment (prefix ``SEGUE_``)."""

    model_config = SettingsConfigDict(env_prefix="SEGUE_", frozen=True)

    # one world
    data_dir: Path = Field(Path("data"), description="folder of one world: catalogue, log, models")
    # web
    web_host: str = Field("127.0.0.1", description="address on which the web port listens")
    web_port: Port = Field(8080, description="port of the web player and the API")
    web_metrics_port: Port = Field(18090, description="loopback port of the web metrics")
    secret_key: str | None = Field(
        None, description="key that signs sessions; by default made once and kept in the data folder"
    )
    secure_cookies: bool = Field(False, description="send cookies over HTTPS only (set it behind TLS)")
    streams_per_user: int = Field(4, ge=1, description="live streams one user may hold open")
    intake_timeout_s: Seconds = Field(
        4.0, description="seconds until an event that the log does not acknowledge is answered by 503"
    )
    # the log
    kafka_port: Port = Field(19092, description="port of the embedded Kafka broker")
    kafka_controller_port: Port = Field(19093, description="port of the embedded Kafka controller")
    kafka_bootstrap_servers: str | None = Field(
        None, description="address of an external Kafka; by default the embedded broker"
    )
    kafka_replication: int = Field(1, ge=1, description="replication factor of topics that are created")
    topic_prefix: str = Field("", description="put before every topic and group name")
    # documents
    mongodb_port: Port = Field(27117, description="port of the embedded mongod")
    mongodb_url: str | None = Field(
        None, description="address of an external MongoDB replica set; by default the embedded mongod"
    )
    mongodb_database: str = Field("segue", description="name of the database")
    mongod: Path | None = Field(None, description="mongod to start; by default PATH, then the wheel")
    # worker
    workers: int = Field(1, ge=1, le=12, description="worker processes that `segue up` starts")
    spare_worker: bool = Field(
        True, description="keep one more process loaded, which takes the place of a worker that dies"
    )
    ranking_processes: int = Field(
        2, ge=1, le=64, description="processes that rank for a worker; each has indexes of its own of a model"
    )
    worker_id: str = Field("worker-0", description="name of a worker's slot; two must never share one")
    worker_metrics_port: Port = Field(18100, description="loopback port of the first worker's metrics")
    session_timeout_s: Seconds = Field(
        10.0, description="seconds until Kafka gives a silent worker's partitions to another"
    )
    chunk_records: int = Field(1000, ge=1, description="most records in one chunk")
    list_length: int = Field(20, ge=1, le=100, description="tracks in a list")
    watchdog_s: Seconds = Field(
        60.0, description="seconds of standstill, though nothing is away, after which a worker ends itself"
    )
    charts_interval_s: Seconds = Field(10.0, description="seconds between two charts")
    # snapshots
    snapshot_uri: str | None = Field(
        None, description="where snapshots lie (any file system of pyarrow); by default in the data folder"
    )
    snapshot_interval_s: Seconds = Field(300.0, description="age in seconds at which a snapshot is renewed")
    snapshot_events: int = Field(
        5000, ge=1, description="new events after which a snapshot is made before its age"
    )
    snapshots_kept: int = Field(5, ge=2, description="complete snapshots that are kept, beside those in use")
    # training
    spark_master: str = Field(
        "local[2]", description="Spark master of the trainer and of `etl run --engine spark`"
    )
    spark_memory: str = Field(
        "1g", description="memory of the Spark driver, and of each executor on a cluster"
    )
    train_deadline_s: Seconds = Field(3600.0, description="seconds after which a training is ended")
    train_memory_bytes: int | None = Field(
        None,
        ge=100_000_000,
        description="memory above which a training is ended, its virtual machine and its workers included; "
        "by default three quarters of the machine's",
    )
    rank: int = Field(64, ge=2, le=512, description="number of factors of the ALS model")
    reg_param: float = Field(0.3, gt=0, description="regularisation of ALS, in Spark's weighting")
    alpha: float = Field(1.0, gt=0, description="confidence is 1 + alpha * |strength|")
    max_iter: int = Field(10, ge=1, le=15, description="ALS iterations")
    als_blocks: int = Field(
        2,
        ge=1,
        le=256,
        description="blocks of users and of tracks in ALS, so the cores that a fit uses; with more than two "
        "the last bits of a model depend on which of them is done first",
    )
    seed: int = Field(20_260_501, ge=0, le=MAX_SEED, description="seed of training and splits")
    train_interval_s: Seconds = Field(
        86_400.0, description="seconds after a training when any new event is reason enough for the next"
    )
    models_kept: int = Field(5, ge=2, description="published models that are kept")
    train_min_users: int = Field(5, ge=2, description="users with interactions that a training needs")
    lists_for_everybody: bool = Field(
        True, description="the trainer makes a list for every user after a model came into service"
    )
    lists_budget_s: Seconds = Field(
        900.0, description="seconds after which making everybody's lists pauses; the next run goes on"
    )
    # catalogues
    fma_url: str = Field(
        "https://os.unil.cloud.switch.ch/fma", description="where the archives of FMA are downloaded from"
    )
    # logs
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level logged")
    log_json: bool | None = Field(None, description="JSON log lines; by default outside a terminal")

    @property
    def kafka_address(self) -> str:
        """Bootstrap servers in use."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def mongodb_address(self) -> str:
        """MongoDB URL in use."""
        return self.mongodb_url or (f"mongodb://127.0.0.1:{self.mongodb_port}/?replicaSet=segue&w=majority")

    @property
    def snapshot_location(self) -> str:
        """URI of the snapshot storage in use."""
        return self.snapshot_uri or (self.data_dir.resolve() / "snapshots").as_uri()

    @property
    def spark_log(self) -> Path:
        """Where messages of Spark and its virtual machine go."""
        return self.data_dir.resolve() / "logs" / "spark.log"
