"""
Drawing: pure functions from numbers to SVG, CSV and text alternatives.
"""
