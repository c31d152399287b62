//! Frames on a connection: a length of four bytes and that many bytes.
//!
//! Records of a fetch are never copied: they refer to the frame. Large frames therefore leave their buffer behind, and it
//! is recycled once nothing refers to it: fresh memory for each fetch would cost a page fault for every 4 KiB.

use std::collections::VecDeque;
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

/// Frames that need at least this much room at once get a recycled buffer.
const RECYCLED_BYTES_MIN: usize = 256 << 10;
/// Buffers of earlier frames that are remembered.
const SPENT_MAX: usize = 3;

/// What was read from a connection and not taken yet.
#[derive(Default)]
pub(super) struct FrameBuffer {
    bytes: BytesMut,
    /// Empty ends of the buffers that hold earlier frames.
    spent: VecDeque<BytesMut>,
}

impl FrameBuffer {
    /// Makes room to read `wanted` bytes.
    fn reserve(&mut self, wanted: usize) {
        let free = self.bytes.capacity() - self.bytes.len();
        if free >= wanted || wanted < RECYCLED_BYTES_MIN || self.bytes.try_reclaim(wanted) {
            return self.bytes.reserve(wanted);
        }
        let needed = self.bytes.len() + wanted;
        let reclaimed = self.spent.iter_mut().position(|spent| spent.try_reclaim(needed));
        let recycled = reclaimed.and_then(|index| self.spent.remove(index));
        let mut next = recycled.unwrap_or_else(|| BytesMut::with_capacity(needed));
        next.extend_from_slice(&self.bytes);
        let mut spent = std::mem::replace(&mut self.bytes, next);
        spent.clear();
        self.spent.push_back(spent);
        if self.spent.len() > SPENT_MAX {
            self.spent.pop_front();
        }
    }
}

/// Reads the next frame. Bytes behind it stay in `buffer`.
pub(super) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut FrameBuffer,
) -> Result<Bytes> {
    fill(stream, buffer, 4).await?;
    let length = buffer.bytes.get_i32();
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
    Ok(buffer.bytes.split_to(length).freeze())
}

/// Reads until `buffer` holds `wanted` bytes.
async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut FrameBuffer, wanted: usize) -> Result<()> {
    while buffer.bytes.len() < wanted {
        let missing = wanted - buffer.bytes.len();
        buffer.reserve(missing.clamp(READ_BYTES, RESERVE_BYTES_MAX));
        if stream.read_buf(&mut buffer.bytes).await? == 0 {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the broker closed the connection",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_frames_take_turns_in_the_same_memory() {
        let body = vec![9u8; 1 << 20];
        let mut stream = Vec::new();
        for _ in 0..6 {
            stream.extend_from_slice(&(body.len() as i32).to_be_bytes());
            stream.extend_from_slice(&body);
        }
        let (mut input, mut buffer) = (stream.as_slice(), FrameBuffer::default());
        let (mut places, mut before) = (std::collections::BTreeSet::new(), None);
        for _ in 0..6 {
            let frame = read_frame(&mut input, &mut buffer).await.expect("a frame");
            assert_eq!(frame, body);
            places.insert(frame.as_ptr() as usize >> 20);
            // The reader of a frame holds it while the next one is read.
            before = Some(frame);
        }
        drop(before);
        assert!(places.len() <= 4, "{} places for six frames", places.len());
    }
}
