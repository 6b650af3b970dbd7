//! Takes connections and answers on them until it is told to stop.
//!
//! axum's own loop sets no timer, so a client that sends half a request could
//! keep its connection for ever.

use std::io::ErrorKind;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, warn};

/// Longest wait for the head of a request, and so for the next one on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// After an error that closing connections may cure, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers with `router` until `stopping`, then finishes what was begun.
pub async fn serve(listener: TcpListener, router: Router, stopping: CancellationToken) {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => start(stream, router.clone(), &connections),
            Err(error) if is_the_clients(error.kind()) => {}
            Err(error) => {
                warn!(%error, "can't take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // Whoever comes now is refused at once, and may try a successor.
    drop(listener);
    connections.shutdown().await;
}

fn start(stream: TcpStream, router: Router, connections: &GracefulShutdown) {
    // Answers are written whole: waiting to fill a packet only delays their end.
    let _ = stream.set_nodelay(true);
    let service = router.map_request(|request: hyper::Request<Incoming>| request.map(Body::new));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "a connection broke off");
        }
    });
}

fn is_the_clients(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
