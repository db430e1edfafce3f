"""
The report: its order and its output formats.
"""
