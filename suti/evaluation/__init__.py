"""Evaluation (section 5): benchmarks, metrics, bootstrap intervals, and the published numbers to print
beside ours."""
