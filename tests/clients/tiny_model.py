"""A tiny model that any llama.cpp runs, and its server, which is a process of its own:

    python -m tests.clients.tiny_model FOLDER

prints its URL, and serves until its standard input ends.

The weights are drawn, so what it says is nonsense. But it is made of WORDS, and has no end: the
end of a text and what is no word are never likely. So an answer is as long as was asked.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

# fmt: off
WORDS = (
    "alder", "ash", "aspen", "beech", "birch", "cedar", "cherry", "elder", "elm",
    "fir", "hazel", "holly", "maple", "oak", "rowan", "willow", "yew",
)
# fmt: on
CONTEXT_TOKENS = 16_384
SEED = 7
WIDTH, HEADS, INNER, LAYERS = 32, 2, 64, 1
BOS, EOS, UNKNOWN = 1, 2, 0
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""What SentencePiece writes for a space."""
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "assistant:"
)

Weights = NDArray[np.float32]


def write_model(path: Path) -> None:
    """Writes a Llama of some 100 KB, the same each time."""
    tokens, types = _vocabulary()
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_context_length(CONTEXT_TOKENS)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores([-float(place) for place in range(len(tokens))])
    out.add_token_types(types)
    out.add_bos_token_id(BOS)
    out.add_eos_token_id(EOS)
    out.add_unk_token_id(UNKNOWN)
    out.add_add_bos_token(True)
    out.add_add_space_prefix(True)
    out.add_chat_template(CHAT_TEMPLATE)
    for name, weights in _weights(tokens).items():
        out.add_tensor(f"{name}.weight", weights)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def _vocabulary() -> tuple[list[str], list[int]]:
    """All bytes, so that nothing is unknown; the words, and their beginnings, from which the
    tokenizer puts them together."""
    kinds = gguf.TokenType
    typed = {"<unk>": kinds.UNKNOWN, "<s>": kinds.CONTROL, "</s>": kinds.CONTROL}
    typed |= {f"<0x{byte:02X}>": kinds.BYTE for byte in range(256)}
    for word in WORDS:
        whole = SPACE + word
        typed |= {whole[:size]: kinds.NORMAL for size in range(1, len(whole) + 1)}
    return list(typed), [int(one) for one in typed.values()]


def _weights(tokens: list[str]) -> dict[str, Weights]:
    """The first of the model's dimensions is the same for every text, and speaks against every
    token that is no word; chance has the others."""
    random = np.random.default_rng(SEED)

    def drawn(*shape: int) -> Weights:
        return (0.3 * random.standard_normal(shape)).astype(np.float32)

    words = {SPACE + word for word in WORDS}
    embeddings, output = drawn(len(tokens), WIDTH), drawn(len(tokens), WIDTH)
    embeddings[:, 0] = 1.0
    output[:, 0] = [0.0 if token in words else -1000.0 for token in tokens]
    ones = np.ones(WIDTH, np.float32)
    weights = {"token_embd": embeddings, "output": output, "output_norm": ones}
    for layer in range(LAYERS):
        adding = {"attn_output": drawn(WIDTH, WIDTH), "ffn_down": drawn(WIDTH, INNER)}
        for one in adding.values():
            one[0] = 0.0
        block = {name: drawn(WIDTH, WIDTH) for name in ("attn_q", "attn_k", "attn_v")}
        block |= {name: drawn(INNER, WIDTH) for name in ("ffn_gate", "ffn_up")}
        block |= {"attn_norm": ones, "ffn_norm": ones, **adding}
        weights |= {f"blk.{layer}.{name}": one for name, one in block.items()}
    return weights


def serve(model: Path) -> None:
    """llama.cpp's server on a free port of this machine."""
    import xllamacpp  # type: ignore[import-untyped]

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.n_threads_http = 8
    params.endpoint_metrics = True
    params.offline = True
    params.warmup = False
    params.verbosity = 0
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_model(folder / "tiny.gguf")
    serve(folder / "tiny.gguf")
