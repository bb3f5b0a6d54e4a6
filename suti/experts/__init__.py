"""Experts (section 4.1, Eq. 4): one fine-tuned model a subject, many at once."""
