//! Record formats to and from batches: json, csv, raw. Pure, without IO.
