"""Attacks of the coordinator on updates and aggregates.

Where replicas recompute the aggregate, it proposes a false one; once refused, it proposes the true
one, since otherwise the task would end there. Where nobody recomputes, it changes what the strategy
is given, and the model is what comes out.
"""
