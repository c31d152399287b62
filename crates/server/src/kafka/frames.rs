//! Frames from a socket: memory is taken for bytes that arrived, not for bytes that were announced, and large frames
//! count against a budget that all connections share.
//!
//! Three clocks run: an idle connection is closed after `connections.max.idle.ms`, a frame must arrive at a least speed,
//! and a large frame waits only so long for room in the budget. So nobody can hold memory by being slow.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limits::{
    FIRST_READ_BYTES, MEMORY_WAIT, READ_BYTES, TRANSFER_BYTES_PER_SECOND_MIN, TRANSFER_TIME,
    UNCOUNTED_FRAME_BYTES, USUAL_READ_BYTES_MAX,
};

/// Bytes of one permit of the budget.
const PERMIT_BYTES: usize = 1024;
/// The length before each frame.
const PREFIX_BYTES: usize = 4;
/// Clients send some requests before they wait for answers: room for so many is made at once.
const USUAL_FRAMES: usize = 4;

/// Why no further frame was read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("socket")]
    Io(#[from] io::Error),
    #[error("the client speaks {0}, not Kafka's protocol")]
    Foreign(&'static str),
    #[error("the client sent a frame of {size} bytes; up to {limit} are taken")]
    Size { size: i64, limit: usize },
    #[error("the client was too slow")]
    Slow,
    #[error("the client did not authenticate in time")]
    Unauthenticated,
    #[error("idle for longer than 'connections.max.idle.ms'")]
    Idle,
    #[error("the memory for requests ('queued.max.request.bytes') is used up")]
    Memory,
}

/// Memory for large frames, shared by all connections.
#[derive(Clone, Debug)]
pub struct RequestMemory(Arc<Semaphore>);

impl RequestMemory {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(
            (bytes / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS),
        )))
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, FrameError> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let taken = tokio::time::timeout(MEMORY_WAIT, self.0.clone().acquire_many_owned(permits)).await;
        taken
            .map_err(|_| FrameError::Memory)?
            .map_err(|_| FrameError::Memory)
    }
}

/// A whole frame without its length, and the memory that it counts for.
#[derive(Debug)]
pub struct Frame {
    pub bytes: Bytes,
    pub memory: Option<OwnedSemaphorePermit>,
}

/// What holds for the next frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimits {
    pub bytes_max: usize,
    /// For authentication; with it idleness does not count.
    pub deadline: Option<Instant>,
    pub idle: Option<Duration>,
}

