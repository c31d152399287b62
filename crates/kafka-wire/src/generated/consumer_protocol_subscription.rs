// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The structure `ConsumerProtocolSubscription`.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The structure `ConsumerProtocolSubscription`, versions 0 to 3.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerProtocolSubscription {
    pub topics: Vec<KafkaString>,
    pub user_data: Option<Bytes>,
    /// From version 1.
    pub owned_partitions: Vec<TopicPartition>,
    /// From version 2.
    pub generation_id: i32,
    /// From version 3.
    pub rack_id: Option<KafkaString>,
}

impl Default for ConsumerProtocolSubscription {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            user_data: None,
            owned_partitions: Vec::new(),
            generation_id: -1,
            rack_id: None,
        }
    }
}

impl ConsumerProtocolSubscription {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ConsumerProtocolSubscription", version, 0, 3)?;
        Ok(Self {
            topics: r.array(false, 2, |r| r.string(false))?,
            user_data: r.nullable_bytes(false)?,
            owned_partitions: if version >= 1 {
                r.array(false, TopicPartition::MIN_SIZE, |r| {
                    TopicPartition::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            generation_id: if version >= 2 { r.i32()? } else { -1 },
            rack_id: if version >= 3 {
                r.nullable_string(false)?
            } else {
                None
            },
        })
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ConsumerProtocolSubscription", version, 0, 3)?;
        w.array(&self.topics, false, |w, each| w.string(each, false))?;
        w.nullable_bytes(self.user_data.as_ref(), false)?;
        if version >= 1 {
            w.array(&self.owned_partitions, false, |w, each| each.encode(w, version))?;
        }
        if version >= 2 {
            w.i32(self.generation_id);
        }
        if version >= 3 {
            w.nullable_string(self.rack_id.as_ref(), false)?;
        }
        Ok(())
    }
}

/// A part of `ConsumerProtocolSubscription`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicPartition {
    /// From version 1.
    pub topic: KafkaString,
    /// From version 1.
    pub partitions: Vec<i32>,
}

impl TopicPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: if version >= 1 {
                r.string(false)?
            } else {
                KafkaString::EMPTY
            },
            partitions: if version >= 1 {
                r.array(false, 4, Reader::i32)?
            } else {
                Vec::new()
            },
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 1 {
            w.string(&self.topic, false)?;
        } else if !self.topic.is_empty() {
            return Err(EncodeError::unsupported_field("TopicPartition", "Topic", version));
        }
        if version >= 1 {
            w.array(&self.partitions, false, |w, each| {
                w.i32(*each);
                Ok(())
            })?;
        } else if !self.partitions.is_empty() {
            return Err(EncodeError::unsupported_field(
                "TopicPartition",
                "Partitions",
                version,
            ));
        }
        Ok(())
    }
}
