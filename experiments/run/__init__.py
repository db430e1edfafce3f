"""
The runner in the lab: the loop over blocks, and the phases of a trial.
"""
