"""
How far the numbers of a run can be trusted.
"""
