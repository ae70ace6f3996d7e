"""The hedge: which fixed-price contracts keep the month under its cap, and why.

A plan's way through this room: `demand` is what was used, by the hour; `scenarios` draws next
months from it; `contracts` says what can be bought, and `loads` what that carries in each scenario;
`program`, the only module that imports cvxpy, finds the units to hold, and `recourse` tells it what
a holding costs. `bills` works the same months out again by plain arithmetic, and `plan` refuses to
be believed unless both agree; `reasons` says why. `planning` is the whole way in one function,
`sample` a bundled month to try it on.
"""
