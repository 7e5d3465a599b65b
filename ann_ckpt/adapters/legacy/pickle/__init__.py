"""Pickles: read without executing anything in them, and written as ANNarchy does."""
