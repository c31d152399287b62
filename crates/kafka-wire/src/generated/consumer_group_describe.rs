// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ConsumerGroupDescribe`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ConsumerGroupDescribeRequest`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerGroupDescribeRequest {
    pub group_ids: Vec<KafkaString>,
    pub include_authorized_operations: bool,
}

impl ConsumerGroupDescribeRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ConsumerGroupDescribeRequest", version, 0, 1)?;
        let decoded = Self {
            group_ids: r.array(true, 1, |r| r.string(true))?,
            include_authorized_operations: r.bool()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ConsumerGroupDescribeRequest", version, 0, 1)?;
        w.array(&self.group_ids, true, |w, each| w.string(each, true))?;
        w.bool(self.include_authorized_operations);
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `ConsumerGroupDescribeResponse`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerGroupDescribeResponse {
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
}

impl ConsumerGroupDescribeResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ConsumerGroupDescribeResponse", version, 0, 1)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            groups: r.array(true, DescribedGroup::MIN_SIZE, |r| {
                DescribedGroup::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ConsumerGroupDescribeResponse", version, 0, 1)?;
        w.i32(self.throttle_time_ms);
        w.array(&self.groups, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ConsumerGroupDescribeResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub member_id: KafkaString,
    pub instance_id: Option<KafkaString>,
    pub rack_id: Option<KafkaString>,
    pub member_epoch: i32,
    pub client_id: KafkaString,
    pub client_host: KafkaString,
    pub subscribed_topic_names: Vec<KafkaString>,
    pub subscribed_topic_regex: Option<KafkaString>,
    pub assignment: Assignment,
    pub target_assignment: Assignment,
    /// From version 1.
    pub member_type: i8,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            member_id: KafkaString::EMPTY,
            instance_id: None,
            rack_id: None,
            member_epoch: 0,
            client_id: KafkaString::EMPTY,
            client_host: KafkaString::EMPTY,
            subscribed_topic_names: Vec::new(),
            subscribed_topic_regex: None,
            assignment: Assignment::default(),
            target_assignment: Assignment::default(),
            member_type: -1,
        }
    }
}

impl Member {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 16;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            member_id: r.string(true)?,
            instance_id: r.nullable_string(true)?,
            rack_id: r.nullable_string(true)?,
            member_epoch: r.i32()?,
            client_id: r.string(true)?,
            client_host: r.string(true)?,
            subscribed_topic_names: r.array(true, 1, |r| r.string(true))?,
            subscribed_topic_regex: r.nullable_string(true)?,
            assignment: Assignment::decode(r, version)?,
            target_assignment: Assignment::decode(r, version)?,
            member_type: if version >= 1 { r.i8()? } else { -1 },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.member_id, true)?;
        w.nullable_string(self.instance_id.as_ref(), true)?;
        w.nullable_string(self.rack_id.as_ref(), true)?;
        w.i32(self.member_epoch);
        w.string(&self.client_id, true)?;
        w.string(&self.client_host, true)?;
        w.array(&self.subscribed_topic_names, true, |w, each| w.string(each, true))?;
        w.nullable_string(self.subscribed_topic_regex.as_ref(), true)?;
        self.assignment.encode(w, version)?;
        self.target_assignment.encode(w, version)?;
        if version >= 1 {
            w.i8(self.member_type);
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ConsumerGroupDescribeResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedGroup {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub group_id: KafkaString,
    pub group_state: KafkaString,
    pub group_epoch: i32,
    pub assignment_epoch: i32,
    pub assignor_name: KafkaString,
    pub members: Vec<Member>,
    pub authorized_operations: i32,
}

impl Default for DescribedGroup {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: None,
            group_id: KafkaString::EMPTY,
            group_state: KafkaString::EMPTY,
            group_epoch: 0,
            assignment_epoch: 0,
            assignor_name: KafkaString::EMPTY,
            members: Vec::new(),
            authorized_operations: -2147483648,
        }
    }
}

impl DescribedGroup {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 20;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            group_id: r.string(true)?,
            group_state: r.string(true)?,
            group_epoch: r.i32()?,
            assignment_epoch: r.i32()?,
            assignor_name: r.string(true)?,
            members: r.array(true, Member::MIN_SIZE, |r| Member::decode(r, version))?,
            authorized_operations: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.string(&self.group_id, true)?;
        w.string(&self.group_state, true)?;
        w.i32(self.group_epoch);
        w.i32(self.assignment_epoch);
        w.string(&self.assignor_name, true)?;
        w.array(&self.members, true, |w, each| each.encode(w, version))?;
        w.i32(self.authorized_operations);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ConsumerGroupDescribeResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub topic_name: KafkaString,
    pub partitions: Vec<i32>,
}

impl TopicPartitions {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 19;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_id: r.uuid()?,
            topic_name: r.string(true)?,
            partitions: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.uuid(self.topic_id);
        w.string(&self.topic_name, true)?;
        w.array(&self.partitions, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ConsumerGroupDescribeResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    pub topic_partitions: Vec<TopicPartitions>,
}

impl Assignment {
    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_partitions: r.array(true, TopicPartitions::MIN_SIZE, |r| {
                TopicPartitions::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.array(&self.topic_partitions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for ConsumerGroupDescribeRequest {
    const API_KEY: ApiKey = ApiKey::ConsumerGroupDescribe;
    type Response = ConsumerGroupDescribeResponse;
}

impl From<ConsumerGroupDescribeRequest> for Request {
    fn from(message: ConsumerGroupDescribeRequest) -> Self {
        Request::ConsumerGroupDescribe(message)
    }
}

impl From<ConsumerGroupDescribeResponse> for Response {
    fn from(message: ConsumerGroupDescribeResponse) -> Self {
        Response::ConsumerGroupDescribe(message)
    }
}

impl TryFrom<Response> for ConsumerGroupDescribeResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ConsumerGroupDescribe(message) => Ok(message),
            other => Err(other),
        }
    }
}
