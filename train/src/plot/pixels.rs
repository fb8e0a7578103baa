//! Charts as pixels: a drawing backend of plotters with a font of its own, and PNG. Text is drawn from a bitmap font of
//! Latin letters (`?` for others), so that no font has to be there; the only file that knows embedded-graphics.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Dimensions, OriginDimensions, Point, Size};
use embedded_graphics::mono_font::iso_8859_1::{FONT_9X15, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

type DrawError = DrawingErrorKind<Infallible>;

/// A picture of rows of red, green and blue, a byte each; white at first.
pub(crate) struct Pixels<'a> {
    size: (u32, u32),
    rgb: &'a mut [u8],
}

impl<'a> Pixels<'a> {
    /// The bytes of a white picture.
    pub(crate) fn white((width, height): (u32, u32)) -> Vec<u8> {
        vec![0xff; 3 * width as usize * height as usize]
    }

    /// Draws on such bytes.
    pub(crate) fn on(rgb: &'a mut [u8], size: (u32, u32)) -> Self {
        Pixels { size, rgb }
    }
}

/// The picture as a PNG file.
pub(crate) fn png((width, height): (u32, u32), rgb: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(rgb)?;
    Ok(file)
}

impl DrawingBackend for Pixels<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawError> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawError> {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Result<(), DrawError> {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return Ok(()) };
        if x >= self.size.0 {
            return Ok(());
        }
        let at = 3 * (y as usize * self.size.0 as usize + x as usize);
        let (r, g, b) = colour.rgb;
        for (old, new) in self.rgb.iter_mut().skip(at).take(3).zip([r, g, b]) {
            let mixed = f64::from(*old) * (1.0 - colour.alpha) + f64::from(new) * colour.alpha;
            *old = mixed.round() as u8;
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        pos: BackendCoord,
    ) -> Result<(), DrawError> {
        let glyphs = Glyphs::of(text, font(style));
        let (width, height) = glyphs.extent();
        let anchor = style.anchor();
        let left = match anchor.h_pos {
            HPos::Left => 0,
            HPos::Right => -width,
            HPos::Center => -width / 2,
        };
        let top = match anchor.v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        for Point { x, y } in glyphs.points {
            let (x, y) = style.transform().transform(x + left, y + top);
            self.draw_pixel((pos.0 + x, pos.1 + y), style.color())?;
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawError> {
        let (width, height) = Glyphs::of(text, font(style)).extent();
        Ok((width.unsigned_abs(), height.unsigned_abs()))
    }
}

fn font(style: &impl BackendTextStyle) -> &'static MonoFont<'static> {
    if style.size() > 16.0 { &FONT_10X20 } else { &FONT_9X15 }
}

/// The inked points of a text, from its upper left corner.
struct Glyphs {
    points: Vec<Point>,
    box_of: Size,
}

impl Glyphs {
    fn of(text: &str, font: &'static MonoFont<'static>) -> Self {
        let style = MonoTextStyle::new(font, BinaryColor::On);
        let text = Text::with_baseline(text, Point::zero(), style, Baseline::Top);
        let mut glyphs = Glyphs { points: Vec::new(), box_of: text.bounding_box().size };
        let Ok(_) = text.draw(&mut glyphs);
        glyphs
    }

    fn extent(&self) -> (i32, i32) {
        let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX / 2);
        (side(self.box_of.width), side(self.box_of.height))
    }
}

impl OriginDimensions for Glyphs {
    fn size(&self) -> Size {
        self.box_of
    }
}

impl DrawTarget for Glyphs {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        let inked = pixels.into_iter().filter(|Pixel(_, colour)| colour.is_on());
        self.points.extend(inked.map(|Pixel(point, _)| point));
        Ok(())
    }
}
