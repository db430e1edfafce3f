"""
How figures are drawn: pure functions from numbers to SVG, data and words.
"""
