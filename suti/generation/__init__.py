"""Drawing: a benchmark with one system, and the pictures that a person asks for."""
