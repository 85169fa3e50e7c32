"""Where the embedded model looks and when its answer appears: `python -m experiments.analyses` writes docs/analyses.md."""
