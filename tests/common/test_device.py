"""Devices: a wrong one is told in one line, in the words of the room that asked."""

import pytest
import torch

from common.device import DeviceError, checked_device, pick_device
from encoders import device as encoder_device
from encoders.errors import EncoderError


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("gpu", "device 'gpu' is not known; use auto, cpu, cuda or cuda:N"), ("cuda:63", "device 'cuda:63' is not there")],
)
def test_a_wrong_device_is_named_by_each_room(wanted: str, told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        pick_device(wanted)
    with pytest.raises(EncoderError, match=told) as error:
        encoder_device.pick_device(wanted)
    assert "\n" not in str(error.value)


def test_how_a_device_is_written_is_checked_without_looking_for_it() -> None:
    assert [checked_device(name) for name in ("auto", "cpu", "cuda", "cuda:9")] == ["auto", "cpu", "cuda", "cuda:9"]
    with pytest.raises(DeviceError):
        checked_device("cuda:")


def test_weights_are_asked_for_or_chosen_by_the_device() -> None:
    assert encoder_device.dtype_name("float32", "cpu") == "float32"
    assert encoder_device.dtype_name("auto", "cpu") in ("float32", "bfloat16")
