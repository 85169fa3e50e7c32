"""Does VQ-TTT earn its keep? `python -m studies.method` measures it against every baseline, on test scenes."""
