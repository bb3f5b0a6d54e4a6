"""Many experts at once: one pass of the shared base serves K subjects, each with weights of its own (section 4.1)."""
