//! However a picture is stored, it is published as browsers show it: upright.

use imaging::Raster;
use serde_json::Value;

use crate::made::{
    animated_webp, apng_of, chunk, exif, gif, gif_block, jpeg, painted, pixel, png, read_back,
    riff, segment, webp, with_blocks, with_chunks, with_riff, with_segments,
};
use crate::support::Site;

/// The size of the upright picture: neither square nor a whole number of JPEG blocks.
const WIDTH: u32 = 180;
const HEIGHT: u32 = 100;

const RED: [u8; 3] = [220, 30, 30];
const GREEN: [u8; 3] = [30, 160, 40];
const BLUE: [u8; 3] = [40, 50, 210];
const YELLOW: [u8; 3] = [230, 220, 40];

/// The corners of the upright picture: top left, top right, bottom left, bottom right.
const CORNERS: [[u8; 3]; 4] = [RED, GREEN, BLUE, YELLOW];

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Top,
    Bottom,
    Left,
    Right,
}
use Side::{Bottom, Left, Right, Top};

/// For each value of the tag, which sides of the visible picture the first stored row and the first
/// stored column are. CIPA DC-008 (EXIF 2.32), 4.6.4 A, defines the tag like this.
const FIRST_ROW_AND_COLUMN: [(u16, Side, Side); 8] = [
    (1, Top, Left),
    (2, Top, Right),
    (3, Bottom, Right),
    (4, Bottom, Left),
    (5, Left, Top),
    (6, Right, Top),
    (7, Right, Bottom),
    (8, Left, Bottom),
];

/// How a picture is stored under an orientation, by that definition alone.
fn stored(first_row: Side, first_column: Side) -> Raster {
    let swapped = matches!(first_row, Left | Right);
    let (width, height) = if swapped {
        (HEIGHT, WIDTH)
    } else {
        (WIDTH, HEIGHT)
    };
    painted(width, height, |x, y| {
        let row = if y < height / 2 {
            first_row
        } else {
            opposite(first_row)
        };
        let column = if x < width / 2 {
            first_column
        } else {
            opposite(first_column)
        };
        let right = row == Right || column == Right;
        let bottom = row == Bottom || column == Bottom;
        CORNERS[usize::from(right) + 2 * usize::from(bottom)]
    })
}

fn opposite(side: Side) -> Side {
    match side {
        Top => Bottom,
        Bottom => Top,
        Left => Right,
        Right => Left,
    }
}

/// Checks the sizes and corners of everything that is published, in every frame.
async fn assert_corners(
    site: &Site,
    name: &str,
    json: &Value,
    corners: [[u8; 3]; 4],
    size: (u32, u32),
) {
    assert_eq!(
        (json["width"].as_u64(), json["height"].as_u64()),
        (Some(size.0.into()), Some(size.1.into())),
        "{name}"
    );
    for file in ["1280.jpg", "512.webp"] {
        let body = site
            .get(json["images"][file].as_str().expect("a URL"))
            .await
            .body;
        for frame in read_back(&body) {
            assert_eq!((frame.width, frame.height), size, "{name}: {file}");
            let (right, bottom) = (size.0 - 1, size.1 - 1);
            for ((x, y), wanted) in [(0, 0), (right, 0), (0, bottom), (right, bottom)]
                .into_iter()
                .zip(corners)
            {
                let found = pixel(&frame, x, y);
                let close = found.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 16);
                assert!(
                    close,
                    "{name}: {file} shows {found:?} at {x}, {y}, not {wanted:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_eight_orientations_of_jpeg_and_png_are_published_upright() {
    let site = Site::start().await;
    for (value, first_row, first_column) in FIRST_ROW_AND_COLUMN {
        let picture = stored(first_row, first_column);
        // Both byte orders are used, whatever the format.
        let block = exif(Some(value), &[], value % 2 == 0);
        let app1 = segment(0xe1, &[b"Exif\0\0", &block[..]].concat());
        let frames = [picture.rgb.as_slice(), &picture.rgb];
        for (format, file) in [
            ("JPEG", with_segments(&jpeg(&picture), &[app1])),
            (
                "PNG",
                with_chunks(&png(&picture), &[chunk(b"eXIf", &block)]),
            ),
            (
                "APNG",
                with_chunks(
                    &apng_of(&picture, png::ColorType::Rgb, &frames),
                    &[chunk(b"eXIf", &block)],
                ),
            ),
        ] {
            let name = format!("{format} with orientation {value}");
            let json = site.publish_file(&name, file).await;
            assert_corners(&site, &name, &json, CORNERS, (WIDTH, HEIGHT)).await;
        }
    }
}

/// Chromium reads no orientation from a WebP.
#[tokio::test(flavor = "multi_thread")]
async fn a_webp_stands_as_it_is_stored_whatever_it_carries() {
    let site = Site::start().await;
    let picture = stored(Right, Top);
    let size = (picture.width, picture.height);
    let (right, bottom) = (size.0 - 1, size.1 - 1);
    let corners =
        [(0, 0), (right, 0), (0, bottom), (right, bottom)].map(|(x, y)| pixel(&picture, x, y));
    let block = exif(Some(6), &[], false);
    let prefixed = [b"Exif\0\0", &block[..]].concat();
    for (name, file) in [
        (
            "WebP",
            with_riff(&webp(&picture), size, &[riff(b"EXIF", &block)]),
        ),
        (
            "WebP as some write it",
            with_riff(&webp(&picture), size, &[riff(b"EXIF", &prefixed)]),
        ),
        (
            "animated WebP",
            animated_webp(
                &[webp(&picture), webp(&picture)],
                size,
                b"",
                &[riff(b"EXIF", &block)],
            ),
        ),
    ] {
        let json = site.publish_file(name, file).await;
        assert_corners(&site, name, &json, corners, size).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_or_a_strange_orientation_turns_nothing() {
    let site = Site::start().await;
    let picture = stored(Top, Left);
    for value in [0, 9, 255, 6 << 8] {
        let block = exif(Some(value), &[], false);
        let app1 = segment(0xe1, &[b"Exif\0\0", &block[..]].concat());
        let name = format!("orientation {value}");
        let json = site
            .publish_file(&name, with_segments(&jpeg(&picture), &[app1]))
            .await;
        assert_corners(&site, &name, &json, CORNERS, (WIDTH, HEIGHT)).await;
    }
    // Viewers obey the EXIF tag alone. Some programs leave the XMP one behind when they turn a
    // picture.
    let packet = xmp_with_orientation(6);
    let app1 = segment(
        0xe1,
        &[b"http://ns.adobe.com/xap/1.0/\0", packet.as_bytes()].concat(),
    );
    let json = site
        .publish_file("XMP", with_segments(&jpeg(&picture), &[app1]))
        .await;
    assert_corners(&site, "XMP", &json, CORNERS, (WIDTH, HEIGHT)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_animated_gif_stands_as_it_is_stored_whatever_it_carries() {
    let site = Site::start().await;
    let file = gif(WIDTH as u16, HEIGHT as u16, &[[RED, BLUE], [RED, BLUE]]);
    let block = gif_block(b"XMP DataXMP", xmp_with_orientation(6).as_bytes());
    let json = site.publish_file("GIF", with_blocks(&file, &[block])).await;
    assert_corners(&site, "GIF", &json, [RED, RED, BLUE, BLUE], (WIDTH, HEIGHT)).await;
}

fn xmp_with_orientation(value: u16) -> String {
    format!(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
         <rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='{value}'/></rdf:RDF></x:xmpmeta>"
    )
}
