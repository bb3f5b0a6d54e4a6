"""The page of ``suti app``: ``actions`` is what it does, ``page`` how it looks; only the latter needs Gradio."""
