"""Recommenders: embedding tables and dense layers."""
