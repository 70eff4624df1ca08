"""The modes of ``GlobalOptimizer``, the baselines, and the execution of plans."""
