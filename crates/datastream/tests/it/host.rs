//! An environment without Kafka and without a directory, and the rows of its streams.

use std::fmt::Debug;

use millstream_datastream::table::StreamTableEnvironment;
use millstream_datastream::{Data, DataStream, Environment};

pub use millstream_datastream::testing::environment;

/// The tables of an environment.
pub fn tables(env: &Environment) -> StreamTableEnvironment {
    StreamTableEnvironment::create(env).expect("an environment with tables")
}

/// All rows of a stream, sorted: with several instances their order is open.
pub fn collect<T: Data + Debug + Ord>(stream: DataStream<T>) -> Vec<T> {
    let rows = stream.execute_and_collect("test").expect("the program starts");
    let mut rows: Vec<T> = rows.map(|row| row.expect("the program continues")).collect();
    rows.sort();
    rows
}

/// All rows in the order in which they come.
pub fn in_order<T: Data>(stream: DataStream<T>) -> Vec<T> {
    let rows = stream.execute_and_collect("test").expect("the program starts");
    rows.map(|row| row.expect("the program continues")).collect()
}

/// The error with which a program fails.
pub fn failure<T: Data + Debug>(stream: DataStream<T>) -> String {
    let rows = match stream.execute_and_collect("test") {
        Ok(rows) => rows,
        Err(error) => return error.message,
    };
    let failed = rows.filter_map(Result::err).next();
    failed.expect("the program fails").message
}
