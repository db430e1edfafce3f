"""
Fuzzing of everything that reads what somebody else wrote; ``nox -s fuzz -- --help``.

``targets`` are the readers, each with valid samples; ``mutation`` changes a sample where its format
has a meaning. A unit test gives every target such changes and the kept corpus; the command gives it
what Atheris finds by the coverage of the code.
"""
