"""Pools: a fixed number of workers for work that comes from anywhere.

Read first: `pool.py` (what a user calls), then `desk.py` (who gets which worker, and when), then `pool_engine.py` (the
supervisor of the workers).

This wing never hands out a worker that is ending, or that still works for someone else. It leaves starts, restarts and
ends to supervisors. Other wings import from here, not from the files.
"""

from .pool import Pool
from .pool_engine import PoolEngine, claimer_of, claims_of, pools_of
from .pool_supervisor import PoolSupervisor, open_pool
from .statistics import PoolStatistics

__all__ = ["Pool", "PoolEngine", "PoolStatistics", "PoolSupervisor", "claimer_of", "claims_of", "open_pool", "pools_of"]
