"""
Resuming a run: which one, where, with which options, and what is done again.
"""

from __future__ import annotations

import dataclasses
import os
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from msgspec import structs

from experiments.declare.profiles import AGREEMENT_LOADS as LOADS_OF_REPETITION
from experiments.declare.workloads import choose_workload
from experiments.errors import HostError, ResultsError, UsageError
from experiments.host.comparable import (
    Circumstances,
    code_digest,
    differences,
    refuse_incomparable,
)
from experiments.host.resume import KILLED, closed, prepare, refuse_altered_overlays
from experiments.host.unfinished import set_aside_unfinished
from experiments.plan.draft import draft_manifest
from experiments.plan.options import given_options, measure_parser, results_of
from experiments.plan.order import orders_of
from experiments.plan.resumed import (
    FREE,
    PLANNED,
    altered_declarations,
    contradictions,
    refuse_contradictions,
)
from experiments.processes import Process
from experiments.records.failures import FAILURES_IN_A_ROW
from experiments.records.files import (
    ARTEFACT_TRIALS,
    ASIDE,
    PILOT_TRIALS,
    RAW,
    SEARCH_TRIALS,
    TRIALS,
)
from experiments.records.manifest import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    RATE_WANTED,
    ROUNDS_WANTED,
    RUNNING,
    Found,
    MachineRecord,
    Manifest,
    MemoryRecord,
    PilotPlan,
    Session,
    Source,
    UserlandRecord,
)
from experiments.records.raw import raw_folder
from experiments.records.sessions import outcome, run_to_resume
from experiments.records.store import (
    append_agreement,
    append_trial,
    read_agreement,
    read_manifest,
    read_trials,
    write_manifest,
)
from experiments.records.trials import STOPPED, AgreementLoad, TrialRecord
from experiments.run.stage import Stage, last_number
from tests.unit.samples import failed_trial, manifest, side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.declare.variants import Variant
    from experiments.run.conditions import Conditions

SESSION = Session(1.7e9, 5.0, owner="1:1", boot_id="a", finished_at=1.7e9 + 120, state=INTERRUPTED)
NAMES = ["netns", "docker"]


def planned(*arguments: str) -> Manifest:
    """
    The plan of a run with these options, on this host.
    """
    drafted = draft_manifest(measure_parser().parse_args(arguments), None)
    return dataclasses.replace(
        drafted, machine=MachineRecord("local"), userland=UserlandRecord(mirror="default")
    )


def contradicting(plan: Manifest, *arguments: str) -> list[str]:
    """
    What of these options contradicts a plan.
    """
    return list(contradictions(given_options(arguments), plan))


def test_only_what_the_user_gave_is_an_option_that_was_given() -> None:
    """
    Even if its value is the default.
    """
    assert given_options([]) == {}
    given = given_options(["--seed", "1", "--resume", "--same-length"])
    assert given == {"seed": 1, "resume": "", "same_length": True}


def test_every_option_is_part_of_the_plan_or_free() -> None:
    """
    Whoever adds one decides which.
    """
    known = set(vars(measure_parser().parse_args([])))
    assert known == FREE | PLANNED.keys() | {"variants", "variants_file"}


OPTIONS = [
    (["--profile", "quick"], ["--profile", "full"]),
    (["--blocks", "3"], ["--blocks", "4"]),
    (["--half-width", "2"], ["--half-width", "3"]),
    (["--margin", "3"], ["--margin", "2"]),
    (["--seed", "7"], ["--seed", "8"]),
    (["--machine", "local"], ["--machine", "vagrant"]),
    (["--workload", "fixed"], ["--workload", "orders"]),
    (["--requests", "100"], ["--requests", "101"]),
    (["--requests", "100", "--half-width", "2"], ["--requests", "101"]),
    (["--rounds", "3"], ["--rounds", "4"]),
    (["--agreement", "netns"], ["--agreement", "docker"]),
    (["--warmup-requests", "0"], ["--warmup-requests", "200"]),
    (["--open-loop", "--open-requests", "20"], ["--open-requests", "30"]),
    (["--open-loop", "--common-rate", "20"], ["--common-rate", "30"]),
    (["--concurrency", "5"], ["--concurrency", "6"]),
    (["--concurrency", "50", "--requests", "20"], ["--concurrency", "10"]),
    (["--same-length"], []),
    (["--allow-privileged"], []),
    (["--allow", "sysctls"], ["--allow", "user"]),
    (["--probes", "alternate"], ["--probes", "off"]),
    (["--variants", "netns,docker"], ["--variants", "netns"]),
    (["--mirror", "http://mirror.example"], ["--mirror", "http://other.example"]),
]


