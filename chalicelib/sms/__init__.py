"""SMS gateways with a common protocol, and the failover between them."""
