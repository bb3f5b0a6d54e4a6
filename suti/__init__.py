"""Open reproduction of SuTI, "Subject-driven Text-to-Image Generation via Apprenticeship Learning" (arXiv 2304.00186)."""

__version__ = "0.1.0"
