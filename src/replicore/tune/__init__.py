"""Predict, measure, correct, plan again: the layout to use, in few runs."""
