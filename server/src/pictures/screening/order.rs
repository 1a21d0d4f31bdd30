//! Chooses which of the waiting pictures is worked on next, so that nobody waits for long behind
//! what somebody else sent.

use std::time::Duration;

use crate::db::Waiting;
use crate::screening::squares_of;
use imaging::{self, Inspected};

/// The fewest workers. One decodes while another waits for the disk, and one is free for other
/// pictures while a costly one is worked on.
pub(crate) const MIN_WORKERS: u8 = 2;
/// The estimate from which on a picture is costly. One costly picture is worked on at a time, so
/// that another worker is free for the rest.
const COSTLY: Duration = Duration::from_secs(3);
/// The seconds of work that one second of waiting outweighs. A picture of somebody for whom a
/// minute was worked lately comes before those of newcomers once it has waited ten minutes longer.
const WORTH_OF_WAITING: f64 = 0.1;

/// Processor time for each pixel of the upload, in nanoseconds, as measured on a photograph of 12
/// megapixels: decoding it and shrinking it to what is published. `imaging` says where these
/// figures come from.
const NANOS_PER_PIXEL: u64 = 15;
/// Processor time for each pixel of the widest file of a still, in nanoseconds. The trial and ten
/// files take about 1 s for 2048 x 1536.
const NANOS_PER_PUBLISHED_PIXEL: u64 = 320;
/// Processor time for each pixel of the widest file of an animation and each frame, in nanoseconds.
const NANOS_PER_PUBLISHED_PIXEL_OF_FRAME: u64 = 110;
/// Processor time for one look of the models, in nanoseconds.
const NANOS_PER_LOOK: u64 = 30_000_000;

/// How long work on a picture may take, estimated from its header.
pub(crate) fn estimated_work(inspected: &Inspected) -> Duration {
    let (width, height) = (u64::from(inspected.width), u64::from(inspected.height));
    let pixels = width * height;
    // The largest width and height that fit, at the same ratio.
    let published = [
        pixels,
        u64::from(imaging::MAX_WIDTH).pow(2) * height / width.max(1),
        u64::from(imaging::MAX_HEIGHT).pow(2) * width / height.max(1),
    ];
    let published = published.into_iter().min().unwrap_or(pixels);
    let frames = u64::from(inspected.frames);
    let kept = frames.min(u64::from(imaging::MAX_KEPT_FRAMES));
    let looks = kept * squares_of(inspected.width, inspected.height) as u64;
    let encoding = if inspected.animated {
        NANOS_PER_PUBLISHED_PIXEL_OF_FRAME
    } else {
        NANOS_PER_PUBLISHED_PIXEL
    };
    Duration::from_nanos(
        pixels * frames * NANOS_PER_PIXEL + kept * published * encoding + looks * NANOS_PER_LOOK,
    )
}

