"""A procedural world with known truth: subjects, scenes, pictures, captions, web pages and a benchmark."""
