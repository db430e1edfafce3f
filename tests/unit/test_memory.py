"""
How many deployments fit side by side: by what they take and what there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from experiments.declare.reading import load_variants
from experiments.errors import DeployError
from experiments.records.manifest import MemoryRecord
from experiments.run.memory import ROOMY_BYTES, SHARE, Memory
from tests.unit.samples import failed_trial
from tests.unit.stage_stub import StubConditions, StubStage, as_stage

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.records.trials import TrialRecord

MIB = 2**20
NETNS = load_variants().variants["netns"]


def without_loads(number: int, variant: Variant, _: StubConditions) -> TrialRecord:
    """
    A trial that has no load has no result.
    """
    return failed_trial(number, 0, variant.name)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubStage:
    """
    A machine with 1000 MiB, on which a deployment takes 100 and Docker 60 more.
    """
    monkeypatch.setattr("experiments.run.memory.available_bytes", lambda: 1000 * MIB)
    return StubStage(tmp_path, without_loads, taken_bytes=100 * MIB, docker_bytes=60 * MIB)


def test_what_was_not_measured_fits(stage: StubStage) -> None:
    """
    Nobody asks where there is plenty.
    """
    memory = Memory(as_stage(stage))
    assert memory.fits(40) == 40
    assert memory.as_record(40) == MemoryRecord(1000 * MIB, None, None, 40)


def test_a_machine_is_roomy_where_each_deployment_could_have_plenty(
    stage: StubStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Within the share of the memory that deployments may take.
    """
    assert not Memory(as_stage(stage)).is_roomy(2)
    available = 2 * ROOMY_BYTES / SHARE
    monkeypatch.setattr("experiments.run.memory.available_bytes", lambda: round(available))
    assert Memory(as_stage(stage)).is_roomy(2)
    assert not Memory(as_stage(stage)).is_roomy(3)


def test_one_deployment_shows_what_all_will_take(stage: StubStage) -> None:
    """
    It is brought up and taken down without any load.
    """
    memory = Memory(as_stage(stage))
    memory.rehearse(NETNS)
    ((variants, conditions, kind),) = stage.begun
    assert (variants, kind) == ([NETNS], "rehearsal")
    assert (conditions.rounds, conditions.warmup_requests, conditions.open_requests) == (0, 0, 0)
    # 100 MiB each of the 800 that may be taken.
    assert memory.fits(20) == 8
    assert memory.fits(3) == 3


def test_all_are_taken_to_be_of_the_largest_kind(stage: StubStage) -> None:
    """
    So that a part that fits does so whatever it is made of.
    """
    memory = Memory(as_stage(stage))
    memory.rehearse(NETNS)
    memory.start_docker_once()
    assert memory.fits(20) == 5
    assert memory.as_record(5) == MemoryRecord(1000 * MIB, 100 * MIB, 160 * MIB, 5)


def test_deployments_that_seem_to_take_nothing_all_fit(stage: StubStage) -> None:
    """
    As where other programs ended meanwhile.
    """
    stage._taken_bytes = -MIB
    memory = Memory(as_stage(stage))
    memory.rehearse(NETNS)
    assert memory.fits(20) == 20


def test_a_rehearsal_that_is_stopped_stops_the_run(stage: StubStage) -> None:
    """
    As the user asked.
    """
    stage._stopped = True
    with pytest.raises(KeyboardInterrupt):
        Memory(as_stage(stage)).rehearse(NETNS)


def test_what_an_earlier_session_measured_is_not_measured_again(stage: StubStage) -> None:
    """
    Or blocks would be cut into other parts after a pause; Docker is started all the same.
    """
    record = MemoryRecord(2000 * MIB, 100 * MIB, 300 * MIB, 5)
    memory = Memory(as_stage(stage), record)
    memory.start_docker_once()
    assert memory.fits(20) == 5
    assert memory.as_record(5) == record
    roomy = Memory(as_stage(stage), MemoryRecord(2000 * MIB, None, None, 40))
    roomy.refuse_less(40)
    assert roomy.fits(40) == 40


def test_a_session_with_less_memory_than_the_blocks_need_is_refused(stage: StubStage) -> None:
    """
    A little less than before is not: what is available changes all the time.
    """
    Memory(as_stage(stage), MemoryRecord(1100 * MIB, 100 * MIB, 100 * MIB, 8)).refuse_less(20)
    shrunk = Memory(as_stage(stage), MemoryRecord(2000 * MIB, 100 * MIB, 100 * MIB, 16))
    with pytest.raises(DeployError, match="take 1678 MB, and 1049 MB of memory are available now"):
        shrunk.refuse_less(20)
    shrunk.refuse_less(9)
