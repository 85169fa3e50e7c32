"""Where the embedded model looks and when its answer appears: `python -m studies.analyses` writes docs/analyses.md."""
