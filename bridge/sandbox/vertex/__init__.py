"""The local Vertex AI stand-in: one core on the service's own messages, a gRPC and a REST front."""
