//! Writes random messages as bytes, straight from the descriptions in `specs/kafka`, without the generated code: an
//! independent reading of the same facts, which the codec is compared with.

use std::sync::OnceLock;

use super::spec::{self, Field, Kind, Message, Type};

/// All descriptions.
pub fn all() -> &'static [Message] {
    static MESSAGES: OnceLock<Vec<Message>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        spec::parse(include_str!("../../../../specs/kafka/messages.txt"))
            .expect("the descriptions are well-formed")
    })
}

/// Every request and response with each of its versions.
pub fn every_version() -> impl Iterator<Item = (&'static Message, i16)> {
    let messages = all().iter().filter(|m| m.kind != Kind::Data);
    messages.flat_map(|m| (m.valid.min..=m.valid.max).map(move |version| (m, version)))
}

/// A source of choices: splitmix64.
pub struct Choices(pub u64);

impl Choices {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The bytes of a random body of `message` in `version`, in the one form that encoders write.
pub fn random_body(message: &Message, version: i16, choices: &mut Choices) -> Vec<u8> {
    let mut writer = BodyWriter {
        message,
        version,
        choices,
    };
    let mut out = Vec::new();
    writer.fields(&message.fields, &mut out);
    out
}

struct BodyWriter<'a> {
    message: &'a Message,
    version: i16,
    choices: &'a mut Choices,
}

impl BodyWriter<'_> {
    fn flexible(&self) -> bool {
        self.message
            .flexible_from
            .is_some_and(|from| self.version >= from)
    }

    fn fields(&mut self, fields: &[Field], out: &mut Vec<u8>) {
        let version = self.version;
        let present = |field: &&Field| field.versions.contains(version);
        for field in fields.iter().filter(present).filter(|f| f.tag.is_none()) {
            self.field(field, out);
        }
        if self.flexible() {
            self.tagged(fields, out);
        }
    }

    fn tagged(&mut self, fields: &[Field], out: &mut Vec<u8>) {
        let mut tagged: Vec<&Field> = fields
            .iter()
            .filter(|f| f.tag.is_some() && f.versions.contains(self.version))
            .collect();
        tagged.sort_by_key(|f| f.tag.map(|(number, _)| number));
        let mut written = Vec::new();
        for field in tagged {
            let mut value = Vec::new();
            self.field(field, &mut value);
            // Encoders leave out defaults; the value of each type that is certainly none is written.
            if self.choices.one_in(2) && !is_default(self.message, self.version, field, &value) {
                written.push((field.tag.map_or(0, |(number, _)| number), value));
            }
        }
        varint(written.len() as u32, out);
        for (number, value) in written {
            varint(number, out);
            varint(value.len() as u32, out);
            out.extend(value);
        }
    }

    fn field(&mut self, field: &Field, out: &mut Vec<u8>) {
        let nullable = field
            .nullable
            .is_some_and(|versions| versions.contains(self.version));
        let null = nullable && self.choices.one_in(4);
        match &field.field_type {
            Type::Struct(_) if nullable => {
                out.push(if null { 0xff } else { 1 });
                if !null {
                    self.value(&field.field_type, out);
                }
            }
            Type::Text if null && !self.flexible() => out.extend((-1i16).to_be_bytes()),
            Type::Text | Type::Bytes | Type::Records | Type::Array(_) if null => self.length(None, out),
            other => self.value(other, out),
        }
    }

    fn length(&mut self, length: Option<usize>, out: &mut Vec<u8>) {
        let length = length.map_or(-1, |length| length as i32);
        if self.flexible() {
            varint((length + 1) as u32, out)
        } else {
            out.extend(length.to_be_bytes())
        }
    }

    fn value(&mut self, field_type: &Type, out: &mut Vec<u8>) {
        match field_type {
            Type::Bool => out.push(self.choices.below(2) as u8),
            Type::Int8 => out.push(self.choices.next() as u8),
            Type::Int16 | Type::Uint16 => out.extend((self.choices.next() as i16).to_be_bytes()),
            Type::Int32 => out.extend((self.choices.next() as i32).to_be_bytes()),
            Type::Int64 => out.extend((self.choices.next() as i64).to_be_bytes()),
            Type::Float64 => out.extend((self.choices.below(1 << 50) as f64).to_be_bytes()),
            Type::Uuid => {
                out.extend(self.choices.next().to_be_bytes());
                out.extend(self.choices.next().to_be_bytes());
            }
            Type::Text => {
                let length = if self.choices.one_in(20) {
                    200
                } else {
                    self.choices.below(9)
                };
                let text: String = (0..length)
                    .map(|_| ['a', 'Z', '.', 'ß'][self.choices.below(4) as usize])
                    .collect();
                if self.flexible() {
                    varint(text.len() as u32 + 1, out)
                } else {
                    out.extend((text.len() as i16).to_be_bytes())
                }
                out.extend(text.bytes());
            }
            Type::Bytes | Type::Records => {
                let length = if self.choices.one_in(10) {
                    5000
                } else {
                    self.choices.below(20)
                } as usize;
                self.length(Some(length), out);
                out.extend((0..length).map(|i| i as u8));
            }
            Type::Array(element) => {
                let count = self.choices.below(4) as usize;
                self.length(Some(count), out);
                for _ in 0..count {
                    self.value(element, out);
                }
            }
            Type::Struct(name) => {
                let each = self.message.find_struct(name).expect("checked by the parser");
                self.fields(&each.fields, out);
            }
        }
    }
}

/// Whether `value` is how the field's default is written; only structures and arrays need their parts looked at, and
/// those of tagged fields have none but numbers with a default of -1, or are random enough never to be the default.
fn is_default(message: &Message, version: i16, field: &Field, value: &[u8]) -> bool {
    let default = field.default.as_deref();
    let number = |width: usize| {
        let default: i64 = default.and_then(|text| text.parse().ok()).unwrap_or(0);
        value == &default.to_be_bytes()[8 - width..]
    };
    match &field.field_type {
        Type::Bool => value == [u8::from(default == Some("true"))],
        Type::Int8 => number(1),
        Type::Int16 | Type::Uint16 => number(2),
        Type::Int32 => number(4),
        Type::Int64 => number(8),
        Type::Float64 => value == [0; 8],
        Type::Uuid => value == [0; 16],
        Type::Text | Type::Bytes | Type::Records | Type::Array(_) => {
            let null_default = default == Some("null") || field.field_type == Type::Records;
            value == [if null_default { 0 } else { 1 }]
        }
        Type::Struct(_) if field.nullable.is_some() => value == [0xff],
        Type::Struct(name) => {
            let fields = &message.find_struct(name).expect("checked by the parser").fields;
            let mut expected = Vec::new();
            for each in fields.iter().filter(|f| f.versions.contains(version)) {
                let width = match each.field_type {
                    Type::Int32 => 4,
                    Type::Int64 => 8,
                    _ => panic!("{}: the test does not know this default", each.name),
                };
                let default: i64 = each
                    .default
                    .as_deref()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                expected.extend(&default.to_be_bytes()[8 - width..]);
            }
            expected.push(0);
            value == expected
        }
    }
}

pub fn varint(mut value: u32, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
