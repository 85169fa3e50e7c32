"""Where the embedded model attends and when its answer appears: `python -m experiments.analyses` writes the page."""
