"""
Every output of ab in a text of people, and what was taken off it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from analysis.audit.decoration import AFTER, as_printed
from analysis.audit.findings import Finding, Severity, shortened
from analysis.audit.homes import bring_home
from analysis.audit.markup import plain
from analysis.audit.prefixes import split
from analysis.audit.ranges import same
from analysis.audit.structured import messages
from analysis.audit.wrapping import unwrapped
from analysis.formatting import count
from experiments.records.ab.fields import COUNTS, DECIMALS, LABELS
from experiments.records.ab.lines import whole_lines
from experiments.records.ab.numbers import Printed
from experiments.records.ab.splitting import pieces_per_output, read_outputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from analysis.audit.prefixes import Line, Split, Stream
    from experiments.records.ab.output import AbOutput

SIDE_BY_SIDE = (
    "several outputs of ab stand side by side in the same lines: give each output a file of its own"
)
ALTERNATE = (
    "lines of several outputs of ab alternate, so that none can be read: give each output a file "
    "of its own"
)
DIFFERENCE = "this is the difference of two outputs of ab: audit the two instead"
CHANGED_LINES = re.compile(r"(?m)^[0-9]+(?:,[0-9]+)?[acd][0-9]+(?:,[0-9]+)?\n[<>] ")

MOST_PIECES = 3
"""In so many pieces people may write down one output, in an order of their own."""

HEADLINE = "This is ApacheBench, Version "
ANSWERS = re.compile(r"(?:Benchmarking .*\.\.\.)?(?:LOG: header received:|INFO: \w+ header ==)")
AFTER_ANSWERS = re.compile(
    r"LOG: Response code = |WARNING: Response code not 2xx|\.\.(?:done|interrupted)$"
    r"|(?:Completed|Finished) [0-9]+ requests|Total of [0-9]+ requests completed"
    rf"|{HEADLINE}|Test aborted after |(?:apr_\w+|socket)\b[^:]*: .*\([0-9]+\)$"
)
REPORT = "Server Software:"
COLUMN = re.compile(rf"(?:{'|'.join(map(re.escape, [*COUNTS, *DECIMALS]))})[*_ ]*[:|]")
NO_NUMBER = re.compile(rf"(?:{'|'.join(map(re.escape, [*COUNTS, *DECIMALS]))}):\s*")
OTHER = re.compile(r"[\w\[<(]")
SHOWN = 60
MOST_OUTPUTS = 1000


@dataclass
class Read:
    """
    Outputs, each with what was taken off it; why there are none; whether lines were left out.
    """

    outputs: list[tuple[AbOutput, list[Finding]]] = field(default_factory=list)
    refused: str | None = None
    cut: bool = False


def read(text: str) -> Read:
    """
    Read whatever people have put around outputs of ab.
    """
    text, taken_off = messages(text)
    for cleaned in (plain, unwrapped):
        text, more = cleaned(text)
        taken_off += more
    parts = bring_home(split(whole_lines(text)))
    found = Read(cut=parts.cut)
    marks = {stream.prefix for stream in parts.streams if stream.has_report}
    if parts.side_by_side > 1:
        found.refused = SIDE_BY_SIDE
    elif {"+", "-"} <= marks or CHANGED_LINES.search(text):
        found.refused = DIFFERENCE
    else:
        for stream in parts.streams:
            _read_stream(stream, taken_off, parts, found)
    return found


def _read_stream(stream: Stream, taken_off: list[str], parts: Split, found: Read) -> None:
    rows = [line for line in stream.lines if not _has_columns(line.text)]
    if len(rows) < len(stream.lines):
        found.refused = SIDE_BY_SIDE
    lines = list(_without_answers(_printed(rows)))
    if pieces_per_output(lines) > MOST_PIECES:
        found.refused = ALTERNATE
        return
    # Other lines with a colon are of other programs.
    outputs = [replace(each, other={}) for each in islice(read_outputs(lines), MOST_OUTPUTS)]
    notes = _taken_off(stream, taken_off)
    runs = [each for place, each in enumerate(outputs) if not _is_summary(outputs[:place], each)]
    if len(runs) < len(outputs):
        text = (
            "Lines that repeat the numbers of a run were read as its summary, not as another run."
        )
        notes.append(Finding("summary", Severity.NOTE, text))
        outputs = runs
    others = [line for other in parts.streams if other is not stream for line in other.lines]
    others = [line for line in [*parts.strangers, *others] if OTHER.match(line.prefix or line.text)]
    if stream.has_name and others:
        example = min(others)
        whole = shortened(f"{example.prefix} {example.text}".strip(), SHOWN)
        text = f"Lines with another prefix are no part of this output, such as “{whole}”."
        notes.append(Finding("other_lines", Severity.NOTE, text))
    if any(output.marked and not output.is_of_ab for output in outputs):
        text = "Further lines like those of ab were not read: they are too few for an output."
        notes.append(Finding("further_lines", Severity.NOTE, text))
    found.outputs += [(output, notes) for output in outputs if output.is_of_ab]


def _is_summary(before: Sequence[AbOutput], excerpt: AbOutput) -> bool:
    """
    Whether an excerpt has the rate of the run before it, and nothing that differs beyond rounding.
    """
    whole = before and before[-1].percentiles_ms and not excerpt.began
    if not whole or excerpt.connection_times_ms or excerpt.percentiles_ms:
        return False
    # Without a line for them, these are zero.
    pairs = [
        (getattr(excerpt, name), getattr(before[-1], name))
        for name in {*LABELS} - {"responses_non_2xx", "write_errors"}
    ]
    return excerpt.requests_per_second is not None and all(
        said is None
        or said == known
        or (isinstance(said, Printed) and isinstance(known, Printed) and same(said, known))
        for said, known in pairs
    )


def _taken_off(stream: Stream, markup: list[str]) -> list[Finding]:
    prefixes = Counter(line.prefix for line in stream.lines if line.prefix)
    words = []
    if prefixes:
        changes = "changing " if len(prefixes) > 1 else ""
        prefix = shortened(prefixes.most_common(1)[0][0], SHOWN)
        lines = count(prefixes.total(), "line")
        words.append(f"{changes}prefix “{prefix}” taken off {lines}")
    words += [f"{each} taken off" for each in markup]
    text = "; ".join(words)
    return [Finding("cleaned", Severity.OK, f"{text[0].upper()}{text[1:]}.")] if text else []


def _has_columns(row: str) -> bool:
    """
    Whether the row of a table has several numbers, such as one for each server.
    """
    if not COLUMN.match(row):
        return False
    cells = (cell.strip(" *_") for cell in row.replace(":", "|", 1).split("|"))
    return sum(cell[:1].isdigit() for cell in cells) > 1


def _printed(lines: Sequence[Line]) -> Iterator[str]:
    """
    The lines as ab printed them.
    """
    anchors = [line.text for line in lines if line.kind]
    after = Counter("".join(text[len(text.rstrip(AFTER)) :].split()) for text in anchors)
    usual = after.most_common(1)[0][0] if after else ""
    end = re.compile(r"\s*".join(["", *map(re.escape, usual)]) + r"\s*$")
    texts = [line.text for line in lines]
    for text, following in zip_longest(texts, texts[1:], fillvalue=""):
        # A mail breaks the longest label, and a picture's text may have a line for each cell.
        goes_on = text.endswith("(mean,") or NO_NUMBER.fullmatch(text)
        whole = f"{text} {following}" if goes_on else text
        yield from as_printed(end.sub("", whole))


def _without_answers(lines: Iterable[str]) -> Iterator[str]:
    """
    The lines without what servers answered, which ab prints with -v 2 and more.
    """
    answer: list[str] | None = None
    for line in lines:
        if answer is not None and not AFTER_ANSWERS.match(line):
            if ANSWERS.match(line):
                answer = []
            answer.append(line)
            continue
        if answer is not None and line.startswith(HEADLINE):
            yield from _report_in(answer)
        answer = [] if ANSWERS.match(line) else None
        if not line.startswith("LOG: "):
            yield line
    yield from _report_in(answer or [])


def _report_in(answer: list[str]) -> list[str]:
    """
    The report of a run that was interrupted, which nothing parts from the last answer.
    """
    starts = [number for number, line in enumerate(answer) if line.startswith(REPORT)]
    return answer[starts[-1] :] if starts else []
