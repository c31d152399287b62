//! Variable-length integers over slices: seven bits a byte, lowest first; signed ones are zigzag-coded. The hot loops
//! over records use these; messages read them through `Reader`.

/// The most bytes of a 32-bit integer of variable length.
pub const VARINT_BYTES_MAX: usize = 5;
/// The most bytes of a 64-bit integer of variable length.
pub const VARLONG_BYTES_MAX: usize = 10;

/// Reads an unsigned 32-bit integer at `*position` and moves on; `None` if it is cut off or too long.
#[inline]
pub fn read_unsigned_varint(data: &[u8], position: &mut usize) -> Option<u32> {
    let mut value = 0u32;
    let mut shift = 0;
    loop {
        let byte = *data.get(*position)?;
        *position += 1;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
}

/// Reads a zigzag-coded 32-bit integer.
#[inline]
pub fn read_varint(data: &[u8], position: &mut usize) -> Option<i32> {
    // One byte is by far the most frequent: lengths and deltas of small records.
    let first = *data.get(*position)?;
    if first & 0x80 == 0 {
        *position += 1;
        return Some(zigzag_decode(u32::from(first)));
    }
    read_unsigned_varint(data, position).map(zigzag_decode)
}

/// Reads a zigzag-coded 64-bit integer.
#[inline]
pub fn read_varlong(data: &[u8], position: &mut usize) -> Option<i64> {
    let mut value = 0u64;
    let mut shift = 0;
    loop {
        let byte = *data.get(*position)?;
        *position += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

const fn zigzag_decode(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub fn write_unsigned_varint(out: &mut impl for<'a> Extend<&'a u8>, value: u32) {
    let mut encoded = Encoded::default();
    encoded.unsigned(u64::from(value));
    out.extend(encoded.as_slice());
}

pub fn write_varint(out: &mut impl for<'a> Extend<&'a u8>, value: i32) {
    let mut encoded = Encoded::default();
    encoded.varint(value);
    out.extend(encoded.as_slice());
}

pub fn write_varlong(out: &mut impl for<'a> Extend<&'a u8>, value: i64) {
    let mut encoded = Encoded::default();
    encoded.varlong(value);
    out.extend(encoded.as_slice());
}

/// Some integers and bytes in a row, gathered where it costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
}

impl Encoded {
    /// Room for the fixed part of a record: five integers, one of them long, and a byte.
    const BYTES_MAX: usize = 4 * VARINT_BYTES_MAX + VARLONG_BYTES_MAX + 1;

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn clear(&mut self) {
        self.length = 0;
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    #[inline]
    pub fn varint(&mut self, value: i32) {
        self.unsigned(u64::from(((value << 1) ^ (value >> 31)) as u32));
    }

    #[inline]
    pub fn varlong(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    #[inline]
    fn unsigned(&mut self, mut value: u64) {
        while value > 0x7f {
            self.byte((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }
}

/// The number of bytes of a zigzag-coded integer.
pub const fn varint_size(value: i32) -> usize {
    unsigned_size(((value << 1) ^ (value >> 31)) as u32 as u64)
}

pub const fn varlong_size(value: i64) -> usize {
    unsigned_size(((value << 1) ^ (value >> 63)) as u64)
}

const fn unsigned_size(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
