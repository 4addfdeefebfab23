"""An experiment as data: strict YAML in, one frozen `Experiment` out, or one clear `ConfigError`."""
