"""
ApacheBench's text: what it says, whichever version printed it.

``lines`` are read by ``fields``, which say what values a line holds; ``splitting`` tells one output
from the next, and ``output`` puts its values together. Reading is tolerant: a missing value is
None, and nothing is an error. Callers check: ``experiments/load/ab_output.py`` strictly,
``analysis/audit`` in words, after it has taken off what people's texts put around ab's lines.
``report`` is the type that a record stores.
"""
