"""Recommenders that are solved, not trained."""