/// Reads frames from a socket.
pub struct FrameReader<R> {
    reader: R,
    buffer: BytesMut,
    memory: RequestMemory,
    is_first: bool,
    /// About the size of the latest frames: so much room is made at once, as the next one will hardly be smaller.
    usual: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub fn new(reader: R, memory: RequestMemory) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            memory,
            is_first: true,
            usual: 0,
        }
    }

    /// The next frame; `None` when the client closed. Nothing is lost if this is dropped while it waits and called again.
    pub async fn next(&mut self, limits: FrameLimits) -> Result<Option<Frame>, FrameError> {
        let mut memory: Option<OwnedSemaphorePermit> = None;
        let mut deadline = limits.deadline;
        let idle_since = Instant::now();
        loop {
            let size = self.announced(limits.bytes_max)?;
            if let Some(size) = size.filter(|size| *size > UNCOUNTED_FRAME_BYTES) {
                let room = self.room(Some(PREFIX_BYTES + size));
                let wanted = (self.buffer.len() + room).min(size);
                let has = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * PERMIT_BYTES;
                if wanted > has {
                    let more = self.memory.take(wanted - has).await?;
                    match &mut memory {
                        Some(memory) => memory.merge(more),
                        None => memory = Some(more),
                    }
                }
            }
            if let Some(size) = size
                && self.buffer.len() >= PREFIX_BYTES + size
            {
                self.is_first = false;
                self.usual = (PREFIX_BYTES + size).max(self.usual - self.usual / 8);
                self.buffer.advance(PREFIX_BYTES);
                let bytes = self.buffer.split_to(size).freeze();
                return Ok(Some(Frame { bytes, memory }));
            }
            let until = match (deadline, self.buffer.is_empty()) {
                (Some(deadline), _) => Some(deadline),
                (None, true) => limits.idle.map(|idle| idle_since + idle),
                (None, false) => {
                    let at = Instant::now() + transfer_time(size.unwrap_or_default());
                    deadline = Some(at);
                    deadline
                }
            };
            self.make_room(size.map(|size| PREFIX_BYTES + size));
            if !self.read_some(until, limits.deadline.is_some()).await? {
                return Ok(None);
            }
        }
    }

    /// Makes room for the next read. Who waits for a frame holds little, however large the ones before were.
    fn make_room(&mut self, frame: Option<usize>) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::with_capacity(FIRST_READ_BYTES);
            return;
        }
        let room = self.room(frame);
        self.buffer.reserve(room);
    }

    /// Room for the next read: it grows with what has come, in this frame and those before it, whatever was announced. Of
    /// small frames several are read at once; where large ones are usual, the rest of one, into room that it just fills.
    fn room(&self, frame: Option<usize>) -> usize {
        let read = self.buffer.len();
        let missing = frame.map(|frame| frame.saturating_sub(read));
        if self.usual > READ_BYTES {
            let justified = read.max(self.usual.min(USUAL_READ_BYTES_MAX));
            return missing.map_or(FIRST_READ_BYTES, |missing| missing.min(justified));
        }
        let usual = (self.usual * USUAL_FRAMES).saturating_sub(read);
        let justified = read.max(usual).clamp(FIRST_READ_BYTES, READ_BYTES);
        missing.map_or(justified, |missing| missing.max(usual).min(justified))
    }

    /// Reads what there is; false when the client closed.
    async fn read_some(
        &mut self,
        until: Option<Instant>,
        is_authenticating: bool,
    ) -> Result<bool, FrameError> {
        let is_idle = self.buffer.is_empty();
        let reading = self.reader.read_buf(&mut self.buffer);
        let read = match until {
            None => reading.await,
            Some(until) => tokio::time::timeout_at(until, reading)
                .await
                .map_err(|_| match is_idle {
                    _ if is_authenticating => FrameError::Unauthenticated,
                    true => FrameError::Idle,
                    false => FrameError::Slow,
                })?,
        };
        Ok(read? > 0)
    }

    /// The size that the next frame announces, once that has arrived.
    fn announced(&self, limit: usize) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.get(..PREFIX_BYTES) else {
            return Ok(None);
        };
        let prefix = [prefix[0], prefix[1], prefix[2], prefix[3]];
        if self.is_first
            && let Some(protocol) = foreign(prefix)
        {
            return Err(FrameError::Foreign(protocol));
        }
        let size = i64::from(i32::from_be_bytes(prefix));
        match usize::try_from(size) {
            Ok(size) if (1..=limit).contains(&size) => Ok(Some(size)),
            _ => Err(FrameError::Size { size, limit }),
        }
    }
}

/// How long a frame of this size may take.
pub fn transfer_time(size: usize) -> Duration {
    TRANSFER_TIME + Duration::from_secs(size as u64 / TRANSFER_BYTES_PER_SECOND_MIN)
}

