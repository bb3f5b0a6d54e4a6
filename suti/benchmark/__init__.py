"""Benchmarks: subjects, demonstrations, references and prompts, of the world or of photos."""
