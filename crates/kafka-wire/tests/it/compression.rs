//! Codecs: round trips, streams, bombs, foreign framings.

use std::io::Read;

use bytes::Bytes;
use millstream_kafka_wire::compression::{
    Codec, CompressionError, Compressor, Decompressor, decompress_stream,
};

fn compressed(codec: Codec, data: &[u8]) -> Bytes {
    let mut out = Vec::new();
    Compressor::default()
        .compress_into(codec, data, &mut out)
        .expect("compression does not fail");
    Bytes::from(out)
}

fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| b"the quick brown fox 0123456789"[(i * i / 7) % 30])
        .collect()
}

#[test]
fn every_codec_gives_back_what_it_was_given() {
    let mut decompressor = Decompressor::new();
    for codec in Codec::ALL {
        for length in [0, 1, 100, 32 * 1024, 65_536, 65_537, 300_000] {
            let data = text(length);
            let packed = compressed(codec, &data);
            let whole = decompressor
                .decompress(codec, &packed, length)
                .expect("within the limit");
            assert!(whole == data, "{codec} {length}");
            let mut streamed = Vec::new();
            let mut stream = decompress_stream(codec, &packed).expect("a stream");
            stream.read_to_end(&mut streamed).expect("readable");
            assert!(streamed == data, "{codec} {length}");
        }
    }
}

#[test]
fn what_comes_out_is_limited() {
    let bomb = vec![0u8; 8 << 20];
    let mut decompressor = Decompressor::new();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compressed(codec, &bomb);
        for limit in [0, 1, 1000, bomb.len() - 1] {
            let refused = decompressor.decompress(codec, &packed, limit);
            assert!(
                matches!(refused, Err(CompressionError::LimitExceeded { .. })),
                "{codec} {limit}"
            );
        }
        assert_eq!(
            decompressor
                .decompress(codec, &packed, bomb.len())
                .expect("fits")
                .len(),
            bomb.len()
        );
    }
}

#[test]
fn cut_off_data_is_an_error_and_not_a_shorter_result() {
    let mut decompressor = Decompressor::new();
    let data = text(100_000);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compressed(codec, &data);
        for length in [packed.len() - 1, packed.len() / 2, 17] {
            let refused = decompressor.decompress(codec, &packed.slice(..length), data.len());
            assert!(
                matches!(refused, Err(CompressionError::Corrupt { .. })),
                "{codec} {length}"
            );
        }
    }
}

#[test]
fn raw_snappy_without_framing_is_read() {
    let data = text(1000);
    let raw = snap::raw::Encoder::new()
        .compress_vec(&data)
        .expect("compression does not fail");
    let whole = Decompressor::new()
        .decompress(Codec::Snappy, &raw.into(), 1000)
        .expect("readable");
    assert_eq!(whole, data);
}

/// As many as a batch has room for.
#[test]
fn snappy_headers_without_blocks_are_nothing() {
    let mut header = b"\x82SNAPPY\0".to_vec();
    header.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let whole = Decompressor::new()
        .decompress(Codec::Snappy, &header.repeat(65_536).into(), 1000)
        .expect("readable");
    assert!(whole.is_empty());
}

#[test]
fn lz4_frames_of_other_kinds_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let data = text(300_000);
    let plain = FrameInfo::new;
    let frames = [
        plain().block_mode(BlockMode::Linked),
        plain().block_mode(BlockMode::Independent).content_checksum(true),
        plain().block_mode(BlockMode::Independent).block_checksums(true),
        plain()
            .block_mode(BlockMode::Independent)
            .content_size(Some(300_000))
            .block_size(BlockSize::Max4MB),
    ];
    for info in frames {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&data).expect("memory");
        let frame = Bytes::from(encoder.finish().expect("memory"));
        let mut decompressor = Decompressor::new();
        assert_eq!(
            decompressor
                .decompress(Codec::Lz4, &frame, 300_000)
                .expect("readable"),
            data
        );
        assert!(decompressor.decompress(Codec::Lz4, &frame, 299_999).is_err());
    }
}

#[test]
fn names_are_kafkas() {
    for codec in Codec::ALL {
        assert_eq!(codec.name().parse::<Codec>().expect("its own name"), codec);
        assert_eq!(Codec::from_id(codec.id()), Some(codec));
    }
    assert!("brotli".parse::<Codec>().is_err());
    assert_eq!(Codec::from_id(5), None);
}

#[test]
fn a_frame_that_is_cut_off_is_refused_as_a_stream_as_well() {
    let data = text(1000);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compressed(codec, &data);
        let longer = [&packed[..], b"behind"].concat();
        for damaged in (1..packed.len())
            .map(|length| packed.slice(..length))
            .chain([longer.into()])
        {
            let whole = Decompressor::new().decompress(codec, &damaged, data.len());
            let mut streamed = Vec::new();
            let stream = decompress_stream(codec, &damaged);
            let read = stream.and_then(|mut stream| stream.read_to_end(&mut streamed));
            assert!(
                read.is_err() || whole.is_ok(),
                "{codec}: {} of {}",
                damaged.len(),
                packed.len()
            );
        }
    }
}
