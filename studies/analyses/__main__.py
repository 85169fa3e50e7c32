"""`python -m studies.analyses`: about four minutes on one core."""

from studies.analyses.page import main

main()
