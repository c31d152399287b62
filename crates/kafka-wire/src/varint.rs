//! Variable-length integers over slices: seven bits a byte, lowest first; signed ones are zigzag-coded. The hot loops
//! over records use these; messages read them through `Reader`.

/// The most bytes of a 32-bit and a 64-bit integer.
pub const VARINT_BYTES_MAX: usize = 5;
/// The longest encoding of 64 bits.
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

pub fn write_unsigned_varint(out: &mut impl Extend<u8>, mut value: u32) {
    let mut bytes = [0u8; VARINT_BYTES_MAX];
    let mut length = 0;
    loop {
        let more = value > 0x7f;
        bytes[length] = (value & 0x7f) as u8 | if more { 0x80 } else { 0 };
        length += 1;
        value >>= 7;
        if !more {
            break;
        }
    }
    out.extend(bytes.into_iter().take(length));
}

pub fn write_varint(out: &mut impl Extend<u8>, value: i32) {
    write_unsigned_varint(out, ((value << 1) ^ (value >> 31)) as u32);
}

pub fn write_varlong(out: &mut impl Extend<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = [0u8; VARLONG_BYTES_MAX];
    let mut length = 0;
    loop {
        let more = value > 0x7f;
        bytes[length] = (value & 0x7f) as u8 | if more { 0x80 } else { 0 };
        length += 1;
        value >>= 7;
        if !more {
            break;
        }
    }
    out.extend(bytes.into_iter().take(length));
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
