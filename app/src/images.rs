//! Chooses which of a picture's image files (its variants) the browser should fetch, by their real
//! widths.

/// A picture's variants in any order: the name of each (`640.webp`) and its absolute URL.
pub(crate) type Images = Vec<(String, String)>;

/// The `WebP` variants with their real widths in pixels, narrowest first. No variant is wider than
/// the upload, so several may have the same real width; only the first of these is given.
fn webp_variants(images: &[(String, String)], upload_width: u32) -> Vec<(u32, &str)> {
    let mut variants: Vec<(u32, &str)> = images
        .iter()
        .filter_map(|(name, url)| {
            let nominal: u32 = name.strip_suffix(".webp")?.parse().ok()?;
            Some((nominal, url.as_str()))
        })
        .collect();
    variants.sort_unstable();
    for variant in &mut variants {
        variant.0 = variant.0.min(upload_width);
    }
    variants.dedup_by_key(|variant| variant.0);
    variants
}

/// The `srcset` of a picture whose upload was 500 pixels wide: `…/320.webp 320w, …/640.webp 500w`.
pub(crate) fn srcset(images: &[(String, String)], upload_width: u32) -> String {
    let mut list = String::new();
    for (width, url) in webp_variants(images, upload_width) {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(url);
        list.push(' ');
        list.push_str(&width.to_string());
        list.push('w');
    }
    list
}

/// The URL of the variant with this name, or an empty text if the picture has no such variant.
pub(crate) fn variant<'a>(images: &'a [(String, String)], name: &str) -> &'a str {
    let image = images.iter().find(|image| image.0 == name);
    image.map_or("", |image| &image.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        ["320.webp", "640.webp", "1280.webp", "2048.webp", "1280.jpg"]
            .map(|name| (name.to_owned(), format!("/i/{name}")))
            .into()
    }

    #[test]
    fn srcset_lists_the_variants_narrowest_first() {
        assert_eq!(
            srcset(&images(), 4000),
            "/i/320.webp 320w, /i/640.webp 640w, /i/1280.webp 1280w, /i/2048.webp 2048w"
        );
    }

    #[test]
    fn srcset_names_each_real_width_once() {
        let cases = [(2048, 4), (1280, 3), (500, 2), (320, 1), (100, 1)];
        for (width, count) in cases {
            let list = srcset(&images(), width);
            assert_eq!(list.split(", ").count(), count, "{list}");
            assert!(list.ends_with(&format!(" {width}w")), "{list}");
        }
    }
}
