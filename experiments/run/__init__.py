"""
What runs in the lab: the loop over blocks, and everything that a trial goes through.
"""
