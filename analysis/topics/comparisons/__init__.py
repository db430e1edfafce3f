"""
Treatments against their baselines.
"""
