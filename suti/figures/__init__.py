"""Tables and figures: one module an artifact of the paper, all deterministic to the byte."""
