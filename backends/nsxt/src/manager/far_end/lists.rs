//! One page of a list, and whole lists from which an absence may be concluded.
//!
//! Pages are not a snapshot: while others change a list, an object may be missed. So a list that took
//! more than one page is read a second time before anything is taken for absent; an object that stood all
//! the while would have to be missed twice.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use super::NsxFarEnd;
use super::outcome::describe;
use crate::manager::json::text;
use crate::transport::{Request, TransportError};

/// Largest page that managers give (NSX-T API guide, list requests).
pub(super) const LARGEST_PAGE: usize = 1000;

/// One page.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) results: Vec<Value>,
    pub(super) cursor: Option<String>,
}

impl Page {
    /// The cursor of the next page, if there is one; some old lists end with one that begins with zeros.
    pub(super) fn next(&self) -> Option<String> {
        self.cursor
            .clone()
            .filter(|cursor| !cursor.is_empty() && !cursor.starts_with("0000"))
    }
}

impl NsxFarEnd {
    /// The page of a list at this cursor.
    pub(super) async fn page(
        &self,
        path: &str,
        filter: &[(&str, &str)],
        cursor: Option<&str>,
    ) -> Result<Page, TransportError> {
        let mut request = Request::get(path)
            .with_all(filter)
            .with("page_size", self.page_size.to_string());
        if let Some(cursor) = cursor {
            request = request.with("cursor", cursor);
        }
        self.api.send(&request).await?.json()
    }

    /// A whole list, such that what it does not show is not there.
    pub(super) async fn whole(
        &self,
        path: &str,
        filter: &[(&str, &str)],
    ) -> Result<Vec<Value>, TransportError> {
        let (mut all, pages) = self.once(path, filter).await?;
        if pages > 1 {
            let known: HashSet<String> = all.iter().map(|o| text(o, "id").to_owned()).collect();
            let (again, _) = self.once(path, filter).await?;
            all.extend(again.into_iter().filter(|o| !known.contains(text(o, "id"))));
        }
        Ok(all)
    }

    async fn once(&self, path: &str, filter: &[(&str, &str)]) -> Result<(Vec<Value>, usize), TransportError> {
        let (mut all, mut pages, mut cursor) = (Vec::new(), 0, None);
        let mut seen = HashSet::new();
        loop {
            let page = self.page(path, filter, cursor.as_deref()).await?;
            pages += 1;
            let next = page.next();
            for object in page.results {
                if seen.insert(text(&object, "id").to_owned()) || text(&object, "id").is_empty() {
                    all.push(object);
                }
            }
            if next.is_none() || next == cursor {
                return Ok((all, pages));
            }
            cursor = next;
        }
    }

    /// An object by its path; `None` if there is none.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, TransportError> {
        match self.api.get(path, &[]).await {
            Ok(response) => response.value().map(Some),
            Err(error) if error.class() == crate::transport::Class::Gone => {
                tracing::debug!(path, answer = %describe(&error), "not there");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
