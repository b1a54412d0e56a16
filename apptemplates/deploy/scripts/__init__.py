"""Sources that eject and export write beside a model, copied as they are."""
