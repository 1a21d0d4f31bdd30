//! One HTTP/1.1 connection with a stopwatch. Every step is timed on its own, and the connection is
//! kept for repeats.
//!
//! It sends `GET` and nothing that tells who asks: no cookie, no credential, no configured secret.

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use url::Url;

/// The most bytes that are read of one answer. No asset of a page is as large.
const LARGEST_ANSWER: u64 = 100_000_000;
/// The most bytes that are kept of a page.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;

const CLIENT_NAME: &str = concat!("cattocdn-probe/", env!("CARGO_PKG_VERSION"));

/// Why a URL could not be fetched, in words for whoever typed it.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the name `{host}` cannot be resolved: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to {authority}: {source}")]
    Connect {
        authority: String,
        source: io::Error,
    },
    #[error("cannot agree on TLS with {authority}: {source}")]
    Tls {
        authority: String,
        source: io::Error,
    },
    #[error(
        "this machine has no list of trusted certificates; on Debian, install the package `ca-certificates`"
    )]
    NoCertificates,
    #[error("no answer from {authority} within {} while {step}", humantime::format_duration(*.timeout))]
    TimedOut {
        authority: String,
        step: &'static str,
        timeout: Duration,
    },
    #[error("{authority} does not answer with HTTP, or its answer ended too early: {source}")]
    Broken {
        authority: String,
        source: hyper::Error,
    },
    #[error("the answer is larger than {} MB", LARGEST_ANSWER / 1_000_000)]
    TooLarge,
}

/// How long each step of opening a connection took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) resolve: Duration,
    pub(super) connect: Duration,
    /// The TLS handshake; `None` for unencrypted connections.
    pub(super) tls: Option<Duration>,
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    /// The steps of opening a connection, where one was opened for this request.
    pub(super) opening: Option<Opening>,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The time from sending the request to receiving the header of the answer. Opening the
    /// connection is not included.
    pub(super) first_byte: Duration,
    /// The time from sending the request to receiving the last byte of the answer. Opening the
    /// connection is not included.
    pub(super) total: Duration,
    /// The size of the body as it was sent, in bytes. A compressed body counts as compressed.
    pub(super) size: u64,
}

/// Which encodings a request accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    /// Accepts what browsers accept: Brotli or gzip.
    Packed,
    /// Names no encoding, so that the answer comes uncompressed.
    Plain,
}

/// What all connections share.
pub(super) struct Client {
    timeout: Duration,
    tls: OnceLock<TlsConnector>,
}

impl Client {
    /// A client that waits up to `timeout` for each step and each answer.
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            tls: OnceLock::new(),
        }
    }

    /// A connection to the host of this URL. It is opened by the first request.
    pub(super) fn session(&self, url: &Url) -> Session<'_> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        Session {
            client: self,
            // The header names the port only where it is not the default of the scheme.
            authority: url
                .port()
                .map_or_else(|| host.clone(), |port| format!("{host}:{port}")),
            host,
            port,
            secure: url.scheme() == "https",
            sender: None,
        }
    }

    /// The TLS settings. Certificates are read at first use, so unencrypted requests need none.
    fn tls(&self) -> Result<TlsConnector, FetchError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(FetchError::NoCertificates);
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows the versions of TLS that are built in")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self
            .tls
            .get_or_init(|| TlsConnector::from(Arc::new(config)))
            .clone())
    }
}

/// Requests to one host, one after the other, on one connection for as long as the host keeps it
/// open.
pub(super) struct Session<'a> {
    client: &'a Client,
    host: String,
    port: u16,
    authority: String,
    secure: bool,
    sender: Option<http1::SendRequest<Empty<Bytes>>>,
}

