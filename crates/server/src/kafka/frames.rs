//! Frames from a socket: memory is allocated for bytes that have arrived, not for announced lengths, and large frames
//! count against a budget shared by all connections.
//!
//! Three timeouts apply: an idle connection is closed after `connections.max.idle.ms`, a frame must arrive at a minimum
//! speed, and a large frame waits only so long for its share of the budget. A slow client therefore cannot hold memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_types::Buffers;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limits::{
    FIRST_READ_BYTES, FRAME_BUFFERS_BYTES, MEMORY_WAIT, READ_BYTES, TRANSFER_BYTES_PER_SECOND_MIN,
    TRANSFER_TIME, UNCOUNTED_FRAME_BYTES, USUAL_READ_BYTES_MAX,
};

/// Bytes of one permit of the budget.
const PERMIT_BYTES: usize = 1024;
/// The length before each frame.
const PREFIX_BYTES: usize = 4;
/// Clients send some requests before they wait for responses: capacity for this many is allocated at once.
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

/// Memory for large frames, shared by all connections: the budget, and buffers that are used again.
#[derive(Clone, Debug)]
pub struct RequestMemory {
    permits: Arc<Semaphore>,
    buffers: Buffers,
}

impl RequestMemory {
    pub fn new(bytes: usize) -> Self {
        let permits = (bytes / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            buffers: Buffers::new(FRAME_BUFFERS_BYTES.min(bytes)),
        }
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, FrameError> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let taken = tokio::time::timeout(MEMORY_WAIT, self.permits.clone().acquire_many_owned(permits)).await;
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

/// Rules for the next frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimits {
    pub bytes_max: usize,
    /// For authentication; with it idleness does not count.
    pub deadline: Option<Instant>,
    pub idle: Option<Duration>,
}

/// Until when the next bytes must come.
struct Clocks {
    limits: FrameLimits,
    idle_since: Instant,
    /// When the first bytes of the frame had come.
    begun: Option<Instant>,
}

impl Clocks {
    fn start(limits: FrameLimits) -> Self {
        Self {
            limits,
            idle_since: Instant::now(),
            begun: None,
        }
    }

