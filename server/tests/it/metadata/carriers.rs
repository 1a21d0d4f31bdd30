//! Pictures that carry everything that their format can, each thing alone and all at once.

use imaging::Raster;

use super::exiftool;
use crate::made::{
    animated_webp, apng_of, chunk, exif, gif, gif_block, icc_segments, iccp, jpeg, painted, png,
    riff, segment, sub_blocks, webp, with_blocks, with_chunks, with_riff, with_segments, zlib,
};
use crate::profile::DISPLAY_P3;

/// The word that nobody may ever read again.
pub(crate) const SECRET: &str = "quokka";

/// One upload.
pub(crate) struct Carrier {
    pub(crate) name: &'static str,
    pub(crate) file: Vec<u8>,
    /// Tags that exiftool must find in it, and a part of their values. Empty where exiftool does
    /// not look.
    pub(crate) seen: &'static [(&'static str, &'static str)],
    /// What the server must say that it stripped, sorted.
    pub(crate) kinds: &'static [&'static str],
}

fn carrier(
    name: &'static str,
    file: Vec<u8>,
    seen: &'static [(&'static str, &'static str)],
    kinds: &'static [&'static str],
) -> Carrier {
    Carrier {
        name,
        file,
        seen,
        kinds,
    }
}

const EXIF: [&str; 4] = [
    "-IFD0:Make=quokka",
    "-ExifIFD:SerialNumber=quokka",
    "-ExifIFD:UserComment=quokka",
    // This tag is stored in UTF-16.
    "-IFD0:XPComment=quokka",
];
const GPS: [&str; 3] = [
    "-GPS:GPSLatitude=52.5",
    "-GPS:GPSLatitudeRef=N",
    "-GPS:GPSMapDatum=quokka",
];
const XMP: [&str; 1] = ["-XMP-dc:Description=quokka"];
const IPTC: [&str; 2] = ["-IPTC:City=quokka", "-IPTC:Caption-Abstract=quokka"];

const XMP_PACKET: &[u8] = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>\
    <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
    <rdf:Description xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/' photoshop:City='quokka'/>\
    </rdf:RDF></x:xmpmeta>";

/// A picture wide enough for five different files.
fn picture() -> Raster {
    painted(1300, 160, |x, y| [(x / 8) as u8, y as u8, 90])
}

/// A small JPEG with a comment.
fn thumbnail() -> Vec<u8> {
    let small = painted(32, 32, |_, _| [200, 30, 30]);
    with_segments(&jpeg(&small), &[segment(0xfe, b"quokka")])
}

/// The argument by which exiftool embeds [`thumbnail`] under `tag`. It is valid while the folder
/// lives.
fn thumbnail_in(tag: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("thumbnail.jpg");
    std::fs::write(&path, thumbnail()).expect("a file");
    let argument = exiftool::from_file(tag, &path);
    (dir, argument)
}

