//! Pool actions: ALLOCATE, RELEASE and the list of allocations.

use http::Method;
use serde_json::{Value, json};

use super::list::Listing;
use super::{Answer, ApiError, Call, Result};
use crate::kinds::{Kind, pools};
use crate::store::{Store, text};

/// Gives or takes back an address.
pub(super) fn action(store: &mut Store, call: &Call<'_>, kind: Kind, pool: &str) -> Result<Answer> {
    let body = call.json()?;
    let address = body.get("allocation_id").and_then(Value::as_str);
    match call.action() {
        "ALLOCATE" => {
            let draw = |tx: &mut crate::store::Tx<'_>| pools::draw(tx, kind, pool, address, None);
            let address = store.transact::<_, ApiError>(call.user, draw)?;
            Ok(Answer::json(json!({ "allocation_id": address })))
        }
        "RELEASE" => {
            let address = text(&body, "allocation_id");
            store.transact::<_, ApiError>(call.user, |tx| pools::give_back(tx, kind, pool, address))?;
            Ok(Answer::empty())
        }
        _ => call.unknown(),
    }
}

/// Lists the addresses that are out.
pub(super) fn allocations(store: &Store, call: &Call<'_>, pool: &str) -> Result<Answer> {
    if call.method != Method::GET {
        return call.not_allowed();
    }
    super::read(store, Kind::IpPool, pool)?;
    let held = store
        .view()
        .children(Kind::AllocationIpAddress, pool)
        .map(|held| pools::shown(held));
    Listing::read(call, 1000)?.values(held.collect())
}
