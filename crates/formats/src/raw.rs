//! Format `raw`: the message is the value of the only column.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_buffer::Buffer;
use millstream_types::{
    Batch, ChangelogMode, FormatDecl, LogicalType, OptionDecl, OptionType, Options, Schema, TypeKind,
};

use crate::column::{ColumnBuilder, Values, is_null};
use crate::error::ColumnError;
use crate::{
    DecodeError, Decoded, Decoder, EncodeError, Encoded, Encoder, FormatError, MessageRange, ValueError,
    additions_only,
};

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "charset",
        OptionType::String,
        "Character set of text: UTF-8, US-ASCII, ISO-8859-1 or UTF-16.",
    )
    .with_default("UTF-8"),
    OptionDecl::new(
        "endianness",
        OptionType::Enum(&["big-endian", "little-endian"]),
        "Byte order of numbers.",
    )
    .with_default("big-endian"),
];

/// The declaration of format `raw`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: "raw",
    doc: "The bytes of the message as one column.",
    options: OPTIONS,
    metadata: &[],
    decode: Some(ChangelogMode::INSERT_ONLY),
    encode: Some(ChangelogMode::INSERT_ONLY),
    narrows_rows: false,
    validate: |table| Ok(check(table.physical)?),
};

fn check(schema: &Schema) -> Result<(), ColumnError> {
    let [column] = schema.columns.as_slice() else {
        let names = schema.columns.iter().map(|c| c.name.clone());
        return Err(ColumnError::RawColumns(names.collect()));
    };
    let supported = matches!(
        column.ty.kind,
        TypeKind::Char(_)
            | TypeKind::Varchar(_)
            | TypeKind::Binary(_)
            | TypeKind::Varbinary(_)
            | TypeKind::Boolean
            | TypeKind::TinyInt
            | TypeKind::SmallInt
            | TypeKind::Int
            | TypeKind::BigInt
            | TypeKind::Float
            | TypeKind::Double
            | TypeKind::Raw { .. }
    );
    if supported {
        Ok(())
    } else {
        Err(ColumnError::Raw(column.ty.clone()))
    }
}

/// `raw.charset`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charset {
    Utf8,
    Ascii,
    Latin1,
    Utf16 { big_endian: bool, mark: bool },
}

/// The options of format `raw`, parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawOptions {
    pub charset: Charset,
    pub big_endian: bool,
}

impl RawOptions {
    /// Reads options given without the prefix `raw.`.
    pub fn parse(options: &Options) -> Result<Self, FormatError> {
        let wrong = |key: &str, expected: &str| FormatError::Option {
            format: "raw",
            key: key.to_owned(),
            value: options.get(key).cloned().unwrap_or_default(),
            expected: expected.to_owned(),
        };
        let charset = match options.get("charset").map(|c| c.to_uppercase()).as_deref() {
            None | Some("UTF-8" | "UTF8") => Charset::Utf8,
            Some("US-ASCII" | "ASCII") => Charset::Ascii,
            Some("ISO-8859-1" | "ISO8859_1" | "LATIN1") => Charset::Latin1,
            Some("UTF-16") => Charset::Utf16 {
                big_endian: true,
                mark: true,
            },
            Some("UTF-16BE") => Charset::Utf16 {
                big_endian: true,
                mark: false,
            },
            Some("UTF-16LE") => Charset::Utf16 {
                big_endian: false,
                mark: false,
            },
            Some(_) => {
                return Err(wrong(
                    "charset",
                    "a supported charset: UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE, UTF-16LE",
                ));
            }
        };
        let big_endian = match options.get("endianness").map(|e| e.to_lowercase()).as_deref() {
            None | Some("big-endian") => true,
            Some("little-endian") => false,
            Some(_) => {
                return Err(wrong(
                    "endianness",
                    "big-endian or little-endian (unsupported endianness)",
                ));
            }
        };
        Ok(Self { charset, big_endian })
    }
}

/// Decodes each message as one value.
pub struct RawDecoder {
    options: RawOptions,
    column: ColumnBuilder,
    /// The query may read no column at all.
    produced: bool,
}

impl RawDecoder {
    pub fn new(options: RawOptions, schema: &Schema, all: &Schema) -> Result<Self, FormatError> {
        check(all)?;
        Ok(Self {
            options,
            column: ColumnBuilder::new(&all.columns[0].ty),
            produced: !schema.is_empty(),
        })
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), ValueError> {
        let ty = &self.column.ty;
        let big = self.options.big_endian;
        match &mut self.column.values {
            Values::String(texts) => match decode_text(bytes, self.options.charset) {
                None => texts.push(bytes),
                Some(text) => texts.push(text.as_bytes()),
            },
            Values::Binary(texts) => texts.push(bytes),
            Values::Boolean(slots) => slots.push(sized::<1>(bytes, ty)?[0] != 0),
            Values::I8(slots) => slots.push(i8::from_be_bytes(sized(bytes, ty)?)),
            Values::I16(slots) => {
                let b = sized(bytes, ty)?;
                slots.push(if big {
                    i16::from_be_bytes(b)
                } else {
                    i16::from_le_bytes(b)
                });
            }
            Values::I32(slots) => {
                let b = sized(bytes, ty)?;
                slots.push(if big {
                    i32::from_be_bytes(b)
                } else {
                    i32::from_le_bytes(b)
                });
            }
            Values::I64(slots) => {
                let b = sized(bytes, ty)?;
                slots.push(if big {
                    i64::from_be_bytes(b)
                } else {
                    i64::from_le_bytes(b)
                });
            }
            Values::F32(slots) => {
                let b = sized(bytes, ty)?;
                slots.push(if big {
                    f32::from_be_bytes(b)
                } else {
                    f32::from_le_bytes(b)
                });
            }
            Values::F64(slots) => {
                let b = sized(bytes, ty)?;
                slots.push(if big {
                    f64::from_be_bytes(b)
                } else {
                    f64::from_le_bytes(b)
                });
            }
            // `check` refuses the other types, before there is a decoder.
            _ => unreachable!("format 'raw' has no column of type {ty}"),
        }
        Ok(())
    }
}

