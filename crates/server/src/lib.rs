//! The imperative shell: listeners for Kafka and metrics, authentication, process-wide broker.
