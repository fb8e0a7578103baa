//! Identifies uploaded recordings: `service MODEL.onnx [ADDRESS]`, then
//! `curl --data-binary @song.mp3 http://127.0.0.1:3000/recognize`.

use std::io::Cursor;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use leitmotif::{CancelToken, Error, RecognizeOptions, Recognizer, SessionOptions};
use serde_json::{Value, json};

/// Largest upload.
const MOST_BYTES: usize = 64 << 20;
/// Longest time that one recording may take, with waiting for its turn.
const MOST_TIME: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = std::env::args().nth(1).ok_or("usage: service MODEL.onnx [ADDRESS]")?;
    let address = std::env::args().nth(2).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    // One thread a session, one session a core: requests share the cores. The self-test refuses a broken machine now.
    let options = SessionOptions::default().with_threads(1).with_warm_up(true).with_self_test(true);
    let recognizer = Recognizer::open_with(model, &options)?;
    let service = Router::new()
        .route("/recognize", post(recognize))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(recognizer);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    eprintln!("listening on {}", listener.local_addr()?);
    axum::serve(listener, service)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

async fn recognize(
    State(recognizer): State<Recognizer>,
    upload: Bytes,
) -> (StatusCode, Json<Value>) {
    let cancel = CancelToken::new();
    // Dropped with the request, also when the client goes away: nobody waits for the answer then.
    let _guard = CancelOnDrop(cancel.clone());
    let options = RecognizeOptions::new().with_top(5).with_timeline(false);
    let options = options.with_time_limit(MOST_TIME).with_cancel(&cancel);
    // Recognising is computing: on a thread that may block.
    let work = tokio::task::spawn_blocking(move || {
        recognizer.recognize_reader(Cursor::new(upload), "the upload", &options)
    });
    match work.await {
        Ok(Ok(answer)) => {
            let unknown = answer.unknown();
            let artists: Vec<Value> = answer
                .artists
                .iter()
                .map(|artist| json!({ "artist": artist.artist, "probability": artist.probability }))
                .collect();
            (StatusCode::OK, Json(json!({ "artists": artists, "unknown": unknown })))
        }
        Ok(Err(error)) => {
            let status = match error {
                Error::Audio(_) | Error::TooShort { .. } => StatusCode::UNPROCESSABLE_ENTITY,
                Error::TimeLimit { .. } => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, Json(json!({ "error": error.to_string() })))
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": error.to_string() })))
        }
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
