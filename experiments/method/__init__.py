"""Does VQ-TTT earn its keep? `python -m experiments.method` measures it against every baseline, on test scenes."""
