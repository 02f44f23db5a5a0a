"""Features of a sample that say nothing of its subject: a central crop, the borders, brightness, length.

May not: know the labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mllint.probe.recording.data.samples import Samples

#: Channels that are looked at, numbers a sample that a signal has at least, sides of an image at least.
_CHANNELS, _SIGNAL, _SIDE = 8, 256, 8


def main_part(samples: Samples, pad: int | None) -> str | None:
    """The part that is most likely the model's input: floats or bytes with most numbers a sample, else texts, else tokens
    with a mask."""
    wide = {path: part for path, part in samples.rows.items() if part.dim() > 1 and not part.is_complex()}
    real = {path: part for path, part in wide.items() if part.is_floating_point() or part.dtype == torch.uint8}
    found = {path: part for path, part in real.items() if _is_image(part) or part[0].numel() >= _SIGNAL}
    if found:
        return max(found, key=lambda path: found[path][0].numel())
    masks = [path for path in wide if _is_mask(path, wide[path])]
    tokens = [path for path in wide if path not in real and not _is_mask(path, wide[path])] if pad is not None else []
    return next(iter([*samples.texts, *masks, *tokens]), None)


def trivial_features(samples: Samples, path: str, pad: int | None) -> dict[str, torch.Tensor]:
    """Groups of features, each (N, F), by what they are."""
    if path in samples.texts:
        return {"length": torch.tensor([[float(len(text))] for text in samples.texts[path]])}
    if not samples.rows[path].is_floating_point() and samples.rows[path].dim() == 2:
        kept = torch.ne(samples.rows[path], 0 if _is_mask(path, samples.rows[path]) else pad or 0)
        return {"length": kept.sum(1, keepdim=True).float()}
    part = samples.rows[path].float()
    if not _is_image(part):
        return {"mean and spread of the signal": _statistics(part.flatten(1)[:, None])}
    images = _channels_first(part)[:, :_CHANNELS]
    return {
        "central crop": _central_crop(images),
        "borders": _borders(images),
        "channel statistics": _statistics(images.flatten(2)),
    }


def _is_mask(path: str, part: torch.Tensor) -> bool:
    return "mask" in path.lower() and part.dim() == 2 and not part.is_floating_point()


def _is_image(part: torch.Tensor) -> bool:
    return part.dim() == 4 and min(_channels_first(part).shape[2:]) >= _SIDE


def _channels_first(part: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W), from (N, H, W, C) too where the last size can only be channels."""
    return part.movedim(-1, 1) if part.shape[-1] <= 4 < part.shape[1] else part


def _statistics(values: torch.Tensor) -> torch.Tensor:
    """Mean, spread, least and greatest of (N, C, K), by channel."""
    return torch.cat([values.mean(2), values.std(2), values.amin(2), values.amax(2)], dim=1)


def _central_crop(images: torch.Tensor) -> torch.Tensor:
    """The middle quarter of each side as 2 x 2 means, and its spread."""
    height, width = images.shape[2:]
    tall, wide = max(2, height // 4), max(2, width // 4)
    top, left = (height - tall) // 2, (width - wide) // 2
    crop = images[:, :, top : top + tall, left : left + wide]
    return torch.cat([F.adaptive_avg_pool2d(crop, 2).flatten(1), crop.flatten(2).std(2)], dim=1)


def _borders(images: torch.Tensor) -> torch.Tensor:
    """The means of the four sides, a sixteenth wide."""
    tall, wide = (max(1, size // 16) for size in images.shape[2:])
    sides = (images[:, :, :tall], images[:, :, -tall:], images[:, :, :, :wide], images[:, :, :, -wide:])
    return torch.cat([side.flatten(2).mean(2) for side in sides], dim=1)
