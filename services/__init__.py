"""Smart Power Station: a home battery that answers demand-response events."""
