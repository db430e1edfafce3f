"""
Intervals, paired estimates and verdicts.
"""
