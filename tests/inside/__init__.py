"""
Tests that run inside the lab: real deployments, real dockerd, real ab.
"""
