"""
Whether a run reproduces a reference run, judged by its effects and not by its times or rates.
"""
