"""The GPU's time over whole training steps, from torch's profiler.

May not: judge; `device_time.py` reads the profile, the rule judges. Never run on a GPU yet.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from mllint.probe.device_time import STEP, busy, copies_of, gaps_of, spans_of, steps_in
from mllint.probe.measured.idle_device import IdleDevice
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

_WARM_UP, _STEPS = 2, 4


def record(run: Run) -> IdleDevice:
    """Raises Skip where the profiler saw no work on the GPU although the model lies there."""
    parameters = list(run.model.parameters())
    on_host = sum(parameter.numel() for parameter in parameters if not parameter.is_cuda)
    for number in range(_WARM_UP):
        run.step(number)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for number in range(_STEPS):
            with record_function(STEP):
                run.step(number)
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        spans = spans_of(json.loads(path.read_text("utf-8"))["traceEvents"])
    steps = steps_in(spans)
    kernels = sum(span.kind == "kernel" for span in spans)
    if not steps or (not kernels and on_host < sum(map(torch.Tensor.numel, parameters))):
        raise Skip("the profiler saw no work on the GPU")
    worked = [last - first for start, end in steps for first, last in busy(spans, start, end)]
    return IdleDevice(
        device=torch.cuda.get_device_name(),
        steps=len(steps),
        step_seconds=(steps[-1][1] - steps[0][0]) / 1e6 / len(steps),
        busy_seconds=sum(worked) / 1e6 / len(steps),
        kernels=kernels / len(steps),
        gaps=gaps_of(spans),
        copies=copies_of(spans),
        host_elements=on_host,
        elements=sum(map(torch.Tensor.numel, parameters)),
    )
