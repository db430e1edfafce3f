"""
Estimates, intervals and verdicts.
"""
