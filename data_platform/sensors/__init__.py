"""Sensors: what asks for runs as things happen; one module a sensor.

They start stopped, as is Dagster's habit, unless the config says otherwise. Each decides from the
lake, the clock and the runs under way; none asks an exchange.
"""
