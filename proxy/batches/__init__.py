"""Files and batches: /v1/files and /v1/batches, and what runs the batches.

    routes ──────────────▶ FileStore, BatchStore ──▶ Database (one SQLite file)
                                   ▲
    Runner ── validates, places ───┤
      ├── OwnRun: lines that we run ourselves, each by the same story as a live request
      └── ProviderJob: lines that a provider runs as a batch of its own, for less

`Runner` is the one door: whoever has it open runs the batches, and nobody else does.
"""
