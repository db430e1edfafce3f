"""
What a text that holds no output of ab is instead: another tool's output, or another file of ab.
"""

from __future__ import annotations

import re

from analysis.audit.findings import shortened
from experiments.records.ab.lines import without_escapes

SAMPLE_CHARACTERS = 100_000
SHOWN_CHARACTERS = 60

FORMATS = {
    "JSON": r"\A\s*[{\[]\s*[\"{\[]",
    "the output of wrk": r"(?m)^Running .* test @ ",
    "the output of h2load": r"(?m)^starting benchmark\.\.\.|^finished in .*req/s",
    "the output of hey": r"(?m)^Status code distribution:|^Summary:\s*$",
    "the output of siege": r"(?m)^[ \t]*(?:\*\* SIEGE|Transactions:\s+\d+ hits)",
    "the output of vegeta": r"(?m)^Requests\s+\[total, rate",
    "the output of k6": r"(?m)^[ \t]*http_reqs?[._a-z]*:? ",
    "ab's HTML (-w); the audit reads ab's plain text": (
        r"(?i)<t[hd][^>]{0,200}>\s{0,20}Server Software:"
    ),
    "ab's percentile file (-e); the audit reads the text that ab printed": (
        r"\APercentage served,Time in ms"
    ),
    "ab's gnuplot file (-g); the audit reads the text that ab printed": (
        r"\Astarttime\tseconds\tctime"
    ),
}
"""Each format by the end of a sentence that names it."""


def describe(text: str) -> str:
    """
    What the text looks like, as the end of a sentence.
    """
    text = without_escapes(text).strip()
    if not text:
        return "it is empty"
    for name, mark in FORMATS.items():
        if re.search(mark, text[:SAMPLE_CHARACTERS]):
            return f"it looks like {name}"
    return f"it begins “{shortened(text.splitlines()[0].strip(), SHOWN_CHARACTERS)}”"
