"""``make mutations``: take one guard away at a time, and see that the row that needs it turns red.

Each mutation is a replacement of text that stands in the file exactly once, made in a copy of the tree. What
stays green has a second guard, or no test.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SHARED = (".venv", ".cache")
_TESTS_FAILED, _TIMEOUT_S = 1, 420


@dataclass(frozen=True)
class Edit:
    """One replacement."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutation:
    """A guard that is taken away, and the tests of which each must notice."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


_WORKERS, _BROKER = "tests/faults/test_workers.py::test_f", "tests/faults/test_broker.py::test_"
_HOSTILE, _LOG = (
    "tests/faults/test_hostile_events.py::test_f",
    "tests/faults/test_log_identity.py::test_f25_a_log_",
)
F1 = _WORKERS + "1_a_killed_worker_loses_nothing_and_doubles_nothing"
PAUSE = "tests/faults/test_workers.py::test_a_worker_paused_beyond_its_session_spoils_nothing"
ACK = _BROKER + "a_worker_killed_while_mongodb_does_not_acknowledge_archives_all"
F12 = _HOSTILE + "12_malformed_events_become_dead_letters_and_stop_nobody"
F14 = _HOSTILE + "14_events_sent_again_hours_later_have_effect_once"
F15 = _HOSTILE + "15_events_out_of_order_are_exact_within_64_and_counted_beyond"
F21 = "tests/faults/test_models.py"
F25 = _LOG + "made_anew_is_never_taken_for_the_old_one"
F25_COUNT = _LOG + "with_more_partitions_is_refused"
DELIVERY = "tests/agents/test_partitions.py"
ARCHIVE_KILL = (
    "tests/agents/test_archive.py::test_a_mongod_that_is_killed_amid_writing_has_what_it_acknowledged"
)
_KILLED = "tests/faults/test_training_killed.py::test_f"
F10 = _KILLED + "10_a_training_killed_at_any_stage_leaves_a_complete_model_in_service"
F22 = "tests/training/test_hostile_snapshots.py"

# the second guard of the archive: what it was not waited for comes from the log
HOLES_STAY = Edit("agents/archive.py", "if batch.first > complete:", "if False:")

MUTATIONS = (
    Mutation(
        "a chunk is done before its effects are acknowledged",
        (
            Edit(
                "agents/delivery.py",
                "            try:\n                for acknowledgement in",
                "            mark_done()\n            try:\n                for acknowledgement in",
            ),
            HOLES_STAY,
        ),
        (ACK,),
    ),
    Mutation(
        "the archive is not waited for",
        (
            Edit(
                "agents/effects.py",
                "            self._delivery.expect(\n                self._archive.submit(",
                "            id(\n                self._archive.submit(",
            ),
            HOLES_STAY,
        ),
        (ACK,),
    ),
    Mutation(
        "MongoDB need not have it on its disk",
        (
            Edit("connections/documents.py", 'w="majority",', "w=1,"),
            Edit("connections/documents.py", 'WriteConcern("majority")', "WriteConcern(1)"),
        ),
        (ARCHIVE_KILL,),
    ),
    Mutation(
        "the position is not checked",
        (
            Edit("recommender/partition.py", "if offset != self.position:", "if False:"),
            Edit("agents/partitions.py", "if state is None or state.position != first:", "if state is None:"),
        ),
        (DELIVERY,),
    ),
    Mutation(
        "no session windows",
        (
            Edit(
                "recommender/partition.py",
                "outcome = note(history, event.session, event.seq, event.client_time_ms)",
                "outcome = Outcome.APPLIED",
            ),
        ),
        (F14,),
    ),
    Mutation(
        "too late counts as new",
        (
            Edit(
                "recommender/windows.py",
                "    elif behind >= SEEN:\n        return _LATE",
                "    elif behind >= SEEN:\n        return _APPLIED",
            ),
        ),
        (F15,),
    ),
    Mutation(
        "restored from the part alone",
        (
            Edit(
                "agents/restore.py",
                "        async for records in self.records(partition, cut, offset):",
                "        state.position = offset\n"
                "        async for records in self.records(partition, cut, cut):",
            ),
        ),
        (F1,),
    ),
    Mutation(
        "the manifest does not wait for the parts",
        (
            Edit(
                "connections/snapshot_store.py",
                "        if not all(map(self._exists, paths)):\n            return None",
                "        paths = [path for path in paths if self._exists(path)]",
            ),
        ),
        (PAUSE,),
    ),
    Mutation(
        "the log's generation is not checked",
        (
            Edit("connections/event_log.py", "        if found != generation:", "        if False:"),
            Edit("agents/effects.py", "if state.generation != self._generation:", "if False:"),
        ),
        (F25,),
    ),
    Mutation(
        "the number of partitions is not checked",
        (Edit("connections/event_log.py", "if partitions != PLAYS.partitions:", "if False:"),),
        (F25_COUNT,),
    ),
    Mutation(
        "a bad record is raised into the worker",
        (
            Edit(
                "recommender/partition.py",
                "            return Folded(offset, Outcome.DEAD, None, None, str(error))",
                "            raise",
            ),
        ),
        (F12,),
    ),
    Mutation(
        "a model is not compared with its digest",
        (
            Edit(
                "connections/model_store.py",
                '    model_id = document["_id"]\n    if model_digest(arrays, document) != model_id:',
                '    model_id = document["_id"]\n    if False:',
            ),
        ),
        (F21,),
    ),
    Mutation(
        "the pointer moves before the model is written",
        (
            Edit(
                "training/publication.py",
                '    await save_model(database, document | {"seq": seq}, arrays)\n'
                "    return await _point_to(settings, database, document, seq, (PUBLISHED, reason), asked)\n",
                "    pointer = await _point_to("
                "settings, database, document, seq, (PUBLISHED, reason), asked)\n"
                '    await save_model(database, document | {"seq": seq}, arrays)\n'
                "    return pointer\n",
            ),
            Edit(
                "connections/model_store.py",
                '    if document is None or document["state"] != "published":\n'
                '        raise InvalidModel(f"model {model_id} is not published: the pointer stays")',
                "    if False:\n"
                '        raise InvalidModel(f"model {model_id} is not published: the pointer stays")',
            ),
        ),
        (F10,),
    ),
    Mutation(
        "a part is not compared with its digest",
        (Edit("training/parts.py", "    if found != header.digest:", "    if False:"),),
        (F22,),
    ),
    Mutation(
        "a list that is older replaces a newer one",
        (Edit("agents/outbox.py", "if waiting is None or waiting[0] <= offset:", "if True:"),),
        ("tests/agents/test_outbox.py",),
    ),
    Mutation(
        "the end of a ranking process is not noticed",
        (
            Edit("agents/app.py", "                    self.ranker,\n", ""),
            Edit("agents/lists.py", "            self._on_failure(error)\n", "            id(error)\n"),
        ),
        ("tests/faults/test_ranking_killed.py",),
    ),
    Mutation(
        "a list is sent as soon as it is ranked",
        (Edit("agents/lists.py", "await asyncio.wait({before})", "await asyncio.sleep(0)"),),
        ("tests/agents/test_list_order.py", "tests/agents/test_lists.py"),
    ),
    Mutation(
        "what was refused is ranked again after the others",
        (Edit("agents/lists.py", "await self._make_again(batch)", "self._due.extend(batch)"),),
        ("tests/agents/test_list_order.py",),
    ),
    Mutation(
        "two agents at a time",
        (Edit("agents/app.py", "concurrency=1)", "concurrency=2)"),),
        (ACK,),
    ),
)


def copy_tree(to: Path) -> None:
    """Copy what git knows or would take up; share what is installed."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)
    for name in _SHARED:
        (to / name).symlink_to(ROOT / name)


