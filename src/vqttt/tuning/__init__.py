"""Test-time tuning: adapters, the objectives that tune them, and corrections chosen for each image."""
