//! HTTP/1.1 on the server side, by hand.
//!
//! No server library can be told to write a chunk-size line with an empty extension (`1a;`), as the BBS
//! does for each event, or to stop in the middle of a body, as the faults here want; and what is needed
//! is small: requests with a length or in chunks, answers with a length, connections that live on.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::serve::Wire;
use crate::web::{Reply, Request};

/// Longest request or header line; Go's servers allow about as much for all headers together.
const LINE: u64 = 1 << 20;
/// Largest request body.
const BODY: usize = 64 << 20;

/// The server's end of a connection.
pub(crate) type Connection = BufReader<Box<dyn Wire>>;

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the next request; `None` when the client has closed.
pub(crate) async fn read(connection: &mut Connection) -> io::Result<Option<Request>> {
    let Some(start) = line(connection).await? else {
        return Ok(None);
    };
    let mut parts = start.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0")) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Err(invalid("not an HTTP/1 request line"));
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| invalid("not a method"))?;
    let headers = headers(connection).await?;
    if headers.get("expect").is_some() {
        connection
            .get_mut()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await?;
    }
    let body = body(connection, &headers).await?;
    Ok(Some(Request::new(method, target, headers, body)))
}

async fn line(connection: &mut Connection) -> io::Result<Option<String>> {
    let mut line = String::new();
    if connection.take(LINE).read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    if !line.ends_with('\n') {
        return Err(invalid("a line is too long or cut"));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(Some(line))
}

async fn headers(connection: &mut Connection) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    while let Some(line) = line(connection).await? {
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("a header has no colon"))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("not a header name"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| invalid("not a header value"))?;
        headers.append(name, value);
    }
    Err(invalid("the headers are cut"))
}

async fn body(connection: &mut Connection, headers: &HeaderMap) -> io::Result<Bytes> {
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if chunked {
        return chunks(connection).await;
    }
    let length = headers
        .get("content-length")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let mut body = Vec::new();
    part(connection, length, &mut body).await?;
    Ok(body.into())
}

async fn chunks(connection: &mut Connection) -> io::Result<Bytes> {
    let mut body = Vec::new();
    loop {
        let size = line(connection)
            .await?
            .ok_or_else(|| invalid("a chunk is missing"))?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| invalid("not a chunk size"))?;
        part(connection, size, &mut body).await?;
        line(connection).await?;
        if size == 0 {
            return Ok(body.into());
        }
    }
}

async fn part(connection: &mut Connection, size: usize, body: &mut Vec<u8>) -> io::Result<()> {
    let start = body.len();
    if start.saturating_add(size) > BODY {
        return Err(invalid("the body is too large"));
    }
    body.resize(start + size, 0);
    connection.read_exact(&mut body[start..]).await.map(drop)
}

/// Writes an answer; with `cut`, only so many bytes of its body.
pub(crate) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    reply: &Reply,
    cut: Option<usize>,
    head_only: bool,
) -> io::Result<()> {
    let mut message = head(reply);
    message.extend(format!("Content-Length: {}\r\n\r\n", reply.body.len()).as_bytes());
    if !head_only {
        message.extend(&reply.body[..cut.unwrap_or(usize::MAX).min(reply.body.len())]);
    }
    to.write_all(&message).await?;
    to.flush().await
}

/// Writes the head of an answer whose body follows in chunks.
pub(crate) async fn write_chunked_head(to: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    let mut message = head(reply);
    message.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    to.write_all(&message).await?;
    to.flush().await
}

/// Writes one chunk with an empty extension, as Go's raw streams of the BBS do; an empty one ends the body.
pub(crate) async fn write_chunk(to: &mut (impl AsyncWrite + Unpin), chunk: &[u8]) -> io::Result<()> {
    let mut message = format!("{:x};\r\n", chunk.len()).into_bytes();
    message.extend(chunk);
    message.extend(b"\r\n");
    to.write_all(&message).await?;
    to.flush().await
}

fn head(reply: &Reply) -> Vec<u8> {
    let status = http::StatusCode::from_u16(reply.status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, status.unwrap_or("Unknown"));
    if !reply.content_type.is_empty() {
        head.push_str(&format!("Content-Type: {}\r\n", reply.content_type));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.into_bytes()
}

/// Whether the client wants the connection to live on.
pub(crate) fn keeps_alive(request: &Request) -> bool {
    !request
        .header("connection")
        .is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn parse(text: &'static [u8]) -> io::Result<Option<Request>> {
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(text).await.unwrap();
        drop(client);
        let server: Box<dyn Wire> = Box::new(server);
        read(&mut BufReader::new(server)).await
    }

    #[tokio::test]
    async fn bodies_come_by_length_or_in_chunks() {
        let request = parse(b"POST /a?b=c HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (
                request.path.as_str(),
                request.raw_query.as_str(),
                &request.body[..]
            ),
            ("/a", "b=c", &b"xyz"[..])
        );
        let request =
            parse(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;\r\nxy\r\n1\r\nz\r\n0\r\n\r\n")
                .await;
        assert_eq!(&request.unwrap().unwrap().body[..], b"xyz");
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        assert!(parse(b"").await.unwrap().is_none());
        assert!(parse(b"hello\r\n\r\n").await.is_err());
        assert!(parse(b"GET / HTTP/1.1\r\nbroken\r\n\r\n").await.is_err());
        assert!(
            parse(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nxyz")
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_chunk_has_an_empty_extension() {
        let mut out = Vec::new();
        write_chunk(&mut out, b"hello world, this is").await.unwrap();
        write_chunk(&mut out, b"").await.unwrap();
        assert_eq!(out, b"14;\r\nhello world, this is\r\n0;\r\n\r\n");
    }
}
