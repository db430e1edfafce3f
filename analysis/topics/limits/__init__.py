"""
Resource limits: dose and response.
"""
