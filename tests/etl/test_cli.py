"""The command line as a user meets it: one sentence and exit code 1 when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from etl import cli
from schemas.settings import Settings


def etl(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m etl` as a process of its own."""
    environment = os.environ | {
        "SEGUE_DATA_DIR": str(settings.data_dir),
        "SEGUE_KAFKA_PORT": str(settings.kafka_port),
        "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
        "SEGUE_TOPIC_PREFIX": settings.topic_prefix,
        "SEGUE_MONGODB_DATABASE": settings.mongodb_database,
    }
    return subprocess.run(
        [sys.executable, "-m", "etl", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_run_and_status_print_one_json_object(
    settings: Settings, tmp_path: Path, write_metadata, write_tone, row
) -> None:
    write_tone(tmp_path / "clips" / "000" / "000001.mp3", length_s=30.0)
    (tmp_path / "clips" / "000002.mp3").write_bytes(b"<html>gone</html>")
    metadata = write_metadata([row("1"), row("2"), row("x")])
    ran = etl(settings, "run", "--metadata", str(metadata), "--audio", str(tmp_path / "clips"), "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["tracks"], report["extracted"]) == (2, 1)
    assert report["rejected_files"] == {"undecodable": 1}
    assert report["rejected_rows"] == {"no track id": 1}
    status = json.loads(etl(settings, "status", "--json").stdout)
    refit = json.loads(etl(settings, "refit", "--json").stdout)
    assert (refit["features"], refit["revision"], refit["new"]) == (1, 1, False)
    assert (status["tracks"], status["audio"], status["features"], status["rejected"]) == (2, 1, 1, 2)


def test_strict_loads_what_is_good_and_then_exits_1(settings: Settings, write_metadata, row) -> None:
    bad, good = write_metadata([row("1"), row("x")]), write_metadata([row("1"), row("2")], name="good")
    ran = etl(settings, "run", "--metadata", str(bad), "--strict", "--json")
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["tracks"] == 1
    assert ran.stderr == "error: --strict: 1 x row (no track id: 1) refused; all else is loaded\n"
    assert etl(settings, "run", "--metadata", str(bad)).returncode == 0
    strict = etl(settings, "run", "--metadata", str(good), "--strict")
    assert (strict.returncode, strict.stderr) == (0, "")
    assert "Quality of the tables" in strict.stdout


def test_without_metadata_the_unpacked_archive_is_taken(settings: Settings, write_metadata, row) -> None:
    ran = etl(settings, "run")
    folder = settings.data_dir / "fma" / "fma_metadata"
    assert (ran.returncode, ran.stderr) == (
        1,
        f"error: {folder} does not exist: `segue data get metadata` gets FMA's tables\n",
    )
    folder.parent.mkdir(parents=True)
    write_metadata([row("1")]).rename(folder)
    assert json.loads(etl(settings, "run", "--json").stdout)["tracks"] == 1


def test_a_missing_column_is_one_sentence_and_exit_1(settings: Settings, write_metadata, row) -> None:
    metadata = write_metadata([row("1")], without=("track", "title"))
    ran = etl(settings, "run", "--metadata", str(metadata))
    assert ran.returncode == 1
    assert ran.stderr == f"error: column (track, title) is missing in {metadata / 'tracks.csv'}\n"
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "hetrec", "{}"], "error: {}/artists.dat is missing: "),
        (["run", "--metadata", "{}"], "error: {} holds neither tracks.csv nor tracks.csv.gz"),
        (["run", "--metadata", "{}/none"], "error: {}/none does not exist"),
        (["status"], "error: MongoDB did not answer while "),
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("MPLCONFIGDIR", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setenv("SEGUE_MONGODB_URL", "mongodb://127.0.0.1:1/?replicaSet=segue")
    monkeypatch.setattr(sys, "argv", ["etl", *(each.format(tmp_path) for each in arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(sentence.format(tmp_path))


def test_clips_only_without_audio_is_wrong_usage(settings: Settings, tmp_path: Path) -> None:
    ran = etl(settings, "run", "--metadata", str(tmp_path), "--clips-only")
    assert ran.returncode == 2
    assert "--clips-only needs --audio" in ran.stderr
