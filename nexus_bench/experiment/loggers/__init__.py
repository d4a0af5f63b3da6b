"""Where learning curves go while cells are trained, besides curve.csv: TensorBoard, Weights & Biases, MLflow.

To add a logger: a class with the methods of `base.Logger` in a module here, and its name in `chosen.LOGGERS`.
"""