pub(crate) fn jpegs() -> Vec<Carrier> {
    let plain = jpeg(&picture());
    let edited = |changes: &[&str]| exiftool::write(&plain, "jpg", changes);
    let (_exif_dir, exif_thumbnail) = thumbnail_in("IFD1:ThumbnailImage");
    let (_photoshop_dir, photoshop_thumbnail) = thumbnail_in("Photoshop:PhotoshopThumbnail");
    let with =
        |marker: u8, body: &[&[u8]]| with_segments(&plain, &[segment(marker, &body.concat())]);
    let profile = icc_segments(&DISPLAY_P3.profile(SECRET), 2);
    let small = thumbnail();
    let jfxx = segment(0xe0, &[b"JFXX\0\x10", &small[..]].concat());
    // The JFIF segment itself holds a thumbnail of nine pixels, made of words.
    let jfif = segment(
        0xe0,
        b"JFIF\0\x01\x01\0\0\x01\0\x01\x03\x03quokka quokka quokka quokka",
    );
    let everything = [
        &EXIF[..],
        &GPS,
        &XMP,
        &IPTC,
        &[
            &exif_thumbnail,
            &photoshop_thumbnail,
            "-Comment=quokka",
            "-Ducky:Comment=quokka",
        ],
    ]
    .concat();
    let everything = with_segments(&edited(&everything), &[profile.concat(), jfxx.clone()]);
    vec![
        carrier("plain", plain.clone(), &[], &[]),
        carrier(
            "exif",
            edited(&EXIF),
            &[
                ("IFD0:Make", SECRET),
                ("IFD0:XPComment", SECRET),
                ("ExifIFD:SerialNumber", SECRET),
                ("ExifIFD:UserComment", SECRET),
            ],
            &["exif"],
        ),
        carrier(
            "position",
            edited(&GPS),
            &[("GPS:GPSLatitude", "52 deg"), ("GPS:GPSMapDatum", SECRET)],
            &["exif", "gps"],
        ),
        carrier(
            "exif thumbnail",
            edited(&[&exif_thumbnail]),
            &[("IFD1:ThumbnailImage", "Binary data")],
            &["exif", "thumbnail"],
        ),
        carrier(
            "xmp",
            edited(&XMP),
            &[("XMP-dc:Description", SECRET)],
            &["xmp"],
        ),
        carrier(
            "extended xmp",
            with(
                0xe1,
                &[
                    b"http://ns.adobe.com/xmp/extension/\0",
                    &[b'A'; 32],
                    &[0, 0, 1, 0, 0, 0, 0, 0],
                    XMP_PACKET,
                ],
            ),
            &[],
            &["xmp"],
        ),
        carrier(
            "iptc",
            edited(&IPTC),
            &[("IPTC:City", SECRET), ("IPTC:Caption-Abstract", SECRET)],
            &["iptc"],
        ),
        carrier(
            "photoshop thumbnail",
            edited(&[&photoshop_thumbnail]),
            &[("Photoshop:PhotoshopThumbnail", "Binary data")],
            &["thumbnail"],
        ),
        carrier(
            "photoshop address",
            edited(&["-Photoshop:URL=quokka"]),
            &[("Photoshop:URL", SECRET)],
            &["app-data"],
        ),
        carrier(
            "profile",
            with_segments(&plain, &profile),
            &[("ICC_Profile:ProfileCopyright", SECRET)],
            &["icc"],
        ),
        carrier(
            "comment",
            edited(&["-Comment=quokka"]),
            &[("File:Comment", SECRET)],
            &["comment"],
        ),
        carrier(
            "jfif thumbnail",
            [&plain[..2], &jfif, &plain[20..]].concat(),
            &[("JFIF:ThumbnailTIFF", "Binary data")],
            &["thumbnail"],
        ),
        carrier(
            "jfxx thumbnail",
            with_segments(&plain, &[jfxx]),
            &[("JFXX:ThumbnailImage", "Binary data")],
            &["thumbnail"],
        ),
        carrier(
            "several pictures",
            several_pictures(&plain, &small),
            &[
                ("MPF0:NumberOfImages", "2"),
                ("MPImage2:MPImageType", "Undefined"),
            ],
            &["thumbnail", "trailing-data"],
        ),
        carrier(
            "ducky",
            edited(&["-Ducky:Comment=quokka"]),
            &[("Ducky:Comment", SECRET)],
            &["app-data"],
        ),
        carrier(
            "application segment",
            with(0xeb, &[b"JP\0\x01quokka"]),
            &[],
            &["app-data"],
        ),
        carrier(
            "words behind Adobe's",
            with(0xee, &[b"Adobe\0\x64\0\0\0\0\x01quokka"]),
            &[],
            &["app-data"],
        ),
        carrier(
            "trailing data",
            [&plain[..], b"quokka"].concat(),
            &[],
            &["trailing-data"],
        ),
        carrier(
            "everything",
            [&everything[..], b"quokka"].concat(),
            &[
                ("IFD0:Make", SECRET),
                ("GPS:GPSMapDatum", SECRET),
                ("XMP-dc:Description", SECRET),
                ("IPTC:City", SECRET),
                ("File:Comment", SECRET),
                ("Ducky:Comment", SECRET),
                ("ICC_Profile:ProfileCopyright", SECRET),
            ],
            &[
                "app-data",
                "comment",
                "exif",
                "gps",
                "icc",
                "iptc",
                "thumbnail",
                "trailing-data",
                "xmp",
            ],
        ),
    ]
}

