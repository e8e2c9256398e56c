//! Load balancer objects, as far as references between them go.

use super::{Spec};

pub(super) const SPECS: &[Spec] = &[];
