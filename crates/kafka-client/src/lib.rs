//! A Kafka client: sans-IO core and a thin tokio driver, with TLS and SASL.
