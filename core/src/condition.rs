//! What is wrong, by the platform's object that it concerns.

use serde::Serialize;

use crate::code::Code;
use crate::intent::Origin;

/// One thing that is wrong now. Conditions are a function of the present, so they go by themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Condition {
    /// The platform's object.
    pub origin: Origin,
    /// The guide's code.
    pub code: Code,
    /// What exactly, and of which network object.
    pub message: String,
}
