//! QR codes of a text, as SVG for pages and as PNG for everything else.
//!
//! Whoever shows a charge calls this. Error correction is "medium", as the central bank's manual
//! asks; the quiet zone is the four modules that scanners need.

use qrcodegen::{QrCode, QrCodeEcc};
use thiserror::Error;

const QUIET: i32 = 4;
/// Pixels of a module in a PNG.
const SCALE: usize = 8;

/// Why a text has no QR code.
#[derive(Debug, Error)]
pub enum QrError {
    #[error("too long for a QR code")]
    TooLong,
    #[error("no PNG could be written")]
    Png(#[from] png::EncodingError),
}

/// The code as SVG: one path, scaled by whoever shows it.
///
/// # Errors
/// [`QrError::TooLong`].
pub fn qr_svg(text: &str) -> Result<String, QrError> {
    let modules = Modules::of(text)?;
    let side = modules.side;
    let mut path = String::new();
    for (y, row) in modules.rows().enumerate() {
        for (x, dark) in row.iter().enumerate() {
            if *dark {
                path.push_str(&format!("M{x},{y}h1v1h-1z"));
            }
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path d=\"{path}\" fill=\"#000\"/></svg>"
    ))
}

/// The code as PNG, black on white, one bit a pixel.
///
/// # Errors
/// [`QrError`].
pub fn qr_png(text: &str) -> Result<Vec<u8>, QrError> {
    let modules = Modules::of(text)?;
    let width = modules.side * SCALE;
    let mut pixels = Vec::with_capacity(width.div_ceil(8) * width);
    for row in modules.rows() {
        let light = |x: usize| row.get(x / SCALE).is_none_or(|dark| !dark);
        let packed = (0..width.div_ceil(8))
            .map(|byte| (0..8).fold(0_u8, |bits, bit| bits << 1 | u8::from(light(byte * 8 + bit))));
        let line: Vec<u8> = packed.collect();
        pixels.extend(line.iter().copied().cycle().take(line.len() * SCALE));
    }
    let side = u32::try_from(width).map_err(|_| QrError::TooLong)?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// Dark and light, the quiet zone included.
struct Modules {
    side: usize,
    dark: Vec<bool>,
}

impl Modules {
    fn of(text: &str) -> Result<Self, QrError> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(|_| QrError::TooLong)?;
        let around = -QUIET..code.size() + QUIET;
        let dark = around.clone().flat_map(|y| around.clone().map(move |x| (x, y)));
        let dark: Vec<_> = dark.map(|(x, y)| code.get_module(x, y)).collect();
        Ok(Self { side: around.count(), dark })
    }

    fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.dark.chunks(self.side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-426655440000";

    #[test]
    fn both_pictures_show_the_same_modules() {
        let modules = Modules::of(TEXT).expect("fits");
        let file = qr_png(TEXT).expect("a PNG");
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("fits")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        assert_eq!(info.width as usize, modules.side * SCALE);
        let svg = qr_svg(TEXT).expect("an SVG");
        for y in 0..modules.side {
            for x in 0..modules.side {
                let dark = modules.dark[y * modules.side + x];
                let at = (x * SCALE + 3, y * SCALE + 5);
                let bit = pixels[at.1 * info.line_size + at.0 / 8] >> (7 - at.0 % 8) & 1;
                assert_eq!(bit == 0, dark, "pixel of {x},{y}");
                assert_eq!(svg.contains(&format!("M{x},{y}h1")), dark, "path of {x},{y}");
            }
        }
    }

    #[test]
    fn a_code_has_its_quiet_zone_and_its_finders() {
        let modules = Modules::of(TEXT).expect("fits");
        let rows: Vec<_> = modules.rows().collect();
        assert!(rows[..4].iter().all(|row| row.iter().all(|dark| !dark)));
        assert!(rows[4][4..11].iter().all(|dark| *dark), "the edge of the first finder");
    }

    #[test]
    fn a_text_that_no_code_holds_is_refused() {
        assert!(matches!(qr_svg(&"x".repeat(3000)), Err(QrError::TooLong)));
    }
}
