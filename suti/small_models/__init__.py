"""Training of the shipped models: one file a model, one loop for all."""
