"""
A bounded search for the best configuration, step by step, with all candidates side by side.

A chosen candidate tends to look better than it is in the blocks that chose it. So the reported
result is measured again, in later blocks.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

from experiments.declare.factors import different, impossible
from experiments.plan.fit import parts_of
from experiments.plan.stopping import log_ratio, round_times
from experiments.records.files import SEARCH_TRIALS
from experiments.records.manifest import Candidate, Found, SearchStep
from experiments.records.store import append_trial
from experiments.records.trials import are_comparable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from experiments.declare.variants import Search, Variant
    from experiments.records.trials import TrialRecord
    from experiments.run.conditions import Conditions
    from experiments.run.memory import Memory
    from experiments.run.progress import Progress
    from experiments.run.stage import Stage

Levels = dict[str, str]

ATTEMPTS = 2
"""How often a block is tried in which a needed configuration got no load."""


class TunedSearch:
    """
    The search of a run, from its declaration.
    """

    def __init__(
        self,
        wanted: Search,
        start: Variant,
        also: Sequence[Variant],
        *,
        stage: Stage,
        memory: Memory,
        progress: Progress,
    ) -> None:
        """
        ``also`` are complete configurations that are candidates of the first step.
        """
        self._wanted = wanted
        self._start = start
        self._also = [each.levels for each in also]
        self._stage = stage
        self._memory = memory
        self._progress = progress

    def run(self) -> Found:
        """
        Run steps until no candidate is faster; return the best levels and all steps.
        """
        best = dict(self._start.levels)
        steps = []
        also = self._also
        while candidates := candidates_of(best, self._wanted.changes, also):
            # Whole configurations are candidates in the first step only.
            also = []
            self._compare(best, candidates)
            step = SearchStep(candidates, best_of(candidates))
            steps.append(step)
            if step.chosen is None:
                break
            best = candidates[step.chosen].levels
        return Found(best, steps)

    def _compare(self, best: Levels, candidates: Sequence[Candidate]) -> None:
        base = self._variant(best)
        variants = [self._variant(each.levels) for each in candidates]
        conditions = dataclasses.replace(
            self._stage.conditions, rounds=self._wanted.rounds, at_once=frozenset(), open_requests=0
        )
        everyone = {variant.name: variant for variant in [base, *variants]}
        pairs = [(base.name, variant.name) for variant in variants]
        needed = {base.name, *(self._variant(levels).name for levels in self._also)}
        for number in range(self._wanted.blocks):
            names = list(everyone)
            turned = names[number:] + names[:number]
            for part in parts_of(turned, pairs, self._memory.fits(len(turned))):
                records = self._block([everyone[name] for name in part], needed, conditions, pairs)
                for candidate, variant in zip(candidates, variants, strict=True):
                    if variant.name in records:
                        judge(candidate, records[base.name], records[variant.name])

    def _block(
        self,
        variants: Sequence[Variant],
        needed: AbstractSet[str],
        conditions: Conditions,
        pairs: Sequence[tuple[str, str]],
    ) -> dict[str, TrialRecord]:
        """
        Run a block, and again if a variant in ``needed`` could not be loaded.

        Otherwise one failed deployment of the best configuration so far, or of a configuration that
        competes in this step only, would decide the search.
        """
        records: dict[str, TrialRecord] = {}
        for _ in range(ATTEMPTS):
            block = self._stage.side_by_side(variants, conditions, kind="search", pairs=pairs)
            records = {record.variant: record for record in block.run()}
            for record in records.values():
                append_trial(self._stage.run, record, SEARCH_TRIALS)
                self._progress.rehearsed("search", record)
            if block.stopped:
                raise KeyboardInterrupt
            if all(each.load for name, each in records.items() if name in needed):
                break
        return records

    def _variant(self, levels: Levels) -> Variant:
        name = name_of(levels, self._start.levels)
        return dataclasses.replace(self._start, name=name, levels=dict(levels))


def candidates_of(
    best: Mapping[str, str], changes: Sequence[Mapping[str, str]], also: Sequence[Levels] = ()
) -> list[Candidate]:
    """
    The possible candidates: every change to the best levels that differs from them, and ``also``.
    """
    found: list[Candidate] = []
    for levels in [*({**best, **change} for change in changes), *also]:
        known = [dict(best), *(each.levels for each in found)]
        if levels not in known and not impossible(levels):
            change = {name: level for name, level in levels.items() if best[name] != level}
            found.append(Candidate(change, dict(levels)))
    return found


def best_of(candidates: Sequence[Candidate]) -> int | None:
    """
    The index of the fastest candidate, if it is faster than the best configuration so far.
    """
    gains = [gain(each) for each in candidates]
    least = min(gains, default=0.0)
    return gains.index(least) if least < 0 else None


def gain(candidate: Candidate) -> float:
    """
    The mean log-ratio; 0 if there is none or the candidate is not comparable.
    """
    logs = candidate.log_ratios
    return statistics.fmean(logs) if logs and not candidate.note else 0.0


def judge(candidate: Candidate, before: TrialRecord, after: TrialRecord) -> None:
    """
    Add the result of one block to a candidate.
    """
    if before.load is None or after.load is None:
        candidate.note = after.error or before.error
        return
    good = [sum(load.requests_ok for load in each.loads) for each in (before, after)]
    asked = [
        sum(load.requests for load in each.loads) + each.requests_lost for each in (before, after)
    ]
    shares = [ok / requests for ok, requests in zip(good, asked, strict=True)]
    candidate.good_share = shares[1]
    if not are_comparable(shares):
        # Errors are fast, but no improvement.
        candidate.note = (
            f"not comparable: {shares[1] * 100:.2f} % good answers, against "
            f"{shares[0] * 100:.2f} % of the best configuration so far"
        )
        return
    ratio = log_ratio(round_times(before), round_times(after))
    if ratio is not None:
        candidate.log_ratios.append(ratio)


def name_of(levels: Mapping[str, str], start: Mapping[str, str]) -> str:
    """
    A name for a configuration: its levels that differ from the start.
    """
    changed = different(start, levels)
    return "-".join(f"{name}-{levels[name]}" for name in changed) or "start"
