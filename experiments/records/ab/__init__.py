"""
ApacheBench's text: what it says, whichever version printed it and wherever it was pasted.

Three steps, one module each: ``lines`` takes off what is not ab's, ``fields`` says which values a
line holds, ``output`` puts them together. Reading is tolerant: a missing value is None, and nothing
is an error. Callers check: ``experiments/load/ab_output.py`` strictly, ``analysis/audit`` in words.
``report`` is the type that a record stores.
"""