/// Other protocols by their first bytes. As lengths of Kafka's frames these would be far beyond every limit, but for
/// TLS: its records begin like a frame of 369 MB.
fn foreign(prefix: [u8; PREFIX_BYTES]) -> Option<&'static str> {
    match &prefix {
        [0x16, 0x03, ..] => Some("TLS on a port without it"),
        b"SSH-" => Some("SSH"),
        b"GET " | b"HEAD" | b"POST" | b"PUT " | b"DELE" | b"OPTI" | b"PATC" | b"CONN" | b"PRI " => {
            Some("HTTP")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits {
        bytes_max: 1 << 20,
        deadline: None,
        idle: None,
    };

    fn framed(size: usize) -> Vec<u8> {
        [&(size as i32).to_be_bytes()[..], &vec![7; size]].concat()
    }

    #[tokio::test]
    async fn frames_come_whole_however_they_arrive() {
        let bytes = [framed(1), framed(200_000), framed(3)].concat();
        for chunk in [1, 1000, 1 << 20] {
            let mut mock = tokio_test_reader(&bytes, chunk);
            let mut sizes = Vec::new();
            while let Some(frame) = mock.next(LIMITS).await.unwrap() {
                assert_eq!(frame.memory.is_some(), frame.bytes.len() > UNCOUNTED_FRAME_BYTES);
                sizes.push(frame.bytes.len());
            }
            assert_eq!(sizes, [1, 200_000, 3]);
        }
    }

    /// A reader that gives `chunk` bytes at a time.
    fn tokio_test_reader(bytes: &[u8], chunk: usize) -> FrameReader<Chunks> {
        let chunks = Chunks {
            bytes: bytes.to_vec(),
            at: 0,
            chunk,
            reads: 0,
        };
        FrameReader::new(chunks, RequestMemory::new(1 << 20))
    }

    struct Chunks {
        bytes: Vec<u8>,
        at: usize,
        chunk: usize,
        reads: usize,
    }

    impl AsyncRead for Chunks {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            let end = (self.at + self.chunk.min(buffer.remaining())).min(self.bytes.len());
            buffer.put_slice(&self.bytes[self.at..end]);
            self.at = end;
            self.reads += 1;
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn announcing_much_takes_little() {
        let mut bytes = (1i32 << 20).to_be_bytes().to_vec();
        bytes.extend([0; 100]);
        let mut reader = tokio_test_reader(&bytes, 10);
        assert!(reader.next(LIMITS).await.unwrap().is_none());
        assert!(
            reader.buffer.capacity() <= 3 * FIRST_READ_BYTES,
            "{}",
            reader.buffer.capacity()
        );
    }

    #[tokio::test]
    async fn room_is_made_for_what_is_usual_and_let_go_by_who_waits() {
        let bytes = [framed(30_000), framed(30_000), framed(10)].concat();
        let mut reader = tokio_test_reader(&bytes, 1 << 20);
        for _ in 0..2 {
            assert!(reader.next(LIMITS).await.unwrap().is_some());
        }
        // The first came in four reads, each as large as all before; the second and what followed it in one.
        assert_eq!(reader.reader.reads, 5);
        assert!(reader.next(LIMITS).await.unwrap().is_some());
        assert!(reader.next(LIMITS).await.unwrap().is_none());
        assert!(reader.buffer.capacity() <= FIRST_READ_BYTES);
    }

    #[tokio::test]
    async fn where_large_frames_are_usual_one_is_read_at_once() {
        let bytes = [300_000, 300_000, 290_000].map(framed).concat();
        let mut reader = tokio_test_reader(&bytes, 1 << 20);
        assert!(reader.next(LIMITS).await.unwrap().is_some());
        for size in [300_000, 290_000] {
            reader.reader.reads = 0;
            let frame = reader.next(LIMITS).await.unwrap().unwrap();
            assert_eq!(frame.bytes.len(), size);
            assert!((1..=2).contains(&reader.reader.reads), "{}", reader.reader.reads);
            assert!(frame.memory.unwrap().num_permits() * PERMIT_BYTES >= size);
        }
        assert!(reader.next(LIMITS).await.unwrap().is_none());
        assert!(reader.buffer.capacity() <= FIRST_READ_BYTES);
    }

    #[tokio::test]
    async fn what_is_no_frame_is_named() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP"),
            (&[0x16, 3, 1, 2, 0, 1][..], "TLS"),
            (b"SSH-2.0-OpenSSH", "SSH"),
            (b"\xff\xff\xff\xffxx", "-1 bytes"),
            (&[0, 0, 0, 0], "0 bytes"),
            (&[0, 0x20, 0, 0], "2097152 bytes"),
        ] {
            let error = tokio_test_reader(bytes, 3).next(LIMITS).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