@pytest.mark.parametrize(("of_plan", "other"), OPTIONS)
def test_an_option_beside_resume_may_repeat_the_plan_and_not_contradict_it(
    of_plan: list[str], other: list[str]
) -> None:
    """
    A contradiction is named with both values.
    """
    plan = planned(*of_plan)
    if "--mirror" in of_plan:
        plan = dataclasses.replace(plan, userland=UserlandRecord(mirror=of_plan[1]))
    assert contradicting(plan, *of_plan, "--minutes", "9", "--resume") == []
    if other:
        (found,) = contradicting(plan, *other)
        assert found.startswith(f"{' '.join(other[:1])} ")
        assert ", where the run has " in found
        with pytest.raises(UsageError, match=f"as it was planned, so leave out .*{other[0]}"):
            refuse_contradictions(given_options(other), plan)


def test_what_a_pilot_decided_is_no_option_of_the_plan() -> None:
    """
    A number beside it would be another plan, even the same number.
    """
    plan = dataclasses.replace(planned("--half-width", "2"), rounds=9)
    assert contradicting(plan, "--rounds", "9") == ["--rounds 9, where the run has none"]
    assert contradicting(planned("--open-loop"), "--open-loop") == []
    assert contradicting(planned(), "--open-loop") == ["--open-loop True, where the run has False"]
    assert contradicting(planned(), "--machine", "auto") == []
    (words,) = contradicting(planned(), "--allow-privileged")
    assert words == "--allow-privileged True, where the run has False"


def test_variants_that_the_machine_lacks_were_asked_for_all_the_same() -> None:
    """
    The same sessions name them again.
    """
    plan = planned("--variants", "netns,docker,docker-cpus-2")
    left = [each for each in plan.variants if each.name != "docker-cpus-2"]
    environment = dataclasses.replace(plan.environment, left_out=["docker-cpus-2"])
    plan = dataclasses.replace(plan, variants=left, environment=environment)
    assert contradicting(plan, "--variants", "docker-cpus-2,docker,netns") == []


def test_a_variants_file_must_declare_what_the_run_measures(tmp_path: Path) -> None:
    """
    The levels, and the bytes of the override files.
    """
    file, overlay = tmp_path / "own.toml", tmp_path / "own.yaml"
    overlay.write_text("services: {}\n")
    text = '[variants.own]\nabout = "x"\nlike = "netns"\noverlays = ["own.yaml"]\n'
    file.write_text(text)
    plan = planned("--variants-file", str(file))
    (own,) = plan.variants
    plan = dataclasses.replace(plan, variants=[with_digests(own)])
    assert contradicting(plan, "--variants-file", str(file)) == []
    overlay.write_text("services: {gateway: {}}\n")
    (words,) = contradicting(plan, "--variants-file", str(file))
    assert words == f"--variants-file {file}: own has other override files than in the run"
    overlay.write_text("services: {}\n")
    file.write_text(text.replace("netns", "docker"))
    assert f"{file}: own has runtime container, and in the run process" in "; ".join(
        contradicting(plan, "--variants-file", str(file))
    )
    file.write_text(text.replace("variants.own", "variants.other"))
    (words,) = contradicting(plan, "--variants-file", str(file))
    assert words.endswith("it no longer declares own")


def with_digests(variant: Variant) -> Variant:
    """
    A variant as a run has it.
    """
    digests = tuple(sha256(file.read_bytes()).hexdigest() for file in variant.overlays)
    return dataclasses.replace(variant, overlays_sha256=digests)


