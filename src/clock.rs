//! Wall-clock time: seconds since 1970, and how people write them.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 where the clock stands before that.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A text that differs from every other one that this host makes: nanoseconds of the wall clock.
pub fn stamp() -> String {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

/// Time since boot, standstills of the host included: no step of the wall clock moves it.
pub fn since_boot() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Which boot this is, as the kernel names it.
///
/// # Errors
/// What reading `/proc` reports.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Whether what a file of `/run` says is of this boot, going by the boot that it names. A container may show its processes
/// different names for one boot; that the file is on a tmpfs below `/run` proves it as well, since none outlives a boot.
pub fn is_of_this_boot(file: &Path, boot_id: &str) -> bool {
    use nix::sys::statfs::{TMPFS_MAGIC, statfs};
    let same = self::boot_id().is_ok_and(|this| this == boot_id);
    let below_run = || file.starts_with("/run") || file.starts_with("/var/run");
    same || (below_run() && statfs(file).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC))
}

/// `2026-11-22T19:12:00Z` (RFC 3339).
pub fn utc(seconds: u64) -> String {
    /// The last second of the year 9999; a number beyond it is nobody's time.
    const LAST: u64 = 253_402_300_799;
    let seconds = seconds.min(LAST);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Microseconds since 1970; 0 where the clock stands before that.
pub fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Microseconds since the boot, without the time that the host slept (`CLOCK_MONOTONIC`), as journald counts them.
pub fn monotonic_micros() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// `2026-11-22T19:12:00.000000Z` (RFC 3339), from microseconds since 1970.
pub fn utc_micros(micros: u64) -> String {
    let seconds = utc(micros / 1_000_000);
    format!("{}.{:06}Z", seconds.trim_end_matches('Z'), micros % 1_000_000)
}

/// Reads what [`utc`] writes, and nothing else: one form, whole seconds, `Z`.
pub fn parse_utc(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != 20 || !text.is_ascii() {
        return None;
    }
    let number = |at: usize, length: usize| text[at..at + length].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    // Whatever is out of range, or spelled with a sign or a space, does not come out as it went in.
    (utc(seconds) == text).then_some(seconds)
}

/// Reads what [`utc_micros`] writes, and nothing else.
pub fn parse_utc_micros(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    let digits = fraction.len() == 6 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let micros: u64 = fraction.parse().ok().filter(|_| digits)?;
    parse_utc(&format!("{seconds}Z"))?.checked_mul(1_000_000)?.checked_add(micros)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; years counted from March, so that the leap day
/// is the last of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH: u64 = 719_468;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - EPOCH
}

fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days_since_1970 / 366;
    while days(year + 1, 1, 1) <= days_since_1970 {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= days_since_1970).unwrap_or(1);
    (year, month, days_since_1970 - days(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_date_does() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_374_720, "2026-11-22T19:12:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
            assert_eq!(parse_utc(text), Some(seconds));
        }
    }

    #[test]
    fn every_day_of_two_centuries_comes_out_as_it_went_in() {
        for day in 0..73_049 {
            let seconds = day * 86_400 + 86_399;
            assert_eq!(parse_utc(&utc(seconds)), Some(seconds));
        }
    }

    #[test]
    fn no_other_spelling_is_read() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T19:12:00",
            "2026-11-22t19:12:00z",
            "2026-11-22T19:12:00+00",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T19:60:00Z",
            "2026-11-22 19:12:00Z",
            "+026-11-22T19:12:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-22T19:12:0éZ",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
        let micros = 1_795_374_720_000_001;
        assert_eq!(parse_utc_micros(&utc_micros(micros)), Some(micros));
        for text in ["2026-11-22T19:12:00Z", "2026-11-22T19:12:00.00001Z", "2026-11-22T19:12:00.+00001Z", "é.000000Z"]
        {
            assert_eq!(parse_utc_micros(text), None, "{text}");
        }
    }
}
