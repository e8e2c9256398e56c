//! What the realized state does to a flow.
pub(crate) mod members;
