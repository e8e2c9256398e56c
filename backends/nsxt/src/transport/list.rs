//! Lists and searches, page by page.
//!
//! Pages are not a snapshot: while others change things, an object may come twice or be missed. So nothing may be
//! concluded from an object's *absence* in a list (nsx-mp-api §1.7).

use std::collections::VecDeque;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api::Api;
use super::classify::Class;
use super::error::TransportError;
use super::request::Request;
use super::search::Query;

/// Largest page that managers give.
const LARGEST_PAGE: usize = 1000;

/// A list that is being read. Items are parsed as `T` straight from the page, without a tree in between; take
/// [`serde_json::Value`] to see them raw.
pub struct Pages<T> {
    api: Api,
    path: String,
    query: Vec<(String, String)>,
    page_size: usize,
    position: Position,
    items: PhantomData<fn() -> T>,
}

enum Position {
    Start,
    At(String),
    End,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(default = "Vec::new")]
    results: Vec<T>,
    cursor: Option<String>,
    result_count: Option<u64>,
}

impl Api {
    /// Reads a list. `query` holds filters; paging is done here.
    pub fn list<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Pages<T> {
        let owned = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Pages {
            api: self.clone(),
            path: path.to_owned(),
            query: owned,
            page_size: LARGEST_PAGE,
            position: Position::Start,
            items: PhantomData,
        }
    }

    /// Searches. The index lags: a hit is a hint and a miss proves nothing.
    pub async fn search<T: DeserializeOwned>(&self, query: &Query) -> Result<Pages<T>, TransportError> {
        let path = if self.version().await?.at_least(3, 0) {
            "/search/query"
        } else {
            "/search"
        };
        Ok(self.list(path, &[("query", query.as_str())]))
    }
}

impl<T: DeserializeOwned> Pages<T> {
    /// The next page, `None` after the last. A page too large for the search is asked for again at half the size.
    ///
    /// After an error the same page can be asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, TransportError> {
        loop {
            let Some(request) = self.request() else {
                return Ok(None);
            };
            match self.api.send(&request).await {
                Ok(response) => return self.turn(&request, response.json()?).map(Some),
                Err(error) if error.class() == Class::PageTooLarge && self.page_size > 1 => {
                    self.page_size /= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// All items of all pages, for lists known to be short.
    pub async fn all(mut self) -> Result<Vec<T>, TransportError> {
        let mut items = Vec::new();
        while let Some(page) = self.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// As a stream of items.
    pub fn into_stream(self) -> impl futures::Stream<Item = Result<T, TransportError>> {
        futures::stream::try_unfold((self, VecDeque::new()), |(mut pages, mut waiting)| async move {
            loop {
                if let Some(item) = waiting.pop_front() {
                    return Ok(Some((item, (pages, waiting))));
                }
                match pages.next().await? {
                    Some(page) => waiting = page.into(),
                    None => return Ok(None),
                }
            }
        })
    }

    fn request(&self) -> Option<Request> {
        let mut request = Request::get(self.path.as_str());
        for (name, value) in &self.query {
            request = request.with(name.as_str(), value.as_str());
        }
        request = request.with("page_size", self.page_size.to_string());
        match &self.position {
            Position::Start => Some(request),
            Position::At(cursor) => Some(request.with("cursor", cursor.as_str())),
            Position::End => None,
        }
    }

    /// Moves on to the page that this one names.
    fn turn(&mut self, request: &Request, page: Page<T>) -> Result<Vec<T>, TransportError> {
        let next = page
            .cursor
            .filter(|cursor| !self.is_end(cursor, page.result_count));
        if let (Some(next), Position::At(present)) = (&next, &self.position)
            && next == present
        {
            return Err(TransportError::EndlessList { call: request.name() });
        }
        self.position = next.map_or(Position::End, Position::At);
        Ok(page.results)
    }

    /// Whether a cursor names no further page: an empty one, one of the old lists' `0000…`, or a search's offset
    /// that has reached the count.
    fn is_end(&self, cursor: &str, result_count: Option<u64>) -> bool {
        if cursor.is_empty() || cursor.starts_with("0000") {
            return true;
        }
        let is_search = self.path.starts_with("/search");
        is_search
            && matches!((cursor.parse::<u64>(), result_count), (Ok(offset), Some(count)) if offset >= count)
    }
}
