//! Principal identities: the callers that log in by certificate.

use super::schema::{Schema, flag, text};
use super::{Kind, Plain, Spec};

const IDENTITY: &Schema = &[
    text("name").once(),
    text("node_id").once(),
    text("certificate_id"),
    text("role"),
    text("permission_group"),
    flag("is_protected", false),
];

pub(super) const SPECS: &[Spec] = &[Spec::new(
    Kind::PrincipalIdentity,
    "trust-management/principal-identities",
    "internal-framework",
    &[("PrincipalIdentity", IDENTITY)],
    &Plain,
)];
