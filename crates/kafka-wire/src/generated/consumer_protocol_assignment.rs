// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The structure `ConsumerProtocolAssignment`.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The structure `ConsumerProtocolAssignment`, versions 0 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerProtocolAssignment {
    pub assigned_partitions: Vec<TopicPartition>,
    pub user_data: Option<Bytes>,
}

impl ConsumerProtocolAssignment {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ConsumerProtocolAssignment", version, 0, 3)?;
        Ok(Self {
            assigned_partitions: r.array(false, TopicPartition::MIN_SIZE, |r| {
                TopicPartition::decode(r, version)
            })?,
            user_data: r.nullable_bytes(false)?,
        })
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ConsumerProtocolAssignment", version, 0, 3)?;
        w.array(&self.assigned_partitions, false, |w, each| {
            each.encode(w, version)
        })?;
        w.nullable_bytes(self.user_data.as_ref(), false)?;
        Ok(())
    }
}

/// A part of `ConsumerProtocolAssignment`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicPartition {
    pub topic: KafkaString,
    pub partitions: Vec<i32>,
}

impl TopicPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: r.string(false)?,
            partitions: r.array(false, 4, Reader::i32)?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic, false)?;
        w.array(&self.partitions, false, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        Ok(())
    }
}
