"""An experiment as data: strict YAML in, one frozen `Experiment` or one clear `ConfigError` out."""
