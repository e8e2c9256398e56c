//! Events of the BBS: the name in the frame tells which message the payload is.
//!
//! The LRP instance stream carries the desired, instance and crashed events; the task stream the task
//! events; the deprecated group stream the desired, group and crashed ones (`models/events.go` of `bbs`).

use prost::Message;

use crate::bbs;
use crate::sse::{self, Frame};

/// Why one event could not be read. The stream itself is still good, but the event is lost.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The data are not base64.
    #[error("the data of event {name} are not base64; list again")]
    Base64 {
        /// Name of the event.
        name: String,
        /// What is wrong with them.
        #[source]
        source: base64::DecodeError,
    },
    /// The payload is empty, which no event is.
    #[error("event {name} is empty; list again")]
    Empty {
        /// Name of the event.
        name: String,
    },
    /// The payload is not the message the name promises.
    #[error("event {name} cannot be decoded; list again")]
    Protobuf {
        /// Name of the event.
        name: String,
        /// What is wrong with it.
        #[source]
        source: prost::DecodeError,
    },
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident($message:ident) = $name:literal;)*) => {
        /// One event. Payloads are boxed: a desired LRP is large, and most events are not of that kind.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum BbsEvent {
            $($(#[$doc])* $variant(Box<bbs::$message>),)*
        }

        impl BbsEvent {
            /// The name in the frame.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// The protobuf message.
            pub fn payload(&self) -> Vec<u8> {
                match self { $(Self::$variant(message) => message.encode_to_vec(),)* }
            }

            fn decode_named(name: &str, payload: &[u8]) -> Result<Option<Self>, prost::DecodeError> {
                Ok(Some(match name {
                    $($name => Self::$variant(Box::new(bbs::$message::decode(payload)?)),)*
                    _ => return Ok(None),
                }))
            }
        }

        $(impl From<bbs::$message> for BbsEvent {
            fn from(message: bbs::$message) -> Self {
                Self::$variant(Box::new(message))
            }
        })*
    };
}

events! {
    /// A desired LRP was made.
    DesiredCreated(DesiredLrpCreatedEvent) = "desired_lrp_created";
    /// A desired LRP changed.
    DesiredChanged(DesiredLrpChangedEvent) = "desired_lrp_changed";
    /// A desired LRP was removed.
    DesiredRemoved(DesiredLrpRemovedEvent) = "desired_lrp_removed";
    /// An instance record was made.
    InstanceCreated(ActualLrpInstanceCreatedEvent) = "actual_lrp_instance_created";
    /// An instance record changed.
    InstanceChanged(ActualLrpInstanceChangedEvent) = "actual_lrp_instance_changed";
    /// An instance record was removed.
    InstanceRemoved(ActualLrpInstanceRemovedEvent) = "actual_lrp_instance_removed";
    /// A container crashed.
    Crashed(ActualLrpCrashedEvent) = "actual_lrp_crashed";
    /// A task was made.
    TaskCreated(TaskCreatedEvent) = "task_created";
    /// A task changed.
    TaskChanged(TaskChangedEvent) = "task_changed";
    /// A task was removed.
    TaskRemoved(TaskRemovedEvent) = "task_removed";
    /// Deprecated: a group was made.
    GroupCreated(ActualLrpCreatedEvent) = "actual_lrp_created";
    /// Deprecated: a group changed.
    GroupChanged(ActualLrpChangedEvent) = "actual_lrp_changed";
    /// Deprecated: a group was removed.
    GroupRemoved(ActualLrpRemovedEvent) = "actual_lrp_removed";
}

impl BbsEvent {
    /// Reads a frame; `None` for a name that is not known, which a client skips.
    ///
    /// # Errors
    /// [`EventError`] when this one event is undecodable.
    pub fn from_frame(frame: &Frame) -> Result<Option<Self>, EventError> {
        let name = || frame.event.clone();
        let payload = frame
            .payload()
            .map_err(|source| EventError::Base64 { name: name(), source })?;
        if payload.is_empty() {
            return Err(EventError::Empty { name: name() });
        }
        Self::decode_named(&frame.event, &payload)
            .map_err(|source| EventError::Protobuf { name: name(), source })
    }

    /// Writes the frame with the given number.
    pub fn to_frame(&self, id: u64) -> Vec<u8> {
        sse::encode(id, self.name(), &self.payload())
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::sse::Decoder;

    #[test]
    fn an_event_survives_the_wire() {
        let event: BbsEvent = bbs::ActualLrpCrashedEvent {
            actual_lrp_key: Some(bbs::ActualLrpKey {
                process_guid: "p".into(),
                ..Default::default()
            }),
            actual_lrp_instance_key: Some(Default::default()),
            crash_reason: vec![0xff],
            ..Default::default()
        }
        .into();
        let frames = Decoder::new().push(&event.to_frame(3)).expect("short lines");
        assert_eq!(BbsEvent::from_frame(&frames[0]).expect("decodes"), Some(event));
    }

    #[test]
    fn unknown_names_are_skipped_and_bad_ones_named() {
        let frame = |event: &str, data: &[u8]| Frame {
            id: None,
            event: event.into(),
            data: data.to_vec(),
        };
        assert_eq!(
            BbsEvent::from_frame(&frame("novelty", b"YQ==")).expect("skipped"),
            None
        );
        let error = BbsEvent::from_frame(&frame("task_created", b"YQ==")).expect_err("not a message");
        assert!(matches!(&error, EventError::Protobuf { name, .. } if name == "task_created"));
        let error = BbsEvent::from_frame(&frame("task_created", b"")).expect_err("empty");
        assert!(matches!(error, EventError::Empty { .. }));
    }

    #[test]
    fn always_present_messages_and_unpacked_ports_are_written() {
        let lrp = bbs::ActualLrp {
            actual_lrp_key: Some(Default::default()),
            ..Default::default()
        };
        assert_eq!(lrp.encode_to_vec(), [0x0a, 0x00]);
        let desired = bbs::DesiredLrp {
            ports: vec![1, 2],
            ..Default::default()
        };
        assert_eq!(desired.encode_to_vec(), [0x70, 1, 0x70, 2]);
        let packed = bbs::DesiredLrp::decode(&[0x72, 2, 1, 2][..]).expect("packed is read too");
        assert_eq!(packed.ports, [1, 2]);
    }

    #[test]
    fn instance_and_info_keep_their_different_numbers() {
        let lrp = bbs::ActualLrp {
            routable: Some(true),
            ..Default::default()
        };
        assert_eq!(lrp.encode_to_vec(), [13 << 3, 1]);
        let info = bbs::ActualLrpInfo {
            routable: Some(true),
            ..Default::default()
        };
        assert_eq!(info.encode_to_vec(), [11 << 3, 1]);
    }
}
