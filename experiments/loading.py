"""Loading models for experiments."""

import torch

from vqttt.models import load_model
from vqttt.models.tunable import TunableModel, tunable


def load_on_one_thread(name: str) -> TunableModel:
    """Load a model, on one thread, so that answers do not depend on the number of workers."""
    torch.set_num_threads(1)
    return tunable(load_model(name), "the experiment")
