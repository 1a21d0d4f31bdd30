//! Colour spaces by their definitions, and ICC profiles of them written byte by byte (ICC.1:2022).

/// Three rows of three numbers.
#[derive(Clone, Copy)]
pub(crate) struct Matrix([[f64; 3]; 3]);

impl Matrix {
    pub(crate) fn times(&self, [a, b, c]: [f64; 3]) -> [f64; 3] {
        self.0.map(|row| row[0] * a + row[1] * b + row[2] * c)
    }

    fn after(&self, first: &Self) -> Self {
        let columns = [0, 1, 2].map(|column| self.times(first.0.map(|row| row[column])));
        Self([0, 1, 2].map(|row| columns.map(|column| column[row])))
    }

    pub(crate) fn inverse(&self) -> Self {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.0;
        let determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
        let adjugate = [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ];
        Self(adjugate.map(|row| row.map(|value| value / determinant)))
    }
}

/// The white of the profile connection space (ICC.1:2022, 7.2.16).
pub(crate) const D50: [f64; 3] = [0.9642, 1.0, 0.8249];

/// The chromaticities of daylight white (CIE 15) and of the white for prints.
const D65_XY: [f64; 2] = [0.3127, 0.3290];
const D50_XY: [f64; 2] = [0.3457, 0.3585];

/// The Bradford matrix (ICC.1:2022, E.3).
const BRADFORD: Matrix = Matrix([
    [0.8951, 0.2664, -0.1614],
    [-0.7502, 1.7135, 0.0367],
    [0.0389, -0.0685, 1.0296],
]);

/// An RGB space.
pub(crate) struct Space {
    pub(crate) name: &'static str,
    /// The chromaticities of red, green and blue.
    primaries: [[f64; 2]; 3],
    white: [f64; 2],
    /// Converts a number to light, both from 0 to 1.
    pub(crate) to_light: fn(f64) -> f64,
    /// The same conversion as the body of a profile's tag.
    curve: fn() -> Vec<u8>,
}

/// IEC 61966-2-1.
pub(crate) const SRGB: Space = Space {
    name: "sRGB",
    primaries: [[0.640, 0.330], [0.300, 0.600], [0.150, 0.060]],
    white: D65_XY,
    to_light: srgb_to_light,
    curve: srgb_curve,
};

/// The primaries of SMPTE RP 431-2 with the white and the curve of sRGB, as Apple's phones and CSS
/// Color 4 (10.3) have them.
pub(crate) const DISPLAY_P3: Space = Space {
    name: "Display P3",
    primaries: [[0.680, 0.320], [0.265, 0.690], [0.150, 0.060]],
    ..SRGB
};

/// Adobe RGB (1998) Color Image Encoding, 4.3.1: its gamma is 2 and 51/256.
const ADOBE_RGB: Space = Space {
    name: "Adobe RGB (1998)",
    primaries: [[0.64, 0.33], [0.21, 0.71], [0.15, 0.06]],
    white: D65_XY,
    to_light: |value| value.powf(563.0 / 256.0),
    curve: || {
        [
            b"curv\0\0\0\0\0\0\0\x01",
            &563_u16.to_be_bytes()[..],
            &[0; 2],
        ]
        .concat()
    },
};

/// ROMM RGB (ISO 22028-2), also called `ProPhoto` RGB: its gamma is 1.8, and it is linear below a
/// light of 1/512.
const PROPHOTO: Space = Space {
    name: "ProPhoto RGB",
    primaries: [[0.7347, 0.2653], [0.1596, 0.8404], [0.0366, 0.0001]],
    white: D50_XY,
    to_light: |value| {
        if value < 16.0 / 512.0 {
            value / 16.0
        } else {
            value.powf(1.8)
        }
    },
    curve: || parametric(&[1.8, 1.0, 0.0, 1.0 / 16.0, 16.0 / 512.0]),
};

/// All spaces that are wider than sRGB.
pub(crate) const WIDE: [&Space; 3] = [&DISPLAY_P3, &ADOBE_RGB, &PROPHOTO];

