"""
Measures the service: `python -m benchmarks.service [PART…]` prints a table.

The sandbox, and `bridge run`, are processes of their own, as users have them; people tag through W&B's own SDK. What
each part measures is said in its module: starting, moves, crowd, quiet.
"""
