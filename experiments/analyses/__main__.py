"""`python -m experiments.analyses`: about four minutes on one core."""

from experiments.analyses.page import main

main()