/// A JPEG that names a second one behind its end (CIPA DC-007, Multi-Picture Format).
fn several_pictures(first: &[u8], second: &[u8]) -> Vec<u8> {
    let entry = |size: usize, offset: usize| {
        let numbers = [0, size as u32, offset as u32, 0].map(u32::to_be_bytes);
        numbers.concat()
    };
    let body = |size: usize, offset: usize| {
        [
            // Three tags: version, number of pictures, and the list of pictures, which lies behind
            // this directory.
            &b"MPF\0MM\0*\0\0\0\x08\0\x03"[..],
            b"\xb0\0\0\x07\0\0\0\x040100",
            b"\xb0\x01\0\x04\0\0\0\x01\0\0\0\x02",
            b"\xb0\x02\0\x07\0\0\0\x20\0\0\0\x32",
            b"\0\0\0\0",
            &entry(size, 0),
            &entry(second.len(), offset),
        ]
        .concat()
    };
    // Offsets count from the TIFF header, which comes after the start, JFIF, this segment's head
    // and its name.
    let whole = first.len() + body(0, 0).len() + 4;
    let offset = whole - (20 + 4 + 4);
    let file = with_segments(first, &[segment(0xe2, &body(whole, offset))]);
    [&file[..], second].concat()
}

pub(crate) fn pngs() -> Vec<Carrier> {
    let picture = picture();
    let plain = png(&picture);
    let edited = |changes: &[&str]| exiftool::write(&plain, "png", changes);
    let with = |kind: &[u8; 4], body: &[&[u8]]| with_chunks(&plain, &[chunk(kind, &body.concat())]);
    let (_dir, exif_thumbnail) = thumbnail_in("IFD1:ThumbnailImage");
    // It is long enough to be worth compressing.
    let long = format!("-PNG:Comment={}", [SECRET; 40].join(" "));
    let hexadecimal: String = [b"Exif\0\0", &exif(None, &[(0x010f, SECRET)], true)[..]]
        .concat()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let raw_profile = format!("\nexif\n{:8}\n{hexadecimal}\n", hexadecimal.len() / 2);
    let end = plain.len() - 12;
    let late = chunk(b"tEXt", b"Author\0quokka");
    let frames = [picture.rgb.as_slice(), &vec![9; picture.rgb.len()]];
    let animation = apng_of(&picture, png::ColorType::Rgb, &frames);
    let profile = iccp(SECRET, &DISPLAY_P3.profile(SECRET));
    let everything = [
        &EXIF[..],
        &GPS,
        &XMP,
        &IPTC,
        &[
            &exif_thumbnail,
            "-PNG:Comment=quokka",
            "-PNG:ModifyDate=2020:01:02 03:04:05",
        ],
    ]
    .concat();
    let private = chunk(b"quKa", b"quokka");
    let everything = with_chunks(
        &exiftool::write(&animation, "png", &everything),
        &[profile.clone(), private.clone()],
    );
    vec![
        carrier("plain", plain.clone(), &[], &[]),
        carrier(
            "exif",
            edited(&EXIF),
            &[("IFD0:Make", SECRET), ("ExifIFD:UserComment", SECRET)],
            &["exif"],
        ),
        carrier(
            "position",
            edited(&GPS),
            &[("GPS:GPSLatitude", "52 deg"), ("GPS:GPSMapDatum", SECRET)],
            &["exif", "gps"],
        ),
        carrier(
            "exif thumbnail",
            edited(&[&exif_thumbnail]),
            &[("IFD1:ThumbnailImage", "Binary data")],
            &["exif", "thumbnail"],
        ),
        carrier(
            "xmp",
            edited(&XMP),
            &[("XMP-dc:Description", SECRET)],
            &["xmp"],
        ),
        carrier(
            "compressed xmp",
            with(
                b"iTXt",
                &[b"XML:com.adobe.xmp\0\x01\0\0\0", &zlib(XMP_PACKET)],
            ),
            &[("XMP-photoshop:City", SECRET)],
            &["xmp"],
        ),
        carrier(
            "iptc",
            edited(&[&IPTC[..], &["-z"]].concat()),
            &[("IPTC:City", SECRET)],
            &["iptc"],
        ),
        carrier(
            "exif as text",
            with(
                b"tEXt",
                &[b"Raw profile type exif\0", raw_profile.as_bytes()],
            ),
            &[("IFD0:Make", SECRET)],
            &["exif"],
        ),
        carrier(
            "tEXt",
            with(b"tEXt", &[b"Comment\0quokka"]),
            &[("PNG:Comment", SECRET)],
            &["text"],
        ),
        carrier(
            "zTXt",
            edited(&[&long, "-z"]),
            &[("PNG:Comment", SECRET)],
            &["text"],
        ),
        carrier(
            "iTXt",
            with(b"iTXt", &[b"Description\0\0\0de\0Beschreibung\0quokka"]),
            &[("PNG:Description-de", SECRET)],
            &["text"],
        ),
        carrier(
            "compressed iTXt",
            with(b"iTXt", &[b"Title\0\x01\0en\0Title\0", &zlib(b"quokka")]),
            &[("PNG:Title-en", SECRET)],
            &["text"],
        ),
        carrier(
            "text behind the pixels",
            [&plain[..end], &late, &plain[end..]].concat(),
            &[("PNG:Author", SECRET)],
            &["text"],
        ),
        carrier(
            "profile",
            with_chunks(&plain, std::slice::from_ref(&profile)),
            &[
                ("PNG:ProfileName", SECRET),
                ("ICC_Profile:ProfileCopyright", SECRET),
            ],
            &["icc"],
        ),
        carrier(
            "time",
            edited(&["-PNG:ModifyDate=2020:01:02 03:04:05"]),
            &[("PNG:ModifyDate", "2020")],
            &["time"],
        ),
        carrier(
            "private chunk",
            with_chunks(&plain, &[private]),
            &[],
            &["app-data"],
        ),
        carrier(
            "named palette",
            with(b"sPLT", &[b"quokka\0\x08", &[1, 2, 3, 4, 0, 5]]),
            &[],
            &["app-data"],
        ),
        carrier(
            "trailing data",
            [&plain[..], b"quokka"].concat(),
            &[("ExifTool:Warning", "Trailer")],
            &["trailing-data"],
        ),
        carrier(
            "everything in an animation",
            [&everything[..], b"quokka"].concat(),
            &[
                ("PNG:AnimationFrames", "2"),
                ("IFD0:Make", SECRET),
                ("GPS:GPSMapDatum", SECRET),
                ("XMP-dc:Description", SECRET),
                ("IPTC:City", SECRET),
                ("PNG:Comment", SECRET),
                ("ICC_Profile:ProfileCopyright", SECRET),
            ],
            &[
                "app-data",
                "exif",
                "gps",
                "icc",
                "iptc",
                "text",
                "thumbnail",
                "time",
                "trailing-data",
                "xmp",
            ],
        ),
    ]
}

