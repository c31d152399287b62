//! Sets of 32-bit integers in the portable serialisation of Roaring bitmaps, which is what a BITMAP column holds.
//!
//! A set is kept as its ascending values while it is worked on. Reading accepts array, bitmap and run containers; writing
//! uses array and bitmap containers, as Flink does.

const COOKIE_WITHOUT_RUNS: u32 = 12346;
const COOKIE_WITH_RUNS: u16 = 12347;
/// Containers of a roaring bitmap with more values are bitmaps of 8192 bytes.
const ARRAY_VALUES_MAX: usize = 4096;
const BITMAP_BYTES: usize = 8192;
/// With runs, offsets are written only from this number of containers on.
const OFFSETS_FROM: usize = 4;

/// Why bytes are no bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BitmapError {
    #[error("unknown cookie {0}")]
    Cookie(u32),
    #[error("{0} containers are more than there can be")]
    Containers(usize),
    #[error("the values are not in order")]
    Order,
    #[error("the bitmap ends too early")]
    End,
}

/// Ascending values of a serialised bitmap.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<u32>, BitmapError> {
    let mut reader = Reader { bytes };
    let cookie = reader.u32()?;
    let (containers, runs) = if cookie == COOKIE_WITHOUT_RUNS {
        (reader.u32()? as usize, Vec::new())
    } else if (cookie & 0xFFFF) as u16 == COOKIE_WITH_RUNS {
        let containers = (cookie >> 16) as usize + 1;
        (containers, reader.take(containers.div_ceil(8))?.to_vec())
    } else {
        return Err(BitmapError::Cookie(cookie));
    };
    if containers > 1 << 16 {
        return Err(BitmapError::Containers(containers));
    }
    let mut headers = Vec::with_capacity(containers);
    for _ in 0..containers {
        headers.push((reader.u16()?, reader.u16()? as usize + 1));
    }
    let has_offsets = runs.is_empty() || containers >= OFFSETS_FROM;
    if has_offsets {
        reader.take(containers * 4)?;
    }
    let mut values = Vec::new();
    for (i, (key, cardinality)) in headers.into_iter().enumerate() {
        let high = u32::from(key) << 16;
        let is_run = runs.get(i / 8).is_some_and(|byte| byte & (1 << (i % 8)) != 0);
        if is_run {
            for _ in 0..reader.u16()? {
                let (start, length) = (u32::from(reader.u16()?), u32::from(reader.u16()?));
                let end = (start + length).min(0xFFFF);
                values.extend((start..=end).map(|low| high | low));
            }
        } else if cardinality <= ARRAY_VALUES_MAX {
            for _ in 0..cardinality {
                values.push(high | u32::from(reader.u16()?));
            }
        } else {
            for (at, byte) in reader.take(BITMAP_BYTES)?.iter().enumerate() {
                values.extend(
                    (0..8)
                        .filter(|bit| byte & (1 << bit) != 0)
                        .map(|bit| high | (at as u32 * 8 + bit)),
                );
            }
        }
    }
    if !values.is_sorted_by(|a, b| a < b) {
        return Err(BitmapError::Order);
    }
    Ok(values)
}

/// The serialised form of ascending distinct values.
pub(crate) fn encode(values: &[u32]) -> Vec<u8> {
    let containers: Vec<&[u32]> = values.chunk_by(|a, b| a >> 16 == b >> 16).collect();
    let mut out = Vec::with_capacity(8 + containers.len() * 8 + values.len() * 2);
    out.extend(COOKIE_WITHOUT_RUNS.to_le_bytes());
    out.extend((containers.len() as u32).to_le_bytes());
    for container in &containers {
        out.extend(((container[0] >> 16) as u16).to_le_bytes());
        out.extend(((container.len() - 1) as u16).to_le_bytes());
    }
    let mut offset = out.len() + containers.len() * 4;
    for container in &containers {
        out.extend((offset as u32).to_le_bytes());
        offset += if container.len() <= ARRAY_VALUES_MAX {
            container.len() * 2
        } else {
            BITMAP_BYTES
        };
    }
    for container in containers {
        if container.len() <= ARRAY_VALUES_MAX {
            out.extend(container.iter().flat_map(|value| (*value as u16).to_le_bytes()));
            continue;
        }
        let start = out.len();
        out.resize(start + BITMAP_BYTES, 0);
        for value in container {
            let low = (value & 0xFFFF) as usize;
            out[start + low / 8] |= 1 << (low % 8);
        }
    }
    out
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], BitmapError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(BitmapError::End)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, BitmapError> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, BitmapError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        for values in [
            vec![],
            vec![0, u32::MAX],
            (0..10_000).collect::<Vec<u32>>(),
            vec![1, 65_536, 65_537],
        ] {
            assert_eq!(decode(&encode(&values)).expect("a bitmap"), values);
        }
    }

    #[test]
    fn runs_are_read() {
        // One container with key 0, two runs: 1..=3 and 10.
        let bytes = [0x3B, 0x30, 0, 0, 1, 0, 0, 3, 0, 2, 0, 1, 0, 2, 0, 10, 0, 0, 0];
        assert_eq!(decode(&bytes).expect("a bitmap"), [1, 2, 3, 10]);
    }

    #[test]
    fn broken_bytes_are_refused() {
        assert!(decode(&[0]).is_err());
        assert!(decode(&[0x3A, 0x30, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
    }
}
