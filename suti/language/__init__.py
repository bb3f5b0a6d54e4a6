"""The language stage: subject descriptions, refined captions and unseen prompts (section 4 of the paper).

Three backends behind one interface (``writers.Writer``): ``grammar`` needs no model, ``transformers`` runs a
local instruct model, ``openai`` asks any OpenAI-compatible server.
"""