pub(crate) fn webps() -> Vec<Carrier> {
    let picture = picture();
    let size = (picture.width, picture.height);
    let plain = webp(&picture);
    let edited = |changes: &[&str]| exiftool::write(&plain, "webp", changes);
    let with = |kind: &[u8; 4], body: &[u8]| with_riff(&plain, size, &[riff(kind, body)]);
    let (_dir, exif_thumbnail) = thumbnail_in("IFD1:ThumbnailImage");
    let prefixed = [b"Exif\0\0", &exif(None, &[(0x010f, SECRET)], false)[..]].concat();
    let frames = [plain.clone(), webp(&painted(size.0, size.1, |_, _| [9; 3]))];
    let profile = riff(b"ICCP", &DISPLAY_P3.profile(SECRET));
    let unknown = riff(b"QUOK", b"quokka");
    let everything = [&EXIF[..], &GPS, &XMP, &[&exif_thumbnail]].concat();
    let animation = animated_webp(&frames, size, &unknown, std::slice::from_ref(&profile));
    let everything = exiftool::write(&animation, "webp", &everything);
    vec![
        carrier("plain", plain.clone(), &[], &[]),
        carrier(
            "exif",
            edited(&EXIF),
            &[("IFD0:Make", SECRET), ("ExifIFD:UserComment", SECRET)],
            &["exif"],
        ),
        carrier(
            "exif as JPEG has it",
            with(b"EXIF", &prefixed),
            &[("IFD0:Make", SECRET)],
            &["exif"],
        ),
        carrier(
            "position",
            edited(&GPS),
            &[("GPS:GPSLatitude", "52 deg"), ("GPS:GPSMapDatum", SECRET)],
            &["exif", "gps"],
        ),
        carrier(
            "exif thumbnail",
            edited(&[&exif_thumbnail]),
            &[("IFD1:ThumbnailImage", "Binary data")],
            &["exif", "thumbnail"],
        ),
        carrier(
            "xmp",
            edited(&XMP),
            &[("XMP-dc:Description", SECRET)],
            &["xmp"],
        ),
        carrier(
            "profile",
            with_riff(&plain, size, &[profile]),
            &[("ICC_Profile:ProfileCopyright", SECRET)],
            &["icc"],
        ),
        carrier(
            "unknown chunk",
            with_riff(&plain, size, std::slice::from_ref(&unknown)),
            &[],
            &["app-data"],
        ),
        carrier(
            "unknown chunk in a frame",
            animated_webp(&frames, size, &unknown, &[]),
            &[],
            &["app-data"],
        ),
        carrier(
            "trailing data",
            [&plain[..], b"quokka"].concat(),
            &[],
            &["trailing-data"],
        ),
        carrier(
            "everything in an animation",
            [&everything[..], b"quokka"].concat(),
            &[
                ("RIFF:WebP_Flags", "Animation"),
                ("IFD0:Make", SECRET),
                ("GPS:GPSMapDatum", SECRET),
                ("XMP-dc:Description", SECRET),
                ("ICC_Profile:ProfileCopyright", SECRET),
            ],
            &[
                "app-data",
                "exif",
                "gps",
                "icc",
                "thumbnail",
                "trailing-data",
                "xmp",
            ],
        ),
    ]
}

