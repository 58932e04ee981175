"""Experiments: who meets which variant, what came of it, and quicker ways to compare."""
