"""The service, piece by piece, with ends in memory."""
