"""
The good answers of which the audit speaks are those that there truly were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import assume, given

from analysis.audit.findings import Severity
from analysis.audit.reliability import reliability
from analysis.audit.sources import source_of
from tests.ab_model.counting import count
from tests.ab_model.events import End
from tests.ab_model.printing import printed
from tests.ab_model.strategies import examples, outputs

if TYPE_CHECKING:
    from tests.ab_model.events import Load
    from tests.ab_model.versions import Version


@examples(100)
@given(outputs())
def test_the_range_of_good_answers_holds_the_truth_and_what_is_most_likely_is_true(
    case: tuple[Version, Load],
) -> None:
    """
    Whatever failed, and however ab counted it. But answers that are cut are not cut at one length.
    """
    version, load = case
    counts = count(version, load)
    unseen = {End.CLOSED, End.RESET} if version.before(2) else {End.CLOSED}
    cut = [r.body_bytes for r in counts.counted if r.end in unseen and r.status and not r.whole]
    assume(cut.count(counts.document_length) <= (counts.failed_length > 0))
    (output,) = source_of("x", printed(version, load).encode()).outputs
    *lengths, finding = reliability(output)
    if counts.done == 0:
        assert finding.severity is Severity.ERROR
        return
    least, most = finding.values["good_at_least"], finding.values["good_at_most"]
    assert least <= counts.good <= most, finding.text
    likely = finding.values["good_most_likely"]
    assert likely in {None, counts.good}, finding.text
    for each in (*lengths, finding):
        assert likely is not None or "ost likely" not in each.text
