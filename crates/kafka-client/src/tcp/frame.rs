//! Frames on a connection: a length of four bytes and that many bytes.

use std::io::{Error, ErrorKind, Result};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Cap on a response: Kafka's largest fetch is bounded by `fetch.max.bytes`, of which this is several times the
/// default.
pub(super) const FRAME_BYTES_MAX: usize = 512 << 20;
/// How much is read at a time at least.
const READ_BYTES: usize = 64 * 1024;
/// How much room is made at once for a frame that is not there yet.
const RESERVE_BYTES_MAX: usize = 8 << 20;

/// Reads the next frame. Bytes behind it stay in `buffer`.
pub(super) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<Bytes> {
    fill(stream, buffer, 4).await?;
    let length = buffer.get_i32();
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= FRAME_BYTES_MAX)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidData,
                format!("frame of {length} bytes; is this really a Kafka port?"),
            )
        })?;
    fill(stream, buffer, length).await?;
    Ok(buffer.split_to(length).freeze())
}

/// Reads until `buffer` holds `wanted` bytes.
async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut, wanted: usize) -> Result<()> {
    while buffer.len() < wanted {
        let missing = wanted - buffer.len();
        buffer.reserve(missing.clamp(READ_BYTES, RESERVE_BYTES_MAX));
        if stream.read_buf(buffer).await? == 0 {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the broker closed the connection",
            ));
        }
    }
    Ok(())
}
