"""Run folders: the schema of their records, and how they are written, resumed and read."""
