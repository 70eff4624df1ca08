"""Who decides: the modes of ``GlobalOptimizer``, the baselines, and plans carried out."""