pub(crate) fn gifs() -> Vec<Carrier> {
    let still = [[[200, 130, 100], [80, 110, 180]]];
    let plain = gif(1300, 160, &still);
    let animation = gif(1300, 160, &[still[0], [[90, 140, 80], [9, 9, 9]]]);
    let edited = |changes: &[&str]| exiftool::write(&plain, "gif", changes);
    let with = |block: Vec<u8>| with_blocks(&plain, &[block]);
    let profile = gif_block(b"ICCRGBG1012", &DISPLAY_P3.profile(SECRET));
    let other = gif_block(b"MIDICTRLJon", b"quokka");
    // The position, the size of the letters and their colours; then the words.
    let plain_text = [
        b"\x21\x01\x0c\0\0\0\0\x64\0\x14\0\x08\x08\0\x01",
        &sub_blocks(b"quokka")[..],
    ]
    .concat();
    let everything = exiftool::write(&animation, "gif", &["-Comment=quokka", XMP[0]]);
    let everything = with_blocks(
        &everything,
        &[profile.clone(), other.clone(), plain_text.clone()],
    );
    vec![
        carrier("plain", plain.clone(), &[], &[]),
        carrier(
            "repeating animation",
            animation,
            &[("GIF:AnimationIterations", "Infinite")],
            &[],
        ),
        carrier(
            "comment",
            edited(&["-Comment=quokka"]),
            &[("File:Comment", SECRET)],
            &["comment"],
        ),
        carrier(
            "xmp",
            edited(&XMP),
            &[("XMP-dc:Description", SECRET)],
            &["xmp"],
        ),
        carrier(
            "profile",
            with(profile),
            &[("ICC_Profile:ProfileCopyright", SECRET)],
            &["icc"],
        ),
        carrier("application block", with(other), &[], &["app-data"]),
        carrier(
            "words behind a repeat count",
            with(
                [
                    &gif_block(b"NETSCAPE2.0", b"\x01\0\0")[..18],
                    &sub_blocks(b"quokka"),
                ]
                .concat(),
            ),
            &[],
            &["app-data"],
        ),
        carrier("plain text", with(plain_text), &[], &["text"]),
        carrier(
            "trailing data",
            [&plain[..], b"quokka"].concat(),
            &[],
            &["trailing-data"],
        ),
        carrier(
            "everything in an animation",
            [&everything[..], b"quokka"].concat(),
            &[
                ("GIF:FrameCount", "2"),
                ("File:Comment", SECRET),
                ("XMP-dc:Description", SECRET),
                ("ICC_Profile:ProfileCopyright", SECRET),
            ],
            &["app-data", "comment", "icc", "text", "trailing-data", "xmp"],
        ),
    ]
}
