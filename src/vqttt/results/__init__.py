"""What a run's records show: statistics, frames, tables, figures and reports, without torch."""
