//! Spectra of many filters as one small image.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::plot::charts::ChartError;

/// From 0 to 1: dark blue over green to yellow, in even steps of brightness (after viridis).
const COLOURS: [[f64; 3]; 5] =
    [[68., 1., 84.], [59., 82., 139.], [33., 145., 140.], [94., 201., 98.], [253., 231., 37.]];

/// `columns` of shares from 0 to 1, each from the bottom up, as the address of a PNG within the page.
pub(super) fn data_address(columns: &[&[f64]]) -> Result<String, ChartError> {
    let failed = |e: png::EncodingError| ChartError(e.into());
    let height = columns.first().map_or(0, |column| column.len());
    let mut pixels = Vec::with_capacity(3 * columns.len() * height);
    for row in (0..height).rev() {
        for column in columns {
            pixels.extend(colour(column.get(row).copied().unwrap_or(0.0)));
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns.len() as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

fn colour(share: f64) -> [u8; 3] {
    let last = COLOURS.len() - 1;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = (place as usize).min(last - 1);
    let [from, to] = [below, below + 1].map(|i| COLOURS.get(i).copied().unwrap_or_default());
    let part = place - below as f64;
    std::array::from_fn(|i| {
        let at = |colour: [f64; 3]| colour.get(i).copied().unwrap_or(0.0);
        (at(from) * (1.0 - part) + at(to) * part).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_back_with_low_bands_at_the_bottom() {
        let address = data_address(&[&[0.0, 1.0], &[1.0, 0.5], &[0.0, 0.0]]).unwrap();
        let encoded = address.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = STANDARD.decode(encoded).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (3, 2));
        let pixel = |i: usize| &pixels[3 * i..3 * i + 3];
        assert_eq!(pixel(0), [253, 231, 37]);
        assert_eq!(pixel(1), [33, 145, 140]);
        assert_eq!(pixel(3), [68, 1, 84]);
        assert_eq!(pixel(4), [253, 231, 37]);
    }
}
