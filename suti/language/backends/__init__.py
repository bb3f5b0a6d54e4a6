"""Language models behind one interface: a local instruct model, or a server that speaks OpenAI's protocol."""
