"""The predictor: how likely each model is to answer a prompt rightly, learned from eval outcomes.

`outcomes` are what it learns from, `features` what it reads of a prompt, `training` fits it and
says by cross-validation (`gain`) whether it is of use at all, `predictor` is what is kept of it:
one JSON file, read and asked without scikit-learn.
"""
