"""How fast, how large, how much memory: ann_ckpt beside the limit and beside its peers.

`python -m benchmarks --help` says how to run them; `harness.py` says what a case is.
"""
