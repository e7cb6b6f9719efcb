"""The map.
"""
