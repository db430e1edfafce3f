"""
Looking at what is there: the answer before the load, the machine, the state of the network.
"""