def test_declarations_of_today_are_compared_by_name() -> None:
    """
    They are a warning, because the run has its own.
    """
    plan = planned("--variants", "netns,docker")
    assert list(altered_declarations(plan)) == []
    first, *rest = plan.variants
    other = dataclasses.replace(first, levels={**first.levels, "server": "gunicorn"})
    workload = dataclasses.replace(choose_workload("products"), path="/other")
    changed = dataclasses.replace(plan, variants=[other, *rest], workload=workload)
    one, two = altered_declarations(changed)
    assert one == "variants.toml: netns has server werkzeug, and in the run gunicorn"
    assert two == "the workload products is declared in another way today"


def here(plan: Manifest, **changes: object) -> Circumstances:
    """
    The circumstances that a plan had, but for the changes.
    """
    same = Circumstances(plan.machine, plan.environment, plan.userland, plan.code_sha256, plan.git)
    return dataclasses.replace(same, **changes)  # type: ignore[arg-type]


def test_the_same_circumstances_do_not_differ() -> None:
    """
    Why a machine was chosen, and its exact memory, do not count.
    """
    plan = dataclasses.replace(manifest(), code_sha256="c" * 64)
    assert plan.environment.memory_bytes is not None
    memory = round(plan.environment.memory_bytes * 0.99)
    environment = dataclasses.replace(plan.environment, memory_bytes=memory, sysctls={"a": "1"})
    machine = dataclasses.replace(plan.machine, reason="asked")
    found = list(differences(plan, here(plan, machine=machine, environment=environment)))
    assert [each for each in found if each.field != "machine.reason"] == []


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("machine", "name", "vagrant"),
        ("machine", "acceleration", "kvm"),
        ("environment", "kernel", "6.13"),
        ("environment", "kernel_build", "#2"),
        ("environment", "cpu_model", "another"),
        ("environment", "cpus", [0, 1, 2]),
        ("environment", "cpus_online", 3),
        ("environment", "cgroup_layout", "v1"),
        ("environment", "memory_bytes", 2**33),
        ("userland", "digest", "1" * 16),
        ("userland", "content_sha256", "1" * 64),
    ],
)
def test_what_the_cost_depends_on_is_refused_by_name(part: str, field: str, value: object) -> None:
    """
    With both values.
    """
    plan = dataclasses.replace(manifest(), code_sha256="c" * 64)
    changed = dataclasses.replace(getattr(plan, part), **{field: value})
    found = list(differences(plan, here(plan, **{part: changed})))
    assert [each.field for each in found] == [f"{part}.{field}"]
    before = getattr(getattr(plan, part), field)
    words = f"{part}.{field} was {'unknown' if before is None else before} and is {value}"
    with pytest.raises(HostError) as refusal:
        refuse_incomparable(found)
    assert words in str(refusal.value)


@pytest.mark.parametrize("field", ["swap_bytes", "clock_source", "cpu_governor"])
def test_what_acts_on_all_variants_alike_is_harmless(field: str) -> None:
    """
    It is named all the same.
    """
    plan = manifest()
    value = 1 if field == "swap_bytes" else "another"
    environment = dataclasses.replace(plan.environment, **{field: value})  # type: ignore[arg-type]
    found = list(differences(plan, here(plan, environment=environment)))
    refuse_incomparable(found)
    assert [str(each) for each in found] == [f"environment.{field} was unknown and is {value}"]


def test_other_packages_and_other_code_are_named() -> None:
    """
    The packages, though one digest covers them all; the commits, though there may be none.
    """
    plan = dataclasses.replace(manifest(), code_sha256="c" * 64)
    userland = dataclasses.replace(plan.userland, packages={"runc": "1.2", "tini": "1"})
    now = here(plan, userland=userland, code_sha256="d" * 64, git=Source("e" * 40, changed=True))
    assert [str(each) for each in differences(plan, now)] == [
        f"code was {'c' * 16} (commit {'f' * 12}) and is {'d' * 16} (commit {'e' * 12}, changed)",
        "userland.packages.runc was 1.1 and is 1.2",
        "userland.packages.tini was unknown and is 1",
    ]


