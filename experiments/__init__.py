"""Experiments behind the project's choices and pages. Each is a command; none is a test."""
