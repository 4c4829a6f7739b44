"""From data-sheet seconds to predicted ones: factors fitted to measurements, drawn to priors.

Start with :class:`replicore.planner.prediction.predictor.Predictor`.
"""