def test_the_digest_of_the_code_is_of_what_measures(tmp_path: Path) -> None:
    """
    Not of declarations, which a run has in its manifest, nor of what Python compiles.
    """
    for folder in ("experiments/declare", "services", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "experiments" / "a.py").write_text("1")
    before = code_digest(tmp_path)
    (tmp_path / "experiments/declare/variants.toml").write_text("2")
    (tmp_path / "tests" / "a.py").write_text("2")
    (tmp_path / "services/__pycache__").mkdir()
    (tmp_path / "services/__pycache__/a.pyc").write_text("2")
    assert code_digest(tmp_path) == before
    (tmp_path / "services" / "a.py").write_text("1")
    other = code_digest(tmp_path)
    assert other != before
    (tmp_path / "services" / "a.py").rename(tmp_path / "services" / "b.py")
    assert code_digest(tmp_path) not in {before, other}


def test_an_override_file_of_the_run_must_be_as_it_was(tmp_path: Path) -> None:
    """
    The next session would deploy it.
    """
    (tmp_path / "own.yaml").write_text("services: {}\n")
    plan = manifest()
    own = dataclasses.replace(plan.variants[0], overlays=(tmp_path / "own.yaml",))
    own = dataclasses.replace(with_digests(own), overlays=(Path("own.yaml"),))
    plan = dataclasses.replace(plan, variants=[own])
    refuse_altered_overlays(tmp_path, plan)
    (tmp_path / "own.yaml").write_text("services: {gateway: {}}\n")
    with pytest.raises(ResultsError, match=r"own.yaml was altered since the run began"):
        refuse_altered_overlays(tmp_path, plan)
    (tmp_path / "own.yaml").unlink()
    with pytest.raises(ResultsError, match=r"own.yaml cannot be read: No such file .*; restore it"):
        refuse_altered_overlays(tmp_path, plan)


def first_draw(monkeypatch: pytest.MonkeyPatch, number: int, **place: object) -> float:
    """
    What the orders of a block begin with, whose first trial has this number.
    """
    stage = object.__new__(Stage)
    stage.show, stage.cpus = print, frozenset({0})
    trial = SimpleNamespace(identity=SimpleNamespace(number=number))
    monkeypatch.setattr(Stage, "trial", lambda *_, **__: trial)
    conditions = cast("Conditions", SimpleNamespace(seed=1))
    variants = manifest().variants
    return stage.side_by_side(variants, conditions, **place).order.random()  # type: ignore[arg-type]


