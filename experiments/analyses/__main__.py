"""Write docs/analyses.md and its figures: `python -m experiments.analyses`, about five minutes on one core."""

from experiments.analyses.page import main

main()
