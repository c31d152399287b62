//! Streams: what a program writes down. Nothing runs before [`crate::Environment::execute`].

pub mod connected;
mod data_stream;
pub mod joined;
pub mod keyed;
mod windowed;

pub use connected::{
    BroadcastConnectedStream, BroadcastStream, ConnectedStreams, KeyedBroadcastStream, KeyedConnectedStreams,
};
pub use data_stream::{DataStream, DataStreamSink};
pub use joined::{CoGrouped, IntervalJoined, Joined};
pub use keyed::KeyedStream;
pub use windowed::{EvictingStream, WindowedStream};
