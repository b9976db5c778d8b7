"""
Measures copies of six shapes: against the naive way, and against the most that this machine can do.

`BRIDGE_BENCH=… python -m benchmarks.copying` prints a table; `measuring.measure` gives its rows to benchmarks.run.

Each copy runs in a process of its own; the ways alternate in one run, and only their ratios mean anything. There is
no TLS and no distance, but where a shape says so.
"""
