"""A sentence encoder small enough for tests: two layers of random weights over letters."""

import string
from pathlib import Path

import torch

WIDTH = 16


def write_sentence_encoder(folder: Path, seed: int = 0) -> Path:
    """Save an encoder to ``folder`` as sentence-transformers does; every word is known by its
    letters.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = [*string.ascii_lowercase, *string.digits, ".", ",", ":"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    tokens += [f"##{letter}" for letter in letters]
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(seed)
    settings = BertConfig(vocab_size=len(tokens), intermediate_size=32, **sizes)
    bert = folder.with_name(f"{folder.name}.bert")
    BertModel(settings).save_pretrained(bert)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(bert)
    parts = [modules.Transformer(str(bert)), modules.Pooling(WIDTH)]
    SentenceTransformer(modules=parts, device="cpu").save(str(folder))
    return folder
