"""The house put together: the command line, the configuration, and the one place that opens it all.

`cli` finds a command's module when it is called; `config` reads the files (`files`) and names every
error; `app` opens the parts in order and closes them in reverse; `market` is what feeds, probes and
workers bring to the market. A rehearsal (`demo`, `simulate`) is the same house with sandbox
providers in the place of real ones.
"""
