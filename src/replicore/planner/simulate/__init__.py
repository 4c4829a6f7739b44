"""A fleet of replicas as discrete events, on the planner's own step model: tails, not means.

Start with :func:`replicore.planner.simulate.fleet.simulate`.
"""
