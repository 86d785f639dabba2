"""Measuring policies: which episodes, their scores, statistics over them, tables and figures.

Import from the modules: only `evaluate` needs simulators, only `plots` needs matplotlib.
"""
