//! A small server for tests of single exchanges: it answers each request with the next line of a script
//! and remembers what it was asked. Whole foundations are the emulator's business.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::http::{Peer, PeerOptions};

/// One answer, as the bytes to write; the connection is closed afterwards.
#[derive(Clone)]
pub(crate) struct Script(Vec<u8>);

impl Script {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::with(status, "content-type: application/json\r\n", body.as_bytes())
    }

    pub(crate) fn with(status: u16, headers: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self([head.as_bytes(), body].concat())
    }

    /// Cuts the answer's last `count` bytes off.
    pub(crate) fn truncated(mut self, count: usize) -> Self {
        self.0.truncate(self.0.len() - count);
        self
    }
}

type Answer = Arc<dyn Fn(&str) -> Option<Script> + Send + Sync>;

pub(crate) struct Server {
    url: url::Url,
    requests: Arc<Mutex<Vec<String>>>,
    _stop: DropGuard,
}

impl Server {
    /// Answers in the order of the script; when it is at its end, connections are closed unanswered.
    pub(crate) async fn start(script: Vec<Script>) -> Self {
        let script = Mutex::new(script.into_iter());
        Self::answering(move |_| script.lock().unwrap().next()).await
    }

    /// Answers by what is asked: the argument is the request's head and body in lower-case header names.
    pub(crate) async fn answering(answer: impl Fn(&str) -> Option<Script> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stop, answer, seen): (_, Answer, _) =
            (CancellationToken::new(), Arc::new(answer), requests.clone());
        let stopped = stop.clone();
        tokio::spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                tokio::spawn(serve(stream, answer.clone(), seen.clone()));
            }
        });
        Self {
            url,
            requests,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer::new(PeerOptions::new(self.url.clone())).unwrap()
    }

    pub(crate) fn url(&self) -> &url::Url {
        &self.url
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The request lines' targets, in order.
    pub(crate) fn targets(&self) -> Vec<String> {
        let target = |request: &String| request.split(' ').nth(1).unwrap_or_default().to_owned();
        self.requests().iter().map(target).collect()
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<String>>>) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    seen.lock().unwrap().push(request.clone());
    if let Some(Script(bytes)) = answer(&request) {
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        if body.len() >= length {
            return Some(text.into_owned());
        }
    }
}
