"""
The figures of the report: pure functions from a run's records to SVG, its data, and its words.
"""