impl Session<'_> {
    /// Makes one request and reads the whole answer.
    pub(super) async fn get(&mut self, url: &Url, accept: Accept) -> Result<Exchange, FetchError> {
        Ok(self.exchange(url, accept, false).await?.0)
    }

    /// Makes a request that accepts no encoding, and keeps the body up to the size limit of a page.
    pub(super) async fn get_body(&mut self, url: &Url) -> Result<(Exchange, Vec<u8>), FetchError> {
        self.exchange(url, Accept::Plain, true).await
    }

    async fn exchange(
        &mut self,
        url: &Url,
        accept: Accept,
        keep: bool,
    ) -> Result<(Exchange, Vec<u8>), FetchError> {
        let kept = match self.sender.take() {
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        if let Some(sender) = kept {
            match self.ask(sender, None, url, accept, keep).await {
                // A host may close an idle connection just as it is used again. That is no fault of
                // the host.
                Err(FetchError::Broken { source, .. })
                    if source.is_canceled() || source.is_incomplete_message() => {}
                done => return done,
            }
        }
        let (sender, opening) = self.open().await?;
        self.ask(sender, Some(opening), url, accept, keep).await
    }

    async fn ask(
        &mut self,
        mut sender: http1::SendRequest<Empty<Bytes>>,
        opening: Option<Opening>,
        url: &Url,
        accept: Accept,
        keep: bool,
    ) -> Result<(Exchange, Vec<u8>), FetchError> {
        let request = self.request(url, accept);
        let begun = Instant::now();
        let (response, first_byte, (size, body)) = self
            .within("waiting for the answer", async {
                let response = sender
                    .send_request(request)
                    .await
                    .map_err(|source| self.broken(source))?;
                let first_byte = begun.elapsed();
                let (head, body) = response.into_parts();
                let read = self.read(body, keep).await?;
                Ok((Response::from_parts(head, ()), first_byte, read))
            })
            .await?;
        let exchange = Exchange {
            opening,
            status: response.status().as_u16(),
            headers: response.into_parts().0.headers,
            first_byte,
            total: begun.elapsed(),
            size,
        };
        self.sender = Some(sender);
        Ok((exchange, body))
    }

    fn request(&self, url: &Url, accept: Accept) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        *request.uri_mut() = path.parse().expect("a parsed URL has a valid path");
        let headers = request.headers_mut();
        let mut set = |name: HeaderName, value: &str| {
            let value = HeaderValue::try_from(value).expect("a host name is plain text");
            headers.insert(name, value);
        };
        set(header::HOST, &self.authority);
        set(header::USER_AGENT, CLIENT_NAME);
        set(header::ACCEPT, "*/*");
        // Makes CloudFront report its timings of this answer. Caches ignore it otherwise.
        set(header::PRAGMA, "server-timing");
        if accept == Accept::Packed {
            set(header::ACCEPT_ENCODING, "br, gzip");
        }
        request
    }

    async fn read(&self, mut incoming: Incoming, keep: bool) -> Result<(u64, Vec<u8>), FetchError> {
        let (mut size, mut body) = (0_u64, Vec::new());
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|source| self.broken(source))?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            size += data.len() as u64;
            if size > LARGEST_ANSWER {
                return Err(FetchError::TooLarge);
            }
            if keep {
                let room = LARGEST_PAGE.saturating_sub(body.len());
                body.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        Ok((size, body))
    }

    async fn open(&self) -> Result<(http1::SendRequest<Empty<Bytes>>, Opening), FetchError> {
        let begun = Instant::now();
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<_> = self
            .within("resolving its name", async {
                let found = tokio::net::lookup_host((host, self.port)).await;
                found.map_err(|source| FetchError::Resolve {
                    host: host.to_owned(),
                    source,
                })
            })
            .await?
            .collect();
        let resolve = begun.elapsed();
        let begun = Instant::now();
        let stream = self
            .within("connecting", async {
                let stream = TcpStream::connect(&addresses[..]).await;
                stream.map_err(|source| FetchError::Connect {
                    authority: self.authority.clone(),
                    source,
                })
            })
            .await?;
        // Small requests must not be held back to be sent together.
        let _ = stream.set_nodelay(true);
        let connect = begun.elapsed();
        if !self.secure {
            let opening = Opening {
                resolve,
                connect,
                tls: None,
            };
            return Ok((self.speak_http(stream).await?, opening));
        }
        let connector = self.client.tls()?;
        let begun = Instant::now();
        let stream = self
            .within("agreeing on TLS", async {
                let failed = |source| FetchError::Tls {
                    authority: self.authority.clone(),
                    source,
                };
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| failed(io::Error::other(error)))?;
                connector.connect(name, stream).await.map_err(failed)
            })
            .await?;
        let opening = Opening {
            resolve,
            connect,
            tls: Some(begun.elapsed()),
        };
        Ok((self.speak_http(stream).await?, opening))
    }

    async fn speak_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<http1::SendRequest<Empty<Bytes>>, FetchError> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| self.broken(source))?;
        // The task ends with the sender. A failure of the connection reaches the request that is
        // under way.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn within<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let timeout = self.client.timeout;
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or_else(|_| {
                Err(FetchError::TimedOut {
                    authority: self.authority.clone(),
                    step,
                    timeout,
                })
            })
    }

    fn broken(&self, source: hyper::Error) -> FetchError {
        FetchError::Broken {
            authority: self.authority.clone(),
            source,
        }
    }
}
