"""Surveys: designs, reliability, comparison of variants, and what offline metrics tell of satisfaction."""