fn sized<const N: usize>(bytes: &[u8], ty: &LogicalType) -> Result<[u8; N], ValueError> {
    bytes.try_into().map_err(|_| ValueError::Size {
        ty: ty.kind.clone(),
        expected: N,
        found: bytes.len(),
    })
}

/// The text in UTF-8; `None` if the bytes are that already.
fn decode_text(bytes: &[u8], charset: Charset) -> Option<String> {
    match charset {
        Charset::Utf8 if simdutf8::basic::from_utf8(bytes).is_ok() => None,
        Charset::Utf8 => Some(String::from_utf8_lossy(bytes).into_owned()),
        Charset::Ascii if bytes.is_ascii() => None,
        Charset::Ascii => Some(
            bytes
                .iter()
                .map(|b| {
                    if b.is_ascii() {
                        char::from(*b)
                    } else {
                        char::REPLACEMENT_CHARACTER
                    }
                })
                .collect(),
        ),
        Charset::Latin1 => Some(bytes.iter().map(|b| char::from(*b)).collect()),
        Charset::Utf16 { big_endian, mark } => Some(utf16(bytes, big_endian, mark)),
    }
}

fn utf16(bytes: &[u8], big_endian: bool, mark: bool) -> String {
    let (big_endian, bytes) = match bytes {
        [0xFF, 0xFE, rest @ ..] if mark => (false, rest),
        [0xFE, 0xFF, rest @ ..] if mark => (true, rest),
        _ => (big_endian, bytes),
    };
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if big_endian {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        }
    });
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

impl Decoder for RawDecoder {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError> {
        for (index, range) in messages.iter().enumerate() {
            // A null message is a row with NULL here: the column is the message.
            let outcome = match range.slice(data) {
                None => {
                    self.column.push_null();
                    Ok(())
                }
                Some(bytes) => self.value(bytes),
            };
            if let Err(reason) = outcome {
                self.column.truncate(0);
                return Err(DecodeError {
                    message: index,
                    subject: None,
                    reason,
                });
            }
        }
        let column = self.column.finish().map_err(DecodeError::of_column)?;
        let columns = if self.produced { vec![column] } else { Vec::new() };
        Ok(Decoded {
            columns,
            rows: messages.len(),
            kinds: None,
            messages: None,
        })
    }
}

/// Encodes the only column of each row as the message.
pub struct RawEncoder {
    options: RawOptions,
    ty: LogicalType,
}

impl RawEncoder {
    pub fn new(options: RawOptions, schema: &Schema) -> Result<Self, FormatError> {
        check(schema)?;
        Ok(Self {
            options,
            ty: schema.columns[0].ty.clone(),
        })
    }

    fn value(&self, array: &dyn Array, row: usize, out: &mut Vec<u8>) {
        macro_rules! number {
            ($arrow:ty) => {{
                let value = array.as_primitive::<$arrow>().value(row);
                if self.options.big_endian {
                    out.extend_from_slice(&value.to_be_bytes());
                } else {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }};
        }
        match self.ty.kind {
            TypeKind::Char(_) | TypeKind::Varchar(_) => {
                encode_text(array.as_string_view().value(row), self.options.charset, out);
            }
            TypeKind::Boolean => out.push(u8::from(array.as_boolean().value(row))),
            TypeKind::TinyInt => number!(Int8Type),
            TypeKind::SmallInt => number!(Int16Type),
            TypeKind::Int => number!(Int32Type),
            TypeKind::BigInt => number!(Int64Type),
            TypeKind::Float => number!(Float32Type),
            TypeKind::Double => number!(Float64Type),
            _ => out.extend_from_slice(array.as_binary_view().value(row)),
        }
    }
}

fn encode_text(text: &str, charset: Charset, out: &mut Vec<u8>) {
    let narrow = |c: char, limit: u32| if u32::from(c) <= limit { c as u8 } else { b'?' };
    match charset {
        Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
        Charset::Ascii => out.extend(text.chars().map(|c| narrow(c, 0x7f))),
        Charset::Latin1 => out.extend(text.chars().map(|c| narrow(c, 0xff))),
        Charset::Utf16 { big_endian, mark } => {
            if mark {
                out.extend_from_slice(&[0xFE, 0xFF]);
            }
            let bytes = |unit: u16| {
                if big_endian {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            };
            text.encode_utf16()
                .for_each(|unit| out.extend_from_slice(&bytes(unit)));
        }
    }
}

impl Encoder for RawEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        additions_only(batch, "raw")?;
        for row in 0..batch.rows {
            if is_null(&batch.columns[0], row) {
                out.nulls.push(out.ends.len());
            } else {
                self.value(&batch.columns[0], row, &mut out.data);
            }
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}
