//! Background colours for shares, in light and dark: opaque, and never so strong that the text on them is hard to read.

/// How many steps there are between no share and all.
pub(super) const STEPS: usize = 8;

type Colour = [u8; 3];

/// Of a mode: the page, and the strongest colours of right and of wrong predictions.
struct Mode {
    page: Colour,
    right: Colour,
    wrong: Colour,
}

const LIGHT: Mode =
    Mode { page: [0xfd, 0xfd, 0xfb], right: [0x7f, 0xbb, 0xef], wrong: [0xf2, 0x9a, 0x62] };
const DARK: Mode =
    Mode { page: [0x16, 0x18, 0x1b], right: [0x1f, 0x5f, 0x94], wrong: [0x8f, 0x44, 0x14] };

/// The class of a cell with this share of its row; nothing for a share of zero.
pub(super) fn class(share: f64, right: bool) -> Option<String> {
    let step = (share * STEPS as f64).ceil().clamp(0.0, STEPS as f64) as usize;
    let kind = if right { 'r' } else { 'w' };
    (step > 0).then(|| format!("{kind}{step}"))
}

/// The classes' style.
pub(super) fn style() -> String {
    let properties = |mode: &Mode| -> String {
        let of = |(kind, strongest): (char, Colour)| {
            (1..=STEPS).map(move |step| {
                let [r, g, b] = mix(mode.page, strongest, step);
                format!("--{kind}{step}:#{r:02x}{g:02x}{b:02x};")
            })
        };
        [('r', mode.right), ('w', mode.wrong)].into_iter().flat_map(of).collect()
    };
    let rule =
        |kind: char| (1..=STEPS).map(move |i| format!(".{kind}{i}{{background:var(--{kind}{i})}}"));
    let rules: String = ['r', 'w'].into_iter().flat_map(rule).collect();
    format!(
        ":root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n{rules}\n",
        properties(&LIGHT),
        properties(&DARK)
    )
}

/// The colour of a step; the first is already visible.
fn mix(page: Colour, strongest: Colour, step: usize) -> Colour {
    let part = (step as f64 + 1.0) / (STEPS as f64 + 1.0);
    let mut mixed = page;
    for (from, to) in mixed.iter_mut().zip(strongest) {
        *from = (f64::from(*from) * (1.0 - part) + f64::from(to) * part).round() as u8;
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as in WCAG 2.1.
    fn luminance(colour: Colour) -> f64 {
        let linear = colour.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn text_on_every_shade_has_the_contrast_of_wcag_aa() {
        for (mode, ink) in [(LIGHT, [0x1c, 0x1e, 0x21]), (DARK, [0xe6, 0xe7, 0xe9])] {
            for strongest in [mode.right, mode.wrong] {
                for step in 1..=STEPS {
                    let of = [luminance(ink), luminance(mix(mode.page, strongest, step))];
                    let contrast = (of[0].max(of[1]) + 0.05) / (of[0].min(of[1]) + 0.05);
                    assert!(contrast >= 4.5, "step {step} of {strongest:?}: {contrast:.2}");
                }
            }
        }
    }

    #[test]
    fn shares_become_steps() {
        assert_eq!(class(0.0, true), None);
        assert_eq!(class(0.01, true).as_deref(), Some("r1"));
        assert_eq!(class(0.5, false).as_deref(), Some("w4"));
        assert_eq!(class(1.0, false).as_deref(), Some("w8"));
        assert!(style().contains("--w8:#f29a62") && style().contains(".w8{background:var(--w8)}"));
    }
}
