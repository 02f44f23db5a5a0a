"""One file a measurement: ``record(run)`` returns what `mllint.probe.measured.<stem>` describes, or raises `Skip`."""
