"""Open reproduction of SuTI: subject-driven generation via apprenticeship learning (arXiv 2304.00186)."""

__version__ = "0.1.0"
