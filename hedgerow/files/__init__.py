"""The files that people write: each key, what it means and may be, and what is wrong with it.

`config_file`, `policy_file`, `prices_file` and `invoice_mapping` are the files, a `_spec` is a part
of one, `settings` are the kinds of values. What is read of them as a whole is `hedgerow.config`.
"""
