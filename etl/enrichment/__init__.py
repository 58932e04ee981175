"""Texts and facts that a language model writes about the items of a catalogue, each with where it comes from."""
