#!/usr/bin/env python3
"""Log-mel features of a folder of sounds, as .npy for `bittern hash`: the audio protocol without a learned encoder.

    /usr/bin/python3 experiments/hashing_baseline/log_mel.py ../shared/data/esc10 build/esc10

ESC's metadata.csv (file, fold, class_id) says what is there; fold 1 is the database and the training set of the components, the others are
queries, as in Hashing-Baseline (arXiv 2509.14427). A clip becomes mean and deviation over time of 64 log-mel bands (32 kHz, window 1024, hop 320,
50 to 14,000 Hz, HTK mel): 128 numbers. Needs NumPy and python3-soundfile.
"""
import csv, os, sys
import numpy as np
import soundfile

RATE, WINDOW, HOP, BANDS, LOW, HIGH = 32000, 1024, 320, 64, 50.0, 14000.0


def mel(hertz):
    return 2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0)


def filters():
    """(BANDS, WINDOW/2+1) triangles of height 1, corners equally spaced in mel."""
    corners = 700.0 * (10.0 ** (np.linspace(mel(LOW), mel(HIGH), BANDS + 2) / 2595.0) - 1.0)
    bins = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    up = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    down = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(up, down))


def resampled(x, rate):
    """Band-limited by the Fourier transform: whole clips, so no edges inside."""
    if rate == RATE:
        return x
    count = int(round(len(x) * RATE / rate))
    spectrum = np.fft.rfft(x)
    return np.fft.irfft(spectrum[: count // 2 + 1], count) * (count / len(x))


def features(path, bank):
    x, rate = soundfile.read(path, dtype="float64", always_2d=True)
    x = resampled(x.mean(axis=1), rate)
    x = np.pad(x, (0, max(0, WINDOW - len(x))))
    frames = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[::HOP] * np.hanning(WINDOW + 1)[:-1]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    bands = 10.0 * np.log10(np.maximum(power @ bank.T, 1e-10))
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])


def main(root, out):
    with open(os.path.join(root, "metadata.csv"), newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    bank = filters()
    x = np.stack([features(os.path.join(root, row["file"]), bank) for row in rows]).astype(np.float32)
    label = np.array([int(row["class_id"]) for row in rows], dtype=np.int64)
    database = np.array([row["fold"] == "1" for row in rows])
    os.makedirs(out, exist_ok=True)
    for name, of in (("database", database), ("query", ~database)):
        np.save(os.path.join(out, name + ".npy"), x[of])
        np.save(os.path.join(out, name + "_labels.npy"), label[of])
    print("%d database clips, %d queries, %d numbers each: %s" % (database.sum(), (~database).sum(), x.shape[1], out))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
