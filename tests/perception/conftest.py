"""Small tensors gain nothing from threads, and lose much where the cores are shared."""
import pytest


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