def test_the_orders_of_a_block_depend_on_seed_and_block_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    So a block that is begun again, or first after a pause, has the orders of the plan.
    """
    draws = {first_draw(monkeypatch, number, block=3, part=2) for number in (7, 90)}
    assert draws == {orders_of(3, 2, 1).random()}
    places = [(block, part, seed) for block in (1, 2) for part in (1, 2) for seed in (1, 2)]
    assert len({orders_of(*place).random() for place in places}) == len(places)
    # Those of a search are many in one place.
    searched = {first_draw(monkeypatch, number, kind="search") for number in (7, 90)}
    assert len(searched) == 2


def a_run(run: Path, made: Manifest, trials: Sequence[TrialRecord]) -> Manifest:
    """
    A run of blocks of one part on the disk, with raw data.
    """
    last = max((trial.block for trial in trials), default=0)
    made = dataclasses.replace(made, order=[[NAMES]] * last, sessions=[SESSION], rounds=2)
    write_manifest(run, made)
    for trial in trials:
        append_trial(run, trial)
        (run / raw_folder(trial)).mkdir(parents=True)
    return made


def block_of(number: int, block: int) -> list[TrialRecord]:
    """
    The trials of a whole block.
    """
    return [
        side_by_side(number + place, block, name, [4000.0, 4000.0], position=place + 1)
        for place, name in enumerate(NAMES)
    ]


def stopped(trial: TrialRecord) -> TrialRecord:
    """
    The trial as the user stops it after a whole load.
    """
    return structs.replace(trial, failed_phase=STOPPED, error="the run was stopped")


def raw_folders(run: Path) -> list[str]:
    """
    The names of the raw folders of a run.
    """
    return sorted(path.name for path in (run / RAW).glob("*"))


def test_a_whole_block_stays_though_a_trial_of_it_failed(tmp_path: Path) -> None:
    """
    A failure is a result.
    """
    one, _ = block_of(1, 1)
    made = a_run(tmp_path, manifest(INTERRUPTED), [one, failed_trial(2, 1, "docker")])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept, aside = set_aside_unfinished(tmp_path, made)
    assert kept == made
    assert aside == {}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("how", ["stopped", "missing", "torn", "lost", "none"])
def test_a_block_under_way_is_set_aside_as_a_whole(tmp_path: Path, how: str) -> None:
    """
    Its records and its raw data, whether it was stopped or killed; nothing is deleted.
    """
    one, two = block_of(3, 2)
    # The machine crashed before its raw data were on the disk.
    lost = structs.replace(two, raw_sha256="0" * 64)
    rest = {
        "stopped": [one, stopped(two)],
        "missing": [one],
        "torn": [one, two],
        "lost": [one, lost],
        "none": [],
    }[how]
    made = a_run(tmp_path, manifest(INTERRUPTED), [*block_of(1, 1), *rest])
    if how == "torn":
        whole = (tmp_path / TRIALS).read_bytes()
        (tmp_path / TRIALS).write_bytes(whole[:-9])
    made = dataclasses.replace(made, order=[[NAMES]] * 2)
    for trial in (one, two):
        (tmp_path / raw_folder(trial) / "round-01").mkdir(parents=True)
    kept, _ = set_aside_unfinished(tmp_path, made)
    assert kept.order == [[NAMES]]
    assert read_trials(tmp_path) == block_of(1, 1)
    assert raw_folders(tmp_path) == ["001-netns", "002-docker"]
    assert raw_folders(tmp_path / ASIDE / "1") == ["003-netns", "004-docker"]
    lines = (tmp_path / TRIALS).read_bytes()
    if rest:
        lines += (tmp_path / ASIDE / "1" / TRIALS).read_bytes()
        assert read_trials(tmp_path / ASIDE / "1") == rest[: 1 if how == "torn" else None]
    if how == "torn":
        assert lines == whole[:-9]
    assert last_number(tmp_path) == 2
    again, aside = set_aside_unfinished(tmp_path, kept)
    assert (again, aside) == (kept, {})


def test_a_part_that_is_missing_makes_the_block_unfinished(tmp_path: Path) -> None:
    """
    A variant may stand in several parts.
    """
    made = a_run(tmp_path, manifest(INTERRUPTED), block_of(1, 1))
    made = dataclasses.replace(made, order=[[NAMES, NAMES]])
    assert set_aside_unfinished(tmp_path, made)[0].order == []
    assert read_trials(tmp_path) == []


FOLDERS = {
    PILOT_TRIALS: "pilot-001-netns",
    SEARCH_TRIALS: "search-003-start",
    ARTEFACT_TRIALS: "artefact-004-docker-late",
}


def beside(run: Path, records: int = 1) -> None:
    """
    Records and raw data of what is measured beside the blocks.
    """
    for file, folder in FOLDERS.items():
        (run / RAW / folder).mkdir(parents=True)
        for number in range(1, records + 1):
            append_trial(run, failed_trial(number, 0, "netns"), file)
    (run / RAW / "rehearsal-001-netns").mkdir()


def test_what_has_no_result_beside_the_blocks_is_set_aside(tmp_path: Path) -> None:
    """
    Pilot, rehearsal, search and length artefact begin anew.
    """
    made = a_run(tmp_path, manifest(INTERRUPTED), block_of(1, 1))
    beside(tmp_path)
    made = dataclasses.replace(made, pilot=PilotPlan(ROUNDS_WANTED))
    _, aside = set_aside_unfinished(tmp_path, made)
    assert aside == {
        "raw folders": 4,
        "trials of the pilot": 1,
        "trials of the search": 1,
        "trials of the artefact": 1,
    }
    assert raw_folders(tmp_path) == ["001-netns", "002-docker"]
    for file in FOLDERS:
        assert read_trials(tmp_path, file) == []


def test_results_beside_the_blocks_stay(tmp_path: Path) -> None:
    """
    They are not measured again.
    """
    made = a_run(tmp_path, manifest(INTERRUPTED), block_of(1, 1))
    beside(tmp_path, records=2)
    made = dataclasses.replace(
        made,
        pilot=PilotPlan(RATE_WANTED, capacities_per_s={"netns": 1.0}),
        found=Found({}, []),
        environment=dataclasses.replace(made.environment, memory=MemoryRecord(1)),
    )
    assert set_aside_unfinished(tmp_path, made) == (made, {})
    assert last_number(tmp_path) == 4


@pytest.mark.parametrize("missing", [0, 1])
def test_a_repetition_of_the_agreement_is_whole_or_done_again(tmp_path: Path, missing: int) -> None:
    """
    Only the last one can be unfinished.
    """
    trials = [*block_of(1, 1), *block_of(7, 2)]
    made = a_run(tmp_path, manifest(INTERRUPTED), trials)
    for repetition, count in ((1, LOADS_OF_REPETITION), (2, LOADS_OF_REPETITION - missing)):
        for at in range(count):
            append_agreement(tmp_path, agreement_load(repetition, at))
    for number in (3, 6, 9, 12):
        (tmp_path / RAW / f"agreement-{number:03}-netns").mkdir()
    _, aside = set_aside_unfinished(tmp_path, made)
    assert (aside == {}) == (not missing)
    assert {load.repetition for load in read_agreement(tmp_path)} == ({1} if missing else {1, 2})
    folders = [name for name in raw_folders(tmp_path) if name.startswith("agreement")]
    assert len(folders) == (2 if missing else 4)


def agreement_load(repetition: int, at: int) -> AgreementLoad:
    """
    A load of the agreement.
    """
    return AgreementLoad(
        repetition=repetition,
        variant="netns",
        thawed=True,
        beside=3,
        requests=250,
        requests_ok=250,
        started_at=1e9 + 100 * repetition + at,
        us_per_request=2000.0,
    )


def test_nothing_is_moved_through_a_link(tmp_path: Path) -> None:
    """
    What is moved by root must be what the run wrote.
    """
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (elsewhere / "something").mkdir(parents=True)
    run.mkdir()
    made = a_run(run, manifest(INTERRUPTED), [])
    (run / RAW).symlink_to(elsewhere)
    with pytest.raises(ResultsError, match=r"raw is a symbolic link where a folder should be"):
        set_aside_unfinished(run, made)
    assert (elsewhere / "something").exists()


def test_a_session_that_was_killed_ended_with_its_last_trial() -> None:
    """
    Nothing later is known of it.
    """
    began = block_of(1, 1)[0].started_at - 5
    session = Session(began, 5.0)
    (found,) = closed([session], block_of(1, 1))
    assert (found.state, found.note) == (FAILED, KILLED)
    assert found.finished_at == max(trial.started_at for trial in block_of(1, 1)) + 5.1
    assert closed([session], [])[0].finished_at == began
    assert closed([SESSION], block_of(1, 1)) == [SESSION]


@pytest.mark.parametrize(("minutes", "budget"), [(None, 3.0), (20.0, 20.0)])
def test_the_time_budget_is_what_is_left_or_a_new_one(
    tmp_path: Path, minutes: float | None, budget: float
) -> None:
    """
    Of five minutes the first session took two.
    """
    made = a_run(tmp_path, manifest(INTERRUPTED), block_of(1, 1))
    prepared = prepare(tmp_path, made, minutes)
    assert read_manifest(tmp_path) == prepared
    assert (prepared.state, prepared.note, prepared.finished_at) == (RUNNING, "", None)
    first, second = prepared.sessions
    assert first == SESSION
    assert (second.minutes, second.after_block, second.state) == (budget, 1, RUNNING)
    assert second.owner == str(Process.of(os.getpid()))
    assert prepared.minutes == made.minutes


def named(results: Path, name: str, state: str, owner: str = "1:1") -> Path:
    """
    A run of this name and state.
    """
    run = results / name
    run.mkdir()
    session = dataclasses.replace(SESSION, state=state, owner=owner)
    write_manifest(run, dataclasses.replace(manifest(state), sessions=[session]))
    return run


def test_the_newest_run_that_did_not_end_is_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A complete one is passed over, and one that cannot be read, which is said.
    """
    with pytest.raises(ResultsError, match="contains no run that can be resumed"):
        run_to_resume(tmp_path, "")
    named(tmp_path, "20260101T000000Z", INTERRUPTED)
    killed = named(tmp_path, "20260102T000000Z", RUNNING)
    complete = named(tmp_path, "20260103T000000Z", COMPLETE)
    older = named(tmp_path, "20260104T000000Z", INTERRUPTED)
    write_manifest(older, manifest(INTERRUPTED))
    (named(tmp_path, "20260105T000000Z", INTERRUPTED) / "manifest.json").write_text("{")
    assert run_to_resume(tmp_path, "") == killed
    assert "passed over" in capsys.readouterr().err
    assert run_to_resume(tmp_path, killed.name) == killed
    assert run_to_resume(tmp_path / "elsewhere", str(killed)) == killed
    with pytest.raises(ResultsError, match="is complete; there is nothing to resume"):
        run_to_resume(tmp_path, complete.name)
    with pytest.raises(ResultsError, match="made by an older version"):
        run_to_resume(tmp_path, older.name)
    with pytest.raises(ResultsError, match="there is no run x to resume"):
        run_to_resume(tmp_path, "x")


