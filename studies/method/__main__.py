"""`python -m studies.method`; in a module of its own, since processes cannot be started from `__main__`."""

from studies.method.measure import main

main()