def apply(mutation: Mutation, tree: Path) -> None:
    """Make the replacements; each text stands in its file exactly once."""
    for edit in mutation.edits:
        path = tree / edit.file
        text = path.read_text()
        count = text.count(edit.old)
        assert count == 1, (
            f"{mutation.name}: {edit.file} holds the text {count} times, not once: {edit.old!r}"
        )
        path.write_text(text.replace(edit.old, edit.new))


def run(tests: Sequence[str], tree: Path) -> tuple[str, str]:
    """Return (green, red or broken; the last line that pytest said) of tests in a tree."""
    environment = {name: value for name, value in os.environ.items() if name != "SEGUE_FAULT_ROUNDS"}
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--no-header",
        "--show-capture=no",
        "--tb=line",
        *tests,
    )
    try:
        ran = subprocess.run(
            command,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "red", f"not done after {_TIMEOUT_S} s"
    lines = ran.stdout.strip().splitlines() or ["said nothing"]
    errors = [line for line in lines if line.startswith(("E  ", "/")) and "Error" in line]
    verdict = {0: "green", _TESTS_FAILED: "red"}.get(ran.returncode, "broken")
    return verdict, (errors[0] if verdict == "red" and errors else lines[-1])[:160]


def main() -> int:
    """Run the mutations whose names hold one of the given words, by default all; 1 if one is not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="parts of the names of mutations")
    words = parser.parse_args().words
    chosen = [one for one in MUTATIONS if not words or any(word in one.name for word in words)]
    unnoticed = 0
    tests = sorted({test for one in chosen for test in one.tests})
    for mutation in (Mutation("nothing is taken away", (), tuple(tests)), *chosen):
        with tempfile.TemporaryDirectory(prefix="segue-mutation-") as folder:
            copy_tree(Path(folder))
            apply(mutation, Path(folder))
            expected = "red" if mutation.edits else "green"
            for test in mutation.tests if mutation.edits else [" ".join(tests)]:
                began = time.monotonic()
                verdict, said = run(test.split(), Path(folder))
                unnoticed += verdict != expected
                mark = "" if verdict == expected else f"  <-- {expected} was expected"
                print(
                    f"{verdict:<7}{time.monotonic() - began:5.0f} s  {mutation.name}: {said}{mark}",
                    flush=True,
                )
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
