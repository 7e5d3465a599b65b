"""Pickles, read without running anything in them, and written as ANNarchy writes them."""