def test_a_run_whose_variants_all_failed_again_and_again_is_not_resumed(tmp_path: Path) -> None:
    """
    Another session would set them aside before its first trial.
    """
    run = named(tmp_path, "20260101T000000Z", FAILED)
    plan = read_manifest(run)
    names = [variant.name for variant in plan.variants] * FAILURES_IN_A_ROW
    failed = [failed_trial(number, number, name) for number, name in enumerate(names, start=1)]
    for each in failed[:-1]:
        append_trial(run, each)
    assert run_to_resume(tmp_path, "") == run
    assert outcome(run, plan, failed[:-1])
    append_trial(run, failed[-1])
    assert outcome(run, plan, failed) == ""
    with pytest.raises(ResultsError, match="contains no run that can be resumed"):
        run_to_resume(tmp_path, "")
    with pytest.raises(ResultsError, match=r"every variant of the run .* failed 3 times in a row"):
        run_to_resume(tmp_path, run.name)


def test_the_folder_of_a_run_that_is_named_by_a_path_is_beside_it(tmp_path: Path) -> None:
    """
    There a report is made.
    """
    options = measure_parser().parse_args
    assert results_of(options(["--results", "a", "--resume", "x"])).name == "a"
    assert results_of(options(["--results", "a"])).name == "a"
    assert results_of(options(["--resume", str(tmp_path / "x")])) == tmp_path


def test_what_continues_a_run_is_told_unless_it_goes_on(tmp_path: Path) -> None:
    """
    A manifest that says *running* is of a killed run if its owner is gone.
    """
    own = Process.of(os.getpid())
    gone = Process(own.pid, own.started - 1)
    told = {}
    for name, state, owner in (
        ("a", RUNNING, own),
        ("b", RUNNING, gone),
        ("c", INTERRUPTED, own),
        ("d", COMPLETE, gone),
    ):
        run = named(tmp_path, name, state, str(owner))
        told[name] = outcome(run, read_manifest(run), [])
    how = f"; `nox -s measure -- --resume {tmp_path}"
    assert told == {
        "a": f"the run is still being measured, by process {own.pid}",
        "b": f"the run was killed{how}/b` continues it",
        "c": f"the run is interrupted{how}/c` continues it",
        "d": "",
    }
    assert outcome(tmp_path, manifest(INTERRUPTED), []) == ""
