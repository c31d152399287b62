//! The one printer of values: the text that Flink's SQL Client shows, which is also the text of CAST to STRING.
