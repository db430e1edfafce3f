"""
The pilot: how many rounds a block is worth, of how many requests, and a rate that all can bear.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from experiments.declare.reading import load_variants
from experiments.errors import DeployError
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.plan.sizing import (
    LEAST_ROUNDS,
    MOST_ROUNDS,
    PILOT_DEPLOYMENTS,
    PILOT_ROUNDS,
    Costs,
    Noise,
    common_rate_per_s,
    noise,
    relative_length,
    requests_wanted,
    rounds_in_time,
    rounds_wanted,
)
from experiments.plan.stopping import Rule
from experiments.records.files import PILOT_TRIALS
from experiments.records.store import read_trials
from experiments.run.memory import Memory
from experiments.run.pilot import Pilot
from experiments.run.progress import Progress
from tests.unit.samples import failed_trial, side_by_side
from tests.unit.stage_stub import StubConditions, StubStage, as_stage

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.records.trials import TrialRecord

VARIANTS = load_variants().variants
NETNS = VARIANTS["netns"]


def simulated(deployments: int, rounds: int, drift_sd: float) -> list[list[float]]:
    """
    Times per request: loads that differ by 3 %, deployments by 8 %, and rounds by a common drift.
    """
    generator = np.random.default_rng(5)
    levels = generator.normal(0, 0.08, (deployments, 1))
    own = generator.normal(0, 0.03, (deployments, rounds))
    drift = np.cumsum(generator.normal(0, drift_sd, rounds))
    rows: list[list[float]] = (3000 * np.exp(levels + own + drift)).tolist()
    return rows


def test_noise_is_told_apart_by_where_it_comes_from() -> None:
    """
    What loads of one deployment differ by, and what deployments differ by beyond that.
    """
    found = noise(simulated(400, 8, drift_sd=0.0))
    assert found.own_sd == pytest.approx(0.03, rel=0.1)
    assert found.between_sd == pytest.approx(0.08, rel=0.1)


def test_what_changes_all_deployments_alike_is_no_noise() -> None:
    """
    Loads are compared within their round, so a drift of the machine counts for nothing.
    """
    still, drifting = (noise(simulated(4, 8, drift_sd)) for drift_sd in (0.0, 0.5))
    assert drifting.own_sd == pytest.approx(still.own_sd)
    assert drifting.between_sd == pytest.approx(still.between_sd)


def test_deployments_that_differ_no_more_than_their_loads_do_not_differ() -> None:
    """
    A variance that would be negative is none.
    """
    assert noise([[90, 110], [110, 90]]).between_sd == 0


def test_rounds_are_worth_what_both_noises_and_both_costs_say() -> None:
    """
    The square root of the costs' ratio times that of the variances (Kalibera and Jones, 2013).
    """
    costs = Costs(deployment_s=5.0, load_s=0.5)
    assert rounds_wanted(Noise(0.04, 0.02), costs) == math.ceil(math.sqrt(10 * 4)) == 7
    assert rounds_wanted(Noise(0.02, 0.02), Costs(40.0, 0.5)) == math.ceil(math.sqrt(80)) == 9


def test_rounds_stay_within_bounds() -> None:
    """
    So few that a first look is possible, so many that a block ends in reasonable time.
    """
    costs = Costs(deployment_s=5.0, load_s=0.5)
    assert rounds_wanted(Noise(0.01, 0.1), costs) == LEAST_ROUNDS
    assert rounds_wanted(Noise(0.2, 0.01), costs) == MOST_ROUNDS
    assert rounds_wanted(Noise(0.02, 0.0), costs) == MOST_ROUNDS


def test_the_blocks_that_must_be_end_in_time() -> None:
    """
    Fewer rounds where the budget is short, but not fewer than are any use.
    """
    costs = Costs(deployment_s=5.0, load_s=0.5)
    # Twelve seconds for each of 50 deployments: five for itself, and seven for loads.
    assert rounds_in_time(600, deployments=10, blocks=5, costs=costs) == 14
    assert rounds_in_time(60, deployments=10, blocks=5, costs=costs) == LEAST_ROUNDS
    assert rounds_in_time(-1, deployments=10, blocks=5, costs=costs) == LEAST_ROUNDS


def test_calls_and_cpu_time_make_the_loads_of_a_block_longer() -> None:
    """
    By what one call took in the pilot, whichever variant that was of.
    """
    levels = {name: each.levels for name, each in VARIANTS.items()}
    light, heavy = levels["netns"], levels["netns-burn-20ms"]
    assert relative_length(2000, light, [light] * 3) == 1
    assert relative_length(2000, light, [light, levels["docker-calls-8"]]) == (1 + 8) / 2
    assert relative_length(2000, light, [light, heavy]) == (1 + 11) / 2
    assert relative_length(22_000, heavy, [light, heavy]) == pytest.approx((1 / 11 + 1) / 2)
    assert relative_length(8000, levels["netns-calls-4"], [light]) == 1 / 4
    # On many CPUs, a request may take less time than it burns.
    assert relative_length(10_000, heavy, [light, heavy]) == 1


@pytest.mark.parametrize(("spread", "light", "heavy"), [(1.0, 16, 6), (1.032, 10, 6)])
@pytest.mark.parametrize("seconds", [300, 1e6])
def test_the_pilot_of_heavier_variants_chooses_fewer_rounds(
    tmp_path: Path, spread: float, light: int, heavy: int, seconds: float
) -> None:
    """
    Their loads take longer than those that it measured: fewer fit in, and fewer are worth it.
    """

    def measured(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        level_us = 2000 * spread ** (number % 2)
        places = range(conditions.rounds)
        rounds_us = [level_us * 1.08 ** ((number // 2 + place) % 2) for place in places]
        return side_by_side(number, 0, variant.name, rounds_us, position=number)

    chosen = []
    for names in (["netns"] * 4, ["netns", "netns-calls-8"] * 2):
        folder = tmp_path / names[1]
        folder.mkdir()
        pilot, _ = a_pilot(StubStage(folder, measured))
        _, rounds, _ = pilot.rounds(NETNS, seconds, [VARIANTS[each] for each in names], 5)
        chosen.append(rounds)
    # Without a limit in time, deployments that do not differ are worth as many rounds as any.
    assert chosen == [light, MOST_ROUNDS if spread == 1 and seconds > 300 else heavy]


def test_a_load_takes_about_half_a_second() -> None:
    """
    In few lengths, so that runs on like machines have the same; nearest as a ratio.
    """
    for us, requests in ((50_000, 100), (4000, 100), (2000, 250), (800, 500), (100, 1000)):
        assert requests_wanted(us) == requests
    # 360 requests in half a second: 500 are 1.39 times as many, and 250 1.44 times as few.
    assert requests_wanted(0.5e6 / 360) == 500


def test_the_common_rate_is_half_of_the_slowest_variant_s() -> None:
    """
    In whole requests a second.
    """
    assert common_rate_per_s([301.7, 450]) == 150
    assert common_rate_per_s([0.5]) == 1


def test_a_pilot_is_made_where_a_run_goes_on_by_width_and_no_number_is_given() -> None:
    """
    And for the common rate of an open loop.
    """

    def wanted(*arguments: str) -> str:
        return draft_manifest(measure_parser().parse_args(list(arguments)), None).pilot.wanted

    assert wanted() == "rounds"
    assert wanted("--profile", "full") == "rounds"
    assert wanted("--rounds", "4") == ""
    assert wanted("--profile", "quick") == ""
    assert wanted("--blocks", "5") == ""
    assert wanted("--blocks", "5", "--half-width", "3") == "rounds"
    assert wanted("--variants", "netns") == ""
    assert wanted("--open-loop") == "rate"
    assert wanted("--open-loop", "--common-rate", "100") == ""
    made = draft_manifest(
        measure_parser().parse_args(["--open-loop", "--open-requests", "50"]), None
    )
    assert (made.open_fractions, made.open_requests) == ([0.3, 0.5, 0.7, 0.9], 50)
    assert made.half_width is None


def a_pilot(stage: StubStage) -> tuple[Pilot, io.StringIO]:
    """
    A pilot on this stage, and what it says.
    """
    said = io.StringIO()
    progress = Progress(Rule(1, []), [], Console(file=said, soft_wrap=True))
    return Pilot(as_stage(stage), Memory(as_stage(stage)), progress), said


def twins(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
    """
    Deployments that differ by 10 %, and whose loads alternate by 2 % and all drift.
    """
    level = 2000 * 1.1 ** (number % 2)
    rounds_us = [
        level * 1.02 ** ((number // 2 + place) % 2) * 1.05**place
        for place in range(conditions.rounds)
    ]
    return side_by_side(number, 0, variant.name, rounds_us, position=number)


def test_the_pilot_chooses_rounds_and_requests(tmp_path: Path) -> None:
    """
    From a few deployments of one variant side by side, which are kept apart from the results.
    """
    stage = StubStage(tmp_path, twins)
    pilot, said = a_pilot(stage)
    found, rounds, requests = pilot.rounds(NETNS, 1e6, [NETNS] * 2, 5)
    ((variants, conditions, kind),) = stage.begun
    assert (len(variants), conditions.rounds, kind) == (PILOT_DEPLOYMENTS, PILOT_ROUNDS, "pilot")
    assert (conditions.at_once, conditions.open_requests) == (frozenset(), 0)
    # Of 32 loads that are half of 2 % off, less those that fix four means and eight rounds.
    assert found.own_sd == pytest.approx(math.log(1.02) / 2 * math.sqrt(32 / 21), rel=0.01)
    assert found.between_sd == pytest.approx(math.log(1.1) / math.sqrt(3), rel=0.01)
    # Of a block of four: two seconds up and two down, and 16 for 32 loads.
    assert (found.deployment_s, found.load_s) == (1.0, 0.5)
    assert rounds == found.wanted_rounds == LEAST_ROUNDS
    assert requests == 250
    assert len(read_trials(tmp_path, PILOT_TRIALS)) == PILOT_DEPLOYMENTS
    assert read_trials(tmp_path) == []
    assert f"{LEAST_ROUNDS} rounds of 250 requests per block" in said.getvalue()


def test_a_pilot_without_two_whole_deployments_is_an_error(tmp_path: Path) -> None:
    """
    That says what went wrong, and what does without one.
    """

    def measured(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        if number == 1:
            return twins(number, variant, conditions)
        return failed_trial(number, 0, variant.name)

    pilot, _ = a_pilot(StubStage(tmp_path, measured))
    with pytest.raises(DeployError, match=r"did not become healthy(.|\n)*; --rounds N skips"):
        pilot.rounds(NETNS, 600, [NETNS] * 2, 5)


def test_a_deployment_with_bad_answers_has_no_say_in_the_pilot(tmp_path: Path) -> None:
    """
    Neither in the rounds nor in the rate, and the error says how many there were.
    """

    def measured(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        rounds_us = [100.0] * conditions.rounds
        return side_by_side(number, 0, variant.name, rounds_us, non_2xx=1)

    pilot, _ = a_pilot(StubStage(tmp_path, measured))
    with pytest.raises(DeployError, match="1992 of 2000 answers of netns were good; --rounds N"):
        pilot.rounds(NETNS, 600, [NETNS] * 2, 5)
    with pytest.raises(DeployError, match="1494 of 1500 answers of netns were good"):
        pilot.rate([NETNS])


def test_the_pilot_finds_a_rate_that_all_can_bear(tmp_path: Path) -> None:
    """
    From one deployment of each variant; one that fails has no say.
    """
    rates = {"netns": 400.0, "docker": 250.0}

    def measured(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        if variant.name not in rates:
            return failed_trial(number, 0, variant.name)
        us = 1e6 / rates[variant.name]
        return side_by_side(number, 0, variant.name, [us] * conditions.rounds)

    stage = StubStage(tmp_path, measured)
    variants = load_variants().choose(["netns", "docker", "docker-host"])
    capacities_per_s, common_rate_per_s = a_pilot(stage)[0].rate(variants)
    assert capacities_per_s == {name: pytest.approx(rate) for name, rate in rates.items()}
    assert common_rate_per_s == 125
    assert stage.begun[0][0] == variants


def test_a_pilot_that_is_stopped_stops_the_run(tmp_path: Path) -> None:
    """
    What it has is kept all the same.
    """
    stage = StubStage(tmp_path, twins, stopped=True)
    with pytest.raises(KeyboardInterrupt):
        a_pilot(stage)[0].rounds(NETNS, 600, [NETNS] * 2, 5)
    assert len(read_trials(tmp_path, PILOT_TRIALS)) == PILOT_DEPLOYMENTS