/// Chooses among all waiting pictures the one to work on next, at the second `now`; `None` where
/// none may be begun. `work_for` returns the seconds of work that were lately done for a picture's
/// sender. `room` is what is free in the store beside what is reserved, in bytes.
///
/// - Of several uploads of the same bytes one is worked on at a time, so that the others find its
///   verdict.
/// - A picture that was begun before may be what ends the process. It goes first and alone, so that
///   it takes no other with it.
/// - One costly picture is worked on at a time.
/// - A picture for which there was no room when it was ready comes last, and only once its room is
///   free.
pub(super) fn next(
    waiting: &[Waiting],
    work_for: impl Fn(&Waiting) -> f64,
    room: u64,
    now: i64,
) -> Option<&Waiting> {
    let held: Vec<&Waiting> = waiting.iter().filter(|one| one.is_held).collect();
    if held.iter().any(|one| one.attempts > 1) {
        return None;
    }
    let free = |one: &&Waiting| one.is_free && (!one.lacks_room || one.reserved_bytes <= room);
    let was_begun = waiting.iter().filter(free).any(|one| one.attempts > 0);
    if was_begun && !held.is_empty() {
        return None;
    }
    let costly_is_held = held.iter().any(|one| one.work >= COSTLY);
    let may_begin = |one: &&Waiting| {
        (one.attempts > 0 || !was_begun)
            && !(costly_is_held && one.work >= COSTLY)
            && held
                .iter()
                .all(|held| held.content_hash != one.content_hash)
    };
    let weight = |one: &Waiting| {
        // These are whole seconds of at most a year, so they are exact as floats.
        let waited = now.saturating_sub(one.received_at).max(0) as f64;
        work_for(one) + one.work.as_secs_f64() - waited * WORTH_OF_WAITING
    };
    let candidates = waiting.iter().filter(free).filter(may_begin);
    candidates.min_by(|a, b| {
        let by_room = a.lacks_room.cmp(&b.lacks_room);
        // Of equals the one that came first is chosen.
        by_room
            .then(weight(a).total_cmp(&weight(b)))
            .then(a.arrival.cmp(&b.arrival))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::domain::hash::Sha256Hash;
    use crate::domain::picture::PictureId;

    const NOW: i64 = 1_800_000_000;

    /// A picture that nobody holds, with this name, that has waited and takes this long, both in
    /// seconds.
    fn picture(name: &str, waited: i64, work: u64) -> Waiting {
        Waiting {
            id: id(name),
            arrival: -waited,
            received_at: NOW - waited,
            content_hash: Sha256Hash::of(name.as_bytes()),
            attempts: 0,
            is_held: false,
            is_free: true,
            work: Duration::from_secs(work),
            reserved_bytes: 100,
            lacks_room: false,
        }
    }

    fn id(name: &str) -> PictureId {
        // Base58 has no lower-case L.
        PictureId::parse(&format!("{:A<16}", name.replace('l', "L"))).expect("an id")
    }

    fn held(mut one: Waiting, attempts: u32) -> Waiting {
        (one.is_held, one.is_free, one.attempts) = (true, false, attempts);
        one
    }

    fn begun(mut one: Waiting) -> Waiting {
        one.attempts = 1;
        one
    }

    fn lacking_room(mut one: Waiting) -> Waiting {
        one.lacks_room = true;
        one
    }

    #[track_caller]
    fn assert_next(waiting: &[Waiting], name: Option<&str>) {
        assert_next_where(waiting, &[], name);
    }

    /// Asserts the choice where this many seconds were worked for the senders of these pictures.
    #[track_caller]
    fn assert_next_where(waiting: &[Waiting], work: &[(&str, f64)], name: Option<&str>) {
        let work: HashMap<PictureId, f64> =
            work.iter().map(|(name, work)| (id(name), *work)).collect();
        let work_for = |one: &Waiting| work.get(&one.id).copied().unwrap_or(0.0);
        let found = next(waiting, work_for, 100, NOW).map(|one| one.id.clone());
        assert_eq!(found, name.map(id));
    }

    #[test]
    fn of_equals_the_first_that_came_goes_first() {
        assert_next(&[], None);
        assert_next(&[picture("b", 1, 1), picture("a", 2, 1)], Some("a"));
    }

    #[test]
    fn an_ordinary_picture_does_not_wait_behind_costly_ones_of_somebody_else() {
        let mut waiting: Vec<_> = (0..8)
            .map(|number| picture(&format!("c{}", "d".repeat(number)), 60, 20))
            .collect();
        waiting.push(picture("ordinary", 0, 1));
        assert_next(&waiting, Some("ordinary"));
    }

    #[test]
    fn who_had_much_work_done_comes_after_who_had_none() {
        let waiting = [picture("many", 30, 1), picture("one", 0, 1)];
        assert_next_where(&waiting, &[("many", 8.0)], Some("one"));
        assert_next_where(&waiting, &[("many", 2.0)], Some("many"));
    }

    #[test]
    fn nothing_waits_for_ever() {
        let waiting = [picture("costly", 1000, 30), picture("new", 0, 1)];
        assert_next_where(&waiting, &[("costly", 60.0)], Some("costly"));
    }

    #[test]
    fn one_costly_picture_is_worked_on_at_a_time_and_others_beside_it() {
        let busy = held(picture("busy", 9, 20), 1);
        assert_next(&[busy.clone(), picture("costly", 500, 20)], None);
        let waiting = [busy, picture("costly", 500, 20), picture("other", 0, 1)];
        assert_next(&waiting, Some("other"));
    }

    #[test]
    fn of_the_same_bytes_one_is_worked_on_at_a_time() {
        let mut twin = picture("twin", 5, 1);
        let first = held(picture("first", 9, 1), 1);
        twin.content_hash = first.content_hash;
        assert_next(&[first.clone(), twin.clone()], None);
        assert_next(&[first, twin, picture("other", 1, 1)], Some("other"));
    }

    #[test]
    fn what_was_begun_before_goes_first_and_alone() {
        let waiting = [begun(picture("begun", 1, 30)), picture("other", 900, 1)];
        assert_next(&waiting, Some("begun"));
        let busy = held(picture("busy", 9, 1), 1);
        assert_next(&[busy, waiting[0].clone(), waiting[1].clone()], None);
        assert_next(
            &[held(picture("again", 9, 1), 2), picture("other", 9, 1)],
            None,
        );
    }

    #[test]
    fn what_found_no_room_comes_last_and_only_once_its_room_is_free() {
        let mut lacking = lacking_room(begun(picture("lacking", 900, 1)));
        assert_next(&[lacking.clone()], Some("lacking"));
        lacking.attempts = 0;
        assert_next(&[lacking.clone(), picture("other", 0, 9)], Some("other"));
        lacking.reserved_bytes = 101;
        assert_next(&[lacking], None);
    }
}
