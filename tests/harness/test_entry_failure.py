"""Out of memory, told from other errors, by errors as torch raises them."""

import errno
import types

import pytest
import torch

from harness.entry_failure import failure, out_of_memory

CUDA = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 15.00 GiB of which 11 MiB is free."
    " Process 77 has 14.60 GiB memory in use. See documentation (https://example.org/memory)"
)
ACCELERATOR = "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call"
CUBLAS = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
COMPILED = "backend='inductor' raised:\nOutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has"


@pytest.fixture
def card(monkeypatch):
    """A card of 15 GiB of which 14.6 were held."""
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 14.6 * 2**30)
    properties = types.SimpleNamespace(total_memory=15 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)


def raised_from(error, cause):
    error.__cause__ = cause
    return error


def with_inner(error, inner):
    error.inner_exception = inner
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError(CUDA), "CUDA out of memory. Tried to allocate 20.00 MiB"),
        (RuntimeError(ACCELERATOR), "CUDA error: out of memory"),
        (torch.AcceleratorError(ACCELERATOR), "CUDA error: out of memory"),
        (RuntimeError(CUBLAS), CUBLAS),
        (RuntimeError(COMPILED), "CUDA out of memory. Tried to allocate 1.50 GiB"),
        (RuntimeError("Triton Error [CUDA]: out of memory"), "Triton Error [CUDA]: out of memory"),
        (RuntimeError("CUDA driver error: out of memory"), "CUDA driver error: out of memory"),
        (RuntimeError("NCCL Error 1: Cuda failure 2 'out of memory'"), "NCCL Error 1"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "cuDNN error"),
        (RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when"), "cusolver error"),
        (RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"), "cuFFT error"),
        (RuntimeError("cuInit: CUDA_ERROR_OUT_OF_MEMORY"), "cuInit"),
        (ExceptionGroup("two ranks", [ValueError("no"), torch.OutOfMemoryError(CUDA)]), "CUDA out of memory. Tried to"),
        (raised_from(ValueError("the step failed"), torch.OutOfMemoryError(CUDA)), "CUDA out of memory. Tried to"),
        (with_inner(RuntimeError("compiling failed"), torch.OutOfMemoryError(CUDA)), "CUDA out of memory. Tried to"),
    ],
)
def test_the_cards_memory_comes_with_its_peak(card, error, said):
    failed = failure(error, "/submission", "cuda:0")
    assert failed.kind == "memory"
    assert failed.message.startswith(said)
    assert failed.message.endswith("; peak 14.6 of 15.0 GiB on cuda:0")
    assert "\n" not in failed.message


def test_the_line_that_asked_for_the_memory_is_named(card, tmp_path):
    entry = tmp_path / "speedrun.py"
    entry.write_text("def train(error):\n    raise error\n")
    names = {}
    exec(compile(entry.read_text(), str(entry), "exec"), names)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        names["train"](torch.OutOfMemoryError(CUDA))
    assert failure(caught.value, str(tmp_path), "cuda:0").message == (
        "CUDA out of memory. Tried to allocate 20.00 MiB; peak 14.6 of 15.0 GiB on cuda:0 (speedrun.py, line 2)"
    )


def test_a_card_that_can_not_be_asked_any_more_costs_only_the_peak(monkeypatch):
    def fail(device):
        raise RuntimeError(ACCELERATOR)

    monkeypatch.setattr(torch.cuda, "max_memory_reserved", fail)
    failed = failure(RuntimeError(ACCELERATOR), "/submission", "cuda:0")
    assert (failed.kind, failed.message) == ("memory", "CUDA error: out of memory")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("unable to mmap 4096 bytes: Cannot allocate memory (12)"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        MemoryError(),
    ],
)
def test_the_hosts_memory_has_no_peak(card, error):
    failed = failure(error, "/submission")
    assert failed.kind == "memory"
    assert "peak" not in failed.message


def test_an_error_that_followed_a_handled_one_is_its_own():
    try:
        try:
            raise torch.OutOfMemoryError(CUDA)
        except torch.OutOfMemoryError:
            raise ValueError("a slip in the handler")  # noqa: B904 - as an entry would write it
    except ValueError as error:
        assert out_of_memory(error) is None
        assert failure(error, "/submission").kind == "crash"


def test_a_chain_that_bites_its_tail_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert out_of_memory(first) is None


def test_words_alone_are_no_memory_error():
    assert out_of_memory(ValueError("CUDA out of memory")) is None
    assert out_of_memory(RuntimeError("my router: not enough memory slots for experts")) is None
    assert out_of_memory(OSError(errno.ENOSPC, "No space left on device")) is None
