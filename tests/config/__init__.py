"""Tests of bridge/config."""
