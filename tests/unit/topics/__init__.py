"""
What each topic of the report finds, says and draws.
"""