    /// `frame` is the frame that has begun, if one has: its size, as soon as that is known.
    fn until(&mut self, frame: Option<Option<usize>>) -> Option<Instant> {
        if self.limits.deadline.is_some() {
            return self.limits.deadline;
        }
        let Some(size) = frame else {
            return self.limits.idle.map(|idle| self.idle_since + idle);
        };
        let begun = *self.begun.get_or_insert_with(Instant::now);
        Some(begun + transfer_time(size.unwrap_or_default()))
    }
}

/// A frame above [`UNCOUNTED_FRAME_BYTES`] as far as it has come.
struct Large {
    /// Announced length.
    size: usize,
    data: Vec<u8>,
    /// Fill limit of `data`; capacity beyond it belongs to another frame's share of the budget.
    room: usize,
    memory: Option<OwnedSemaphorePermit>,
}

/// Reads frames from a socket.
pub struct FrameReader<R> {
    reader: R,
    /// Small frames, and the beginning of the next one.
    buffer: BytesMut,
    large: Option<Large>,
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
            large: None,
            memory,
            is_first: true,
            usual: 0,
        }
    }

    /// The next frame; `None` when the client closed. Nothing is lost if this is dropped while it waits and called again.
    pub async fn next(&mut self, limits: FrameLimits) -> Result<Option<Frame>, FrameError> {
        let mut clocks = Clocks::start(limits);
        loop {
            // Checked even if data is available: a client that sends without a pause gets no more time than others.
            if limits.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(FrameError::Unauthenticated);
            }
            let size = match &self.large {
                Some(large) => Some(large.size),
                None => self.announced(limits.bytes_max)?,
            };
            if let Some(size) = size
                && let Some(frame) = self.whole(size)
            {
                self.is_first = false;
                self.usual = (PREFIX_BYTES + size).max(self.usual - self.usual / 8);
                return Ok(Some(frame));
            }
            let until = clocks.until((!self.is_between_frames()).then_some(size));
            match size {
                Some(size) if size > UNCOUNTED_FRAME_BYTES => {
                    if self.continue_large(size).await? {
                        continue;
                    }
                }
                _ => self.make_room(size.map(|size| PREFIX_BYTES + size)),
            }
            if !self.read_some(until, limits.deadline.is_some()).await? {
                return Ok(None);
            }
        }
    }

    fn is_between_frames(&self) -> bool {
        self.buffer.is_empty() && self.large.is_none()
    }

    /// The frame that was announced, if all of it is there.
    fn whole(&mut self, size: usize) -> Option<Frame> {
        if let Some(large) = self.large.take_if(|large| large.data.len() == size) {
            return Some(Frame {
                bytes: self.memory.buffers.lend(large.data),
                memory: large.memory,
            });
        }
        if size > UNCOUNTED_FRAME_BYTES || self.buffer.len() < PREFIX_BYTES + size {
            return None;
        }
        self.buffer.advance(PREFIX_BYTES);
        let bytes = self.buffer.split_to(size).freeze();
        Some(Frame { bytes, memory: None })
    }

    /// Moves the arrived part of a large frame out of the buffer, and doubles its capacity; allocates the whole frame
    /// only on listeners where large frames are usual. Returns true when the frame is complete.
    async fn continue_large(&mut self, size: usize) -> Result<bool, FrameError> {
        if self.large.is_none() {
            self.buffer.advance(PREFIX_BYTES);
        }
        let large = self.large.get_or_insert(Large {
            size,
            data: Vec::new(),
            room: 0,
            memory: None,
        });
        let come = large.data.len() + self.buffer.len();
        if come >= large.room {
            let justified = come
                .max(self.usual.min(USUAL_READ_BYTES_MAX))
                .max(FIRST_READ_BYTES);
            let room = (come + justified).min(size);
            let more = self.memory.take(room - large.room).await?;
            match &mut large.memory {
                Some(memory) => memory.merge(more),
                None => large.memory = Some(more),
            }
            large.room = room;
            if room > large.data.capacity() {
                let mut larger = self.memory.buffers.take(room);
                larger.clear();
                larger.extend_from_slice(&large.data);
                self.memory
                    .buffers
                    .give_back(std::mem::replace(&mut large.data, larger));
            }
        }
        let beginning = self.buffer.len().min(large.room - large.data.len());
        large.data.extend_from_slice(&self.buffer[..beginning]);
        self.buffer.advance(beginning);
        Ok(large.data.len() == size)
    }

    /// Reserves capacity for the next read. A client that waits between frames holds little, however large its earlier
    /// frames were.
    fn make_room(&mut self, frame: Option<usize>) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::with_capacity(FIRST_READ_BYTES);
            return;
        }
        let room = self.room(frame);
        self.buffer.reserve(room);
    }

    /// Capacity for the next read of small frames, several at once: grows with the bytes that have arrived, in this
    /// frame and earlier ones, whatever length was announced.
    fn room(&self, frame: Option<usize>) -> usize {
        let read = self.buffer.len();
        let missing = frame.map(|frame| frame.saturating_sub(read));
        if self.usual > READ_BYTES {
            return missing.map_or(FIRST_READ_BYTES, |missing| missing.min(READ_BYTES));
        }
        let usual = (self.usual * USUAL_FRAMES).saturating_sub(read);
        let justified = read.max(usual).clamp(FIRST_READ_BYTES, READ_BYTES);
        missing.map_or(justified, |missing| missing.max(usual).min(justified))
    }

    /// Reads available bytes; false if the client has closed the connection.
    async fn read_some(
        &mut self,
        until: Option<Instant>,
        is_authenticating: bool,
    ) -> Result<bool, FrameError> {
        let is_idle = self.is_between_frames();
        let reading = async {
            match &mut self.large {
                Some(large) => {
                    let missing = large.room - large.data.len();
                    self.reader.read_buf(&mut (&mut large.data).limit(missing)).await
                }
                None => self.reader.read_buf(&mut self.buffer).await,
            }
        };
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

/// Time allowed for a frame of this size.
pub fn transfer_time(size: usize) -> Duration {
    TRANSFER_TIME + Duration::from_secs(size as u64 / TRANSFER_BYTES_PER_SECOND_MIN)
}

/// Recognises other protocols by their first bytes. As frame lengths these would exceed every limit, except TLS, whose
/// records start like a frame of 369 MB.
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

    /// A reader that returns `chunk` bytes at a time.
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
        let large = reader.large.unwrap();
        let held = reader.buffer.capacity() + large.data.capacity();
        assert!(held <= 3 * FIRST_READ_BYTES, "{held}");
        assert!(large.memory.unwrap().num_permits() * PERMIT_BYTES <= 2 * FIRST_READ_BYTES);
    }

    #[tokio::test]
    async fn room_is_made_for_what_is_usual_and_let_go_by_who_waits() {
        let bytes = [framed(30_000), framed(30_000), framed(10)].concat();
        let mut reader = tokio_test_reader(&bytes, 1 << 20);
        for _ in 0..2 {
            assert!(reader.next(LIMITS).await.unwrap().is_some());
        }
        // The first frame arrived in four reads, each as large as all before; the second and the rest in one.
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
    async fn a_large_frame_that_waits_for_memory_goes_on_where_it_was() {
        let bytes = [framed(10), framed(200_000), framed(20)].concat();
        let mut reader = tokio_test_reader(&bytes, 30_000);
        assert_eq!(reader.next(LIMITS).await.unwrap().unwrap().bytes.len(), 10);
        let all = reader.memory.permits.available_permits() as u32;
        let permits = reader.memory.permits.clone();
        let others = permits.acquire_many_owned(all - 50).await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(1), reader.next(LIMITS));
        assert!(given_up.await.is_err());
        drop(others);
        let frame = reader.next(LIMITS).await.unwrap().unwrap();
        assert_eq!(&frame.bytes[..], &vec![7; 200_000][..]);
        assert_eq!(
            frame.memory.unwrap().num_permits(),
            200_000usize.div_ceil(PERMIT_BYTES)
        );
        assert_eq!(reader.next(LIMITS).await.unwrap().unwrap().bytes.len(), 20);
        assert_eq!(reader.memory.permits.available_permits() as u32, all);
    }

    #[tokio::test]
    async fn buffers_of_large_frames_are_used_again() {
        let bytes = [framed(100_000), framed(100_000), framed(100_000)].concat();
        let mut reader = tokio_test_reader(&bytes, 1 << 20);
        let first = reader.next(LIMITS).await.unwrap().unwrap();
        let second = reader.next(LIMITS).await.unwrap().unwrap();
        assert_ne!(first.bytes.as_ptr(), second.bytes.as_ptr());
        let place = second.bytes.as_ptr();
        drop(second);
        let third = reader.next(LIMITS).await.unwrap().unwrap();
        assert_eq!(third.bytes.as_ptr(), place);
        assert_eq!(&first.bytes[..], &vec![7; 100_000][..]);
    }

    /// A frame whose length arrived in two pieces has as much time as others.
    #[test]
    fn a_frame_has_time_by_its_size_from_its_first_byte_on() {
        let idle = Some(Duration::from_secs(600));
        let mut clocks = Clocks::start(FrameLimits { idle, ..LIMITS });
        assert_eq!(clocks.until(None), idle.map(|idle| clocks.idle_since + idle));
        let of_length = clocks.until(Some(None)).unwrap();
        let begun = clocks.begun.unwrap();
        assert_eq!(of_length, begun + TRANSFER_TIME);
        for size in [1, 100 << 20] {
            assert_eq!(clocks.until(Some(Some(size))), Some(begun + transfer_time(size)));
        }
        let deadline = Some(begun);
        let mut clocks = Clocks::start(FrameLimits { deadline, ..LIMITS });
        assert_eq!([clocks.until(None), clocks.until(Some(Some(9)))], [deadline; 2]);
    }

    #[tokio::test]
    async fn who_sends_without_a_pause_has_no_more_time_to_authenticate() {
        let bytes = [framed(1), framed(1), framed(1)].concat();
        let mut reader = tokio_test_reader(&bytes, 1 << 20);
        let before = |deadline| FrameLimits {
            deadline: Some(deadline),
            ..LIMITS
        };
        let later = Instant::now() + Duration::from_secs(600);
        assert!(reader.next(before(later)).await.unwrap().is_some());
        // The next frame is there already.
        let late = reader.next(before(Instant::now())).await;
        assert!(matches!(late, Err(FrameError::Unauthenticated)), "{late:?}");
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
