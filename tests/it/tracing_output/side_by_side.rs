//! One application with tower-http's `TraceLayer` and with this layer: what the logs have.
