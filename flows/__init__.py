"""Prefect flows: the only code here that imports Prefect."""
