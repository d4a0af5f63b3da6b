"""The ways of training: one model at a time, or many stacked in one step."""

SINGLE, DETERMINISTIC = "single", "deterministic"
STACKED = {
    DETERMINISTIC: "stacked, float32, without compilation: repeats bit for bit on the same device",
    "tf32": "stacked, compiled, matrix products in tf32: repeats within rounding",
    "bfloat16": "stacked, compiled, bfloat16 with float32 weights: repeats within rounding",
}
