"""What a layout does under a load: batches, waiting, goodput and its chance to meet the SLO.

Start with :func:`replicore.planner.serving.service.service_of`.
"""
