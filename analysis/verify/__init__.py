"""
Whether a run reproduces another one, the reference: by its effects, never by its times or rates.
"""
