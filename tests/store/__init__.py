"""The SQL store beyond its port: schema, addresses, errors."""
