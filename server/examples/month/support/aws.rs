//! The little that the tests' Rekognition server needs of its surroundings.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::net::TcpListener;

pub(crate) const ACCESS_KEY: &str = "AKIDCATTOMONTH000000";
pub(crate) const SECRET_KEY: &str = "a-secret-key-of-the-month-0123456789ab";
pub(crate) const REGION: &str = "us-east-1";

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves on a free port, and answers the endpoint.
pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