impl Space {
    /// The matrix from light to the profile connection space.
    pub(crate) fn to_pcs(&self) -> Matrix {
        let xyz = |[x, y]: [f64; 2]| [x / y, 1.0, (1.0 - x - y) / y];
        let [r, g, b] = self.primaries.map(xyz);
        let mixed = Matrix([0, 1, 2].map(|row| [r[row], g[row], b[row]]));
        let white = xyz(self.white);
        // How much of each primary makes white.
        let shares = mixed.inverse().times(white);
        let scaled = Matrix(mixed.0.map(|row| [0, 1, 2].map(|at| row[at] * shares[at])));
        let (from, to) = (BRADFORD.times(white), BRADFORD.times(D50));
        let mut adapted = BRADFORD;
        for (row, (from, to)) in adapted.0.iter_mut().zip(from.into_iter().zip(to)) {
            *row = row.map(|value| value * to / from);
        }
        BRADFORD.inverse().after(&adapted).after(&scaled)
    }

    /// The profile of this space, with some words in the copyright notice.
    pub(crate) fn profile(&self, words: &str) -> Vec<u8> {
        let columns = self.to_pcs().0;
        let primary = |at: usize| xyz_tag(columns.map(|row| row[at]));
        let curve = (self.curve)();
        file(
            b"RGB ",
            &[
                (b"desc", text_tag(self.name)),
                (b"cprt", text_tag(words)),
                (b"wtpt", xyz_tag(D50)),
                (b"rXYZ", primary(0)),
                (b"gXYZ", primary(1)),
                (b"bXYZ", primary(2)),
                (b"rTRC", curve.clone()),
                (b"gTRC", curve.clone()),
                (b"bTRC", curve),
            ],
        )
    }
}

/// A profile of grays with a gamma in 256ths.
pub(crate) fn gray(gamma: u16) -> Vec<u8> {
    let curve = [b"curv\0\0\0\0\0\0\0\x01", &gamma.to_be_bytes()[..], &[0; 2]].concat();
    file(
        b"GRAY",
        &[
            (b"desc", text_tag("gray")),
            (b"cprt", text_tag("")),
            (b"wtpt", xyz_tag(D50)),
            (b"kTRC", curve),
        ],
    )
}

fn srgb_to_light(value: f64) -> f64 {
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// The inverse of the curve of sRGB.
pub(crate) fn srgb_from_light(light: f64) -> f64 {
    if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

fn srgb_curve() -> Vec<u8> {
    parametric(&[2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045])
}

/// `(a x + b)^g`, and `c x` below `d` (ICC.1:2022, 10.18, function 3), from g, a, b, c, d.
fn parametric(numbers: &[f64; 5]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| fixed(*number));
    b"para\0\0\0\0\0\x03\0\0"
        .iter()
        .copied()
        .chain(numbers)
        .collect()
}

fn xyz_tag(xyz: [f64; 3]) -> Vec<u8> {
    let numbers = xyz.into_iter().flat_map(fixed);
    b"XYZ \0\0\0\0".iter().copied().chain(numbers).collect()
}

/// A text in one language (10.15).
fn text_tag(text: &str) -> Vec<u8> {
    let letters: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut tag = b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS".to_vec();
    tag.extend((letters.len() as u32).to_be_bytes());
    tag.extend(28_u32.to_be_bytes());
    tag.extend(letters);
    tag
}

/// A number in 65536ths.
fn fixed(number: f64) -> [u8; 4] {
    ((number * 65_536.0).round() as i32).to_be_bytes()
}

/// Joins the header, the table and the tags.
fn file(colors: &[u8; 4], tags: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut bodies: Vec<u8> = Vec::new();
    let bodies_at = 128 + 4 + 12 * tags.len();
    for (name, body) in tags {
        table.extend(*name);
        table.extend(((bodies_at + bodies.len()) as u32).to_be_bytes());
        table.extend((body.len() as u32).to_be_bytes());
        bodies.extend(body);
        bodies.resize(bodies.len().next_multiple_of(4), 0);
    }
    let mut header = vec![0; 128];
    header[..4].copy_from_slice(&((bodies_at + bodies.len()) as u32).to_be_bytes());
    // Version 4.3, for a display, from these colours to XYZ, relative to D50.
    header[8..12].copy_from_slice(&[4, 0x30, 0, 0]);
    header[12..16].copy_from_slice(b"mntr");
    header[16..20].copy_from_slice(colors);
    header[20..24].copy_from_slice(b"XYZ ");
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&D50.map(fixed).concat());
    [header, table, bodies].concat()
}
