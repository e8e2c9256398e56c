//! One type per kind of identifier, so that an app is never passed where a space is meant.
//!
//! All are opaque text to this crate: Cloud Controller's GUIDs are usually, but not always, UUIDs. They
//! are shared (`Arc`), since the same guid is held by many records of a large foundation.

use std::sync::Arc;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the text is empty, which sources use for "none".
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d).map(Self::from)
            }
        }
    )* };
}

ids! {
    /// An organization of Cloud Controller.
    OrgGuid
    /// A space of Cloud Controller.
    SpaceGuid
    /// An app of Cloud Controller; also the id that container-to-container policies name.
    AppGuid
    /// A security group of Cloud Controller.
    SecurityGroupGuid
    /// A desired LRP: one version of one process of an app. Never derive the app from it.
    ProcessGuid
    /// A cell as Diego names it; it survives the virtual machine's recreation.
    CellId
    /// A container: instance guid of an LRP, or task guid. Garden's handle.
    Handle
}
