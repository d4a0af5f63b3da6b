"""Statements on results: intervals, hop reach, tests between models and between runs."""
