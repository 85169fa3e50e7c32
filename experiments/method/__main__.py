"""`python -m experiments.method`; workers import what they need from `measure`, which is why this is not it."""

from experiments.method.measure import main

if __name__ == "__main__":
    main()
