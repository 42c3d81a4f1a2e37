"""The paper's figure 2 as tensors: encoder, filters, decoder; no names, files or images."""
