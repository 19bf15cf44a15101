"""One thread, as in the app: the tests run two at a time on two cores."""

import torch

torch.set_num_threads(1)
