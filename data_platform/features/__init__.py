"""Joined tables for models: returns, volatility, coarser timeframes by availability.

Belongs here: feature sets, filling, resampling, joins by time of availability. Stays out: files,
anything that reads a candle before it was closed.
"""
