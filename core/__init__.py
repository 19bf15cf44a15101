"""PyTorch in, tensors out. No Streamlit and no Plotly below this folder.

The letters of the axes, once for all signatures:

    b  batch            h  heads             d    features (d_model)
    n  positions        q  query positions   d_k  width of a query or key
    k  key positions    v  width of a value  t    time steps of training
    s  values of the control that is swept

A weight matrix of attention is always ``[..., q, k]``: the row asks, the column is asked.
"""
