"""Experiments as jobs of a Ray cluster, through its Jobs API alone: nothing here joins the cluster."""
