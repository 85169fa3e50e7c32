"""Studies behind the project's own choices; commands, not tests."""
