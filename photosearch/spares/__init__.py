"""Spare photos moved to a folder of their own, by a plan and with a log, and moved back. Nothing is deleted."""
