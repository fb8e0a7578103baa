//! Identifies the artist of a song: `embed MODEL.onnx SONG`.

use std::env::args;

use leitmotif::Recognizer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (Some(model), Some(song)) = (args().nth(1), args().nth(2)) else {
        return Err("usage: embed MODEL.onnx SONG".into());
    };
    let answer = Recognizer::open(model)?.recognize_file(song)?;
    for artist in answer.artists {
        println!("{:.3} {}", artist.probability, artist.artist);
    }
    Ok(())
}
