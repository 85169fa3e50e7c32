"""`python -m experiments.method`; in a module of its own, since processes cannot be started from `__main__`."""

from experiments.method.measure import main

main()
