//! The objects in SQLite.
//!
//! One table of bodies as JSON: what a manager judges by is in the views, the table only has to bring them
//! back. A request is one transaction; `synchronous` is off, since surviving a power cut isn't asked of it,
//! while a crash of the process loses nothing.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{Change, Object};
use crate::error::EmulatorError;
use crate::kinds::Kind;
use crate::options::State;

diesel::table! {
    objects (kind, id) {
        kind -> Text,
        id -> Text,
        parent -> Nullable<Text>,
        seq -> BigInt,
        uid -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    numbers (name) {
        name -> Text,
        value -> BigInt,
    }
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS objects (
        kind TEXT NOT NULL, id TEXT NOT NULL, parent TEXT, seq BIGINT NOT NULL, uid BIGINT NOT NULL,
        body TEXT NOT NULL, PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS numbers (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL) WITHOUT ROWID;
";

/// First number given to an object.
const FIRST_NUMBER: i64 = 1000;
/// Numbers set aside by one write to the table, so that most writes needn't touch it.
const NUMBER_BLOCK: i64 = 1024;

#[derive(Queryable, Insertable)]
#[diesel(table_name = objects)]
struct Row {
    kind: String,
    id: String,
    parent: Option<String>,
    seq: i64,
    uid: i64,
    body: String,
}

/// The table of objects.
pub(crate) struct Database {
    connection: SqliteConnection,
    reserved: i64,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the state, and makes its tables when they are missing.
    pub(crate) fn open(state: &State) -> Result<Self, EmulatorError> {
        let path = match state {
            State::Memory => ":memory:".to_owned(),
            State::File(path) => path.to_string_lossy().into_owned(),
        };
        let mut connection = SqliteConnection::establish(&path).map_err(|source| EmulatorError::Open {
            path: path.clone().into(),
            source,
        })?;
        connection.batch_execute(SCHEMA)?;
        let reserved = numbers::table
            .find("uid")
            .select(numbers::value)
            .first(&mut connection)
            .optional()?;
        Ok(Database {
            connection,
            reserved: reserved.unwrap_or(FIRST_NUMBER),
        })
    }

    /// The highest number that may have been given before this start.
    pub(crate) fn next_uid(&self) -> i64 {
        self.reserved
    }

    /// Every object.
    pub(crate) fn load(&mut self) -> Result<Vec<Object>, EmulatorError> {
        let rows: Vec<Row> = objects::table.load(&mut self.connection)?;
        rows.into_iter().map(object).collect()
    }

    /// Stores the changes of one request.
    pub(crate) fn write(&mut self, changes: &[Change], next_uid: i64) -> Result<(), EmulatorError> {
        let reserved = (next_uid > self.reserved).then(|| next_uid + NUMBER_BLOCK);
        self.connection.transaction(|connection| {
            if let Some(value) = reserved {
                diesel::replace_into(numbers::table)
                    .values((numbers::name.eq("uid"), numbers::value.eq(value)))
                    .execute(connection)?;
            }
            changes.iter().try_for_each(|change| store(connection, change))
        })?;
        self.reserved = reserved.unwrap_or(self.reserved);
        Ok(())
    }
}

fn store(connection: &mut SqliteConnection, change: &Change) -> Result<(), diesel::result::Error> {
    match change {
        Change::Put(object) => diesel::replace_into(objects::table)
            .values(row(object))
            .execute(connection)?,
        Change::Remove(kind, id) => {
            diesel::delete(objects::table.find((kind.name(), id.as_ref()))).execute(connection)?
        }
    };
    Ok(())
}

fn row(object: &Object) -> Row {
    Row {
        kind: object.kind.name().to_owned(),
        id: object.id.to_string(),
        parent: object.parent.as_deref().map(str::to_owned),
        seq: object.seq,
        uid: object.uid,
        body: serde_json::to_string(&object.body).unwrap_or_default(),
    }
}

fn object(row: Row) -> Result<Object, EmulatorError> {
    let corrupt = || EmulatorError::Corrupt {
        kind: row.kind.clone(),
        id: row.id.clone(),
    };
    let kind = Kind::named(&row.kind).ok_or_else(corrupt)?;
    let body = serde_json::from_str(&row.body).map_err(|_| corrupt())?;
    let parent = row.parent.as_deref().map(Arc::from);
    Ok(Object {
        kind,
        id: row.id.as_str().into(),
        parent,
        seq: row.seq,
        uid: row.uid,
        body,
    })
}
