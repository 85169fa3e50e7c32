"""What every method gains and costs on VQ-Mini's test scenes and other tasks: `python -m experiments.method`."""
