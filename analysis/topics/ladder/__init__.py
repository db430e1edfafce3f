"""
What each single step between two systems costs.
"""
