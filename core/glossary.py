"""The words that a newcomer lacks, in half a line each, once for all lessons. A lesson names those that it needs.

Alphabetical. The search of the front door finds them too.
"""

GLOSSARY = {
    "amplification": "how much the output moves when all weights move a little",
    "causal": "sees itself and what came before, nothing later",
    "cross-entropy": "−ln of the probability given to the right answer, averaged",
    "d²": "the parameters of one d × d matrix; d is the width of the model",
    "d_ff": "the width of the feed-forward layer's middle",
    "encoder": "a stack in which every token sees every token",
    "entropy": "the loss of the best possible guess; nobody honest gets below",
    "equivariant": "reorder the inputs, and the outputs are reordered alike",
    "FFN": "the feed-forward layer: two matrices and a bend between them",
    "gate": "a third feed-forward matrix, whose output multiplies the first one's",
    "grouped heads": "query heads that share one key head and one value head",
    "head": "one attention with its own small Q, K and V",
    "invariant": "reorder the inputs, and nothing changes at all",
    "Jacobian": "all derivatives of outputs with respect to inputs",
    "KV cache": "keys and values of earlier tokens, kept while a text is written",
    "logit": "a score before the softmax",
    "mask": "who may look at whom",
    "nats": "the unit of a loss that is measured with ln",
    "one-hot": "one weight is 1, the rest are 0",
    "parameter": "a number that training changes",
    "position encoding": "numbers that tell a token where it stands",
    "residual stream": "the running sum x that every sublayer adds to",
    "row": "one query's weights over all keys; they sum to 1",
    "saturated": "one weight near 1, the rest near 0",
    "sinusoids": "sines and cosines of the position, each pair with its own speed",
    "stream": "the running sum x that every sublayer adds to",
    "sublayer": "attention or feed-forward, with its skip and its norm",
    "warm-up": "a learning rate that starts small and rises",
}
