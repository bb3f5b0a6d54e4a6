"""Optimisers: Adafactor in banks of equal shapes, and Muon."""
